"""Bot cars: where they drive, when they change lanes, who is at fault when they meet the racing car."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import shapely
from scipy.interpolate import spalde, splprep
from test_sim_rules import bytes_of, fields_of, origin, put, ring, status, value

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import Status
from hotlap.deepracer.track_objects import BotCars, Obstacles
from hotlap.sim.lanes import lane_tables
from hotlap.sim.objects import LANES
from hotlap.sim.scene import RaceRules, Scene
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.tracks.catalog import list_tracks, load_track
from hotlap.tracks.track import Track

LANE_RADIUS = (1.1, 1.5)  # [m] of the ring's inner and outer lane


def simulator(bots: BotCars, num_worlds: int = 1, *, track: Track | None = None, **rules: float) -> Simulator:
    """Cars without cameras on a ring, or on another track."""
    scene = Scene([track or fine_ring()], RaceRules(**rules), bots=bots)  # type: ignore[arg-type]
    return Simulator(scene, num_worlds, camera=None)


def fine_ring() -> Track:
    return ring(num_rows=181)


def stand(sim: Simulator, num_steps: int) -> np.ndarray:
    """Steps in which the racing car waits far from everything; objects after each, (num_steps, num_worlds, n)."""
    history = []
    for _ in range(num_steps):
        sim.state.still_count.fill_(0)
        sim.state.reverse_count.fill_(0)
        sim.command(np.zeros(sim.num_worlds), np.zeros(sim.num_worlds))
        for world in range(sim.num_worlds):
            put(sim, world, 0.0, 0.0, 0.0)
        sim.apply_rules()
        sim.drive()
        history.append(sim.state.objects.numpy().copy())
    return np.array(history)


# `stand` needs an infield that is no ground for a reset.
FORGIVING: dict[str, Any] = {"number_of_resets": 10**6}


# Lanes


@pytest.mark.parametrize("name", ["first_lap", *(entry.name for entry in list_tracks() if entry.built_in)])
def test_lanes_go_smoothly_through_the_middles_of_their_rows(name: str):
    """On every own track, both ways round; closed ones without a kink at the start."""
    track = load_track(name)
    for number, route in enumerate((track, track.reversed())):
        table, counts = lane_tables([track, track.reversed()])
        for k, lane in enumerate(LANES):
            count = counts[number]
            points = table[2 * number + k, : count + 1]
            at = np.linspace(0.0, route.length, count + 1)
            rows = np.searchsorted(at, route.arc).clip(0, count)
            assert np.hypot(*(points[rows, :2] - route.lane(lane)).T).max() < 0.03  # a step of the table and more
            gaps = shapely.distance(shapely.points(points[:, :2]), shapely.LineString(route.lane(lane)))
            assert gaps.max() < 0.02
            # The tangent is that of the points.
            slope = np.diff(points[:, :2], axis=0) / (route.length / count)
            assert np.abs(slope - 0.5 * (points[1:, 2:] + points[:-1, 2:])).max() < 0.02
            if route.closed:
                np.testing.assert_allclose(points[0], points[-1], atol=1e-5)


def original_lane(track: Track, lane: Any) -> Any:
    """The original's spline of a lane: over the projections of its points on the center line, with SciPy's FITPACK."""
    line, points = shapely.LineString(track.center), track.lane(lane)
    at = np.array([line.project(shapely.Point(point)) for point in points])
    at[0], at[-1] = 0.0, line.length
    at, index = np.unique(at, return_index=True)
    return splprep(points[index].T, u=at, k=3, s=0, per=1)[0]


def test_bot_cars_drive_where_the_originals_do():
    """Positions to a few centimeters, headings to a degree or two: it counted the projections of the lanes' points."""
    track = load_track("first_lap")
    sim = simulator(BotCars(number=4, speed=3.0), track=track, **FORGIVING)
    sim.reset([0], [Start()])
    starts = np.linspace(2.0, track.length - 1.0, 4)
    splines = [original_lane(track, lane) for lane in LANES]
    for step, objects in enumerate(stand(sim, 60), start=1):
        for k in range(4):
            distance = (starts[k] + 3.0 * step * CONTROL_PERIOD) % track.length
            (x, dx, *_), (y, dy, *_) = spalde(distance, splines[k % 2])
            item = objects[0, k]
            assert np.hypot(item["x"] - x, item["y"] - y) < 0.05
            assert np.cos(item["yaw"] - np.arctan2(dy, dx)) > np.cos(np.deg2rad(4.0))


# Driving


@pytest.mark.parametrize("reverse", [False, True])
def test_all_drive_evenly_round_and_round(reverse: bool):
    """From even places, alternately inner and outer, at the same angular speed on a ring, on past the start line."""
    sim = simulator(BotCars(number=3, speed=0.5, min_distance=1.0), **FORGIVING)
    sim.reset([0], [Start(reverse=reverse)])
    length = sim.scene.tracks[0].length
    starts = np.linspace(1.0, length - 1.0, 3)
    history = stand(sim, 300)
    turn = -1.0 if reverse else 1.0
    for step, objects in enumerate(history, start=1):
        distance = starts + 0.5 * step * CONTROL_PERIOD
        angle = turn * 2 * np.pi * distance / length
        expected = np.array([LANE_RADIUS[k % 2] for k in range(3)])[:, None] * np.stack(
            [np.cos(angle), np.sin(angle)], 1
        )
        np.testing.assert_allclose(np.stack([objects[0]["x"], objects[0]["y"]], axis=1), expected, atol=2e-3)
        assert np.cos(objects[0]["yaw"] - (angle + turn * np.pi / 2)).min() > 1 - 1e-4
        np.testing.assert_allclose(objects[0]["distance"], distance % length, atol=0.02)
        np.testing.assert_allclose(objects[0]["distance_from_center"], 0.2, atol=2e-3)
    assert (history[-1][0]["distance"] < history[0][0]["distance"]).any()


def test_random_places_and_lanes_come_from_the_seed():
    sim = simulator(BotCars(number=3, min_distance=1.0, randomize=True), 40)
    sim.reset(range(40), [Start(seed=seed) for seed in [*range(39), 5]])
    objects, bots = sim.state.objects.numpy(), sim.state.bots.numpy()
    assert objects[5].tobytes() == objects[39].tobytes()
    assert len({row.tobytes() for row in objects}) == 39
    assert np.diff(bots["start"], axis=1).min() > 1.0 - 1e-5
    assert 0.3 < bots["lane"].mean() < 0.7
    np.testing.assert_allclose(np.hypot(objects["x"], objects["y"]), np.array(LANE_RADIUS)[bots["lane"]], atol=2e-3)


def test_on_an_open_track_they_begin_again_at_its_start():
    """As the original's, which take every lane for a ring."""
    track = next(track for track in (load_track(entry.name) for entry in list_tracks()) if not track.closed)
    sim = simulator(BotCars(number=1, speed=4.0), track=track, **FORGIVING)
    sim.reset([0], [Start()])
    distances = stand(sim, int(track.length * 15 / 4) + 10)[:, 0, 0]["distance"]
    assert (np.diff(distances) < -0.5 * track.length).sum() == 1
    assert np.isfinite(distances).all()


def test_a_prepared_start_begins_with_step_2_for_bot_cars_too():
    playing, skipping = (simulator(BotCars(lane_change=True, speed=1.0), **FORGIVING) for _ in range(2))
    playing.reset([0], [Start(seed=3)])
    stand(playing, 1)
    skipping.reset([0], [Start(seed=3, prepared=True)])
    for _ in range(120):
        ours, theirs = (sim.state.objects.numpy()[0].tobytes() for sim in (playing, skipping))
        assert ours == theirs
        stand(playing, 1)
        stand(skipping, 1)


# Changes of lane


def test_lanes_are_changed_at_random_times_and_smoothly():
    """Each begins a time between the two limits after the one before has ended, takes its distance, and ends on the
    other lane; in between the car goes from lane to lane without a jump, and looks where it goes."""
    bots = BotCars(
        number=2,
        speed=0.5,
        lane_change=True,
        lower_lane_change_time=1.0,
        upper_lane_change_time=2.0,
        lane_change_distance=0.8,
    )
    sim = simulator(bots, 3, **FORGIVING)
    sim.reset(range(3), [Start(seed=seed) for seed in range(3)])
    num_steps = 900
    history = stand(sim, num_steps)
    radius = np.hypot(history["x"], history["y"])
    waits = []
    for world in range(3):
        for k in range(2):
            path = radius[:, world, k]
            on_lane = (np.abs(path - LANE_RADIUS[0]) < 2e-3) | (np.abs(path - LANE_RADIUS[1]) < 2e-3)
            edges = np.flatnonzero(np.diff(on_lane.astype(int)))
            begins, ends = edges[~on_lane[edges + 1]], edges[on_lane[edges + 1]]
            assert len(ends) > 15
            durations = (ends - begins[: len(ends)]) * CONTROL_PERIOD
            # The first and last moments of a change are nearer to the lane than can be told.
            np.testing.assert_allclose(durations, 0.8 / 0.5, atol=0.25)
            waits.append((begins[1:] - ends[: len(begins) - 1]) * CONTROL_PERIOD)
            lanes = np.sign(path[np.append(begins - 1, -1)] - 1.3)
            assert (np.abs(np.diff(lanes[:-1])) == 2).all()
            moved = np.stack([np.diff(history["x"][:, world, k]), np.diff(history["y"][:, world, k])], axis=1)
            assert np.hypot(*moved.T).max() < 1.8 * 0.5 * CONTROL_PERIOD
            heading = history["yaw"][:, world, k]
            middle = np.angle(np.exp(1j * heading[1:]) + np.exp(1j * heading[:-1]))
            assert np.cos(middle - np.arctan2(moved[:, 1], moved[:, 0])).min() > np.cos(np.deg2rad(2.0))
    waits = np.concatenate(waits)
    assert waits.min() > 0.9
    assert waits.max() < 2.3
    assert np.std(waits) > 0.15
    assert len({radius[:, world, k].tobytes() for world in range(3) for k in range(2)}) == 6


def test_without_changes_of_lane_and_at_speed_zero_they_keep_theirs():
    for bots in (BotCars(number=2, speed=0.5), BotCars(number=2, speed=0.0, lane_change=True)):
        sim = simulator(bots, **FORGIVING)
        sim.reset([0], [Start()])
        history = stand(sim, 150)
        np.testing.assert_allclose(np.hypot(history["x"], history["y"])[:, 0], [LANE_RADIUS] * 150, atol=2e-3)
        assert (history[-1]["x"] == history[0]["x"]).all() == (bots.speed == 0.0)


# Meetings


def meet(sim: Simulator, bot: int, *, ahead: float) -> None:
    """Put the racing car on a bot car's lane, so far ahead of it [m]."""
    item = sim.state.objects.numpy()[0][bot]
    radius = np.hypot(item["x"], item["y"])
    angle = np.arctan2(item["y"], item["x"]) + ahead / radius
    put(sim, 0, radius * np.cos(angle), radius * np.sin(angle), angle + np.pi / 2)


def test_whoever_runs_into_a_bot_car_ahead_has_crashed():
    """In training that is the end; the bot cars are not at fault and drive on."""
    sim = simulator(BotCars(number=2, speed=0.5))
    sim.reset([0], [Start(prepared=True)])
    meet(sim, 1, ahead=-0.25)
    sim.step()
    assert status(sim) is Status.CRASHED
    assert (value(sim, "is_crashed"), value(sim, "terminated"), value(sim, "crashed_into")) == (1, 1, 1)
    assert value(sim, "bot_pause") == 0.0


def test_a_bot_car_that_runs_into_the_racing_car_waits_and_all_others_with_it():
    """The one behind is at fault: nothing happens to the racing car. They go on from where they stood."""
    sim = simulator(BotCars(number=2, speed=0.5, penalty=1.0), **FORGIVING)
    sim.reset([0], [Start(prepared=True)])
    meet(sim, 1, ahead=0.25)
    sim.apply_rules()
    assert status(sim) is Status.IN_PROGRESS
    assert (value(sim, "is_crashed"), value(sim, "terminated")) == (0, 0)
    before = sim.state.objects.numpy().copy()
    sim.drive()
    assert value(sim, "bot_pause") == pytest.approx(1.0 - CONTROL_PERIOD)
    history = stand(sim, 16)
    standing = [objects["x"].tolist() == before["x"].tolist() for objects in history]
    assert standing == [True] * 14 + [False] * 2  # 15 steps with the one in which they met
    steps = np.hypot(*(history[15][0][0][each] - history[14][0][0][each] for each in ("x", "y")))
    assert steps == pytest.approx(0.5 * CONTROL_PERIOD * LANE_RADIUS[0] / 1.3, rel=0.02)


def test_while_they_wait_nothing_is_added():
    """A car that stays in touch does not hold them for ever, but they run into it again."""
    sim = simulator(BotCars(number=1, speed=0.5, penalty=0.4), **FORGIVING)
    sim.reset([0], [Start(prepared=True)])
    pauses = []
    for _ in range(20):
        meet(sim, 0, ahead=0.25)
        sim.state.still_count.fill_(0)
        sim.apply_rules()
        sim.drive()
        pauses.append(round(value(sim, "bot_pause") / CONTROL_PERIOD))
    assert pauses == [5, 4, 3, 2, 1, 0, *([5, 4, 3, 2, 1, 0] * 3)][:20]


def test_after_running_into_a_bot_car_the_racing_car_waits_where_it_is():
    """It is not put back: what it ran into drives away meanwhile."""
    sim = simulator(BotCars(number=1, speed=1.0, penalty=5.0), number_of_resets=1, collision_penalty=1.0)
    sim.reset([0], [Start(prepared=True)])
    meet(sim, 0, ahead=-0.25)
    where = origin(sim)
    bot = sim.state.objects.numpy()[0].copy()
    sim.step()
    assert status(sim) is Status.CRASHED
    for _ in range(15):
        sim.step()
        assert status(sim) is Status.PAUSE
        np.testing.assert_allclose(origin(sim), where, atol=1e-5)
    sim.step()
    assert status(sim) is Status.IN_PROGRESS
    assert value(sim, "resets") == 1
    now = sim.state.objects.numpy()[0]
    assert np.hypot(now["x"][0] - bot["x"][0], now["y"][0] - bot["y"][0]) > 0.7


def test_a_car_that_left_the_track_is_put_back_whatever_bot_cars_are_near():
    """Only obstacles keep it off."""
    track = load_track("first_lap")
    with_bots = simulator(BotCars(number=1, min_distance=4.0, speed=0.0), track=track, number_of_resets=1)
    without = Simulator(Scene([track], RaceRules(number_of_resets=1)), 1, camera=None)
    places = []
    for sim in (with_bots, without):
        sim.reset([0], [Start(ndist=2.0 / track.length, prepared=True)])
        for s, n in ((3.5, 0.3), (3.6, 3.0)):
            x, y, yaw = (float(each) for each in track.pose_at(s))
            put(sim, 0, x - n * np.sin(yaw), y + n * np.cos(yaw), yaw)
            sim.step()
        assert status(sim) is Status.OFF_TRACK
        places.append(origin(sim))
    assert places[0] == places[1]


def test_a_car_starts_on_the_other_lane_beside_a_bot_car():
    track = load_track("first_lap")
    sim = simulator(BotCars(number=1, min_distance=4.0), track=track)
    sim.reset([0], [Start(ndist=4.5 / track.length)])
    x, y, _ = origin(sim)
    outer = shapely.LineString(track.lane("outer"))
    assert outer.distance(shapely.Point(x, y)) < 1e-3


# Worlds


def test_worlds_with_bot_cars_know_nothing_of_each_other():
    """Many at once equal one by one, bit for bit in state and images, beside obstacles and in lights of their own."""
    scene = Scene(
        [load_track("first_lap"), ring()],
        RaceRules(number_of_resets=2, collision_penalty=0.2),
        obstacles=Obstacles(number=2, min_distance=1.5, randomize=True),
        bots=BotCars(
            number=3,
            min_distance=1.0,
            speed=1.5,
            randomize=True,
            lane_change=True,
            lower_lane_change_time=0.1,
            upper_lane_change_time=0.5,
            penalty=0.3,
        ),
    )
    num_worlds, num_steps = 12, 30
    starts = [
        Start(ndist=0.13 * k % 1, reverse=k % 3 == 0, track=k % 2, seed=40 + k, prepared=k % 2 == 0)
        for k in range(num_worlds)
    ]
    many = Simulator(scene, num_worlds, variation=1.0, randomize_domain=True)
    alone = Simulator(scene, 1, variation=1.0, randomize_domain=True, grounds=many.grounds)
    everything, single_world = fields_of(many), fields_of(alone)
    told = np.random.default_rng(2).uniform([[-12.0], [1.5]], [[12.0], [3.5]], (num_steps, 2, num_worlds))
    many.reset(range(num_worlds), starts)
    history = []
    for steering, speed in told:
        many.command(steering, speed)
        many.step()
        history.append([bytes_of(everything, [world]) for world in range(num_worlds)])
    assert many.state.bots.numpy()["num_changes"].max() > 1
    ignored = {name: b"" for name in ("steering", "speed", "crashed_into")}
    for world in range(0, num_worlds, 2):
        alone.reset([0], [starts[world]])
        for step, (steering, speed) in enumerate(told):
            alone.command(steering[world : world + 1], speed[world : world + 1])
            alone.step()
            assert bytes_of(single_world, [0]) | ignored == history[step][world] | ignored, (
                f"world {world}, step {step}"
            )


def test_wheels_and_body_have_random_colors_of_their_own():
    """As the original draws one for each part of a bot car, but one for a parked car."""
    sim = Simulator(Scene([fine_ring()], bots=BotCars(number=2)), 1, camera=None, randomize_domain=True)
    sim.reset([0], [Start(seed=1)])
    cars = sim.state.box_colors.numpy()[0].reshape(2, 3, 3)
    assert (cars[:, 1] == cars[:, 2]).all()
    assert (cars[:, 0] != cars[:, 1]).any()
    assert (cars[0] != cars[1]).any()


def test_a_bot_car_is_seen_driving_away():
    """Ahead of a standing car on the same lane it gets smaller from frame to frame."""
    track = load_track("first_lap")
    scene = Scene([track], bots=BotCars(number=1, min_distance=1.0, speed=1.0))
    sim = Simulator(scene, 1)
    empty = Simulator(Scene([track]), 1, grounds=sim.grounds)
    sizes = []
    for each in (sim, empty):
        each.reset([0], [Start()])
    for _ in range(20):
        for each in (sim, empty):
            each.state.still_count.fill_(0)
            each.command(np.zeros(1), np.zeros(1))
            each.step()
            put(each, 0, *(float(value) for value in track.pose_at(0.0)))
            assert each.renderer is not None
            each.look(each.renderer, each.images)
        assert sim.images is not None
        assert empty.images is not None
        sizes.append(int((sim.images.numpy() != empty.images.numpy()).sum()))
    assert sizes[0] > 200
    assert all(later <= earlier for earlier, later in zip(sizes[::4], sizes[4::4], strict=False))
    assert 0 < sizes[-1] < 0.5 * sizes[0]

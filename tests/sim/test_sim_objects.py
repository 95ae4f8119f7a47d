"""Objects on the track: where episodes put them, what the rules and the reward inputs make of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
import shapely
from rules_reference import CameraReference, ObjectReference, RouteReference
from test_sim_reward_inputs import place, poses_around
from test_sim_rules import bytes_of, drive_along, fields_of, origin, put, ring, snapshot, status, value

from hotlap.deepracer.statuses import Status
from hotlap.deepracer.track_objects import Obstacles
from hotlap.sim.camera import DEEPRACER_CAMERA, V1_CAMERA
from hotlap.sim.object_rules import check_objects, locate_objects
from hotlap.sim.objects import OBJECT_DTYPE, SHAPES, place_obstacles
from hotlap.sim.scene import RaceRules, Scene
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.tracks.catalog import list_tracks, load_track
from hotlap.tracks.track import Track

NUDGE = 2e-5  # [m] what positions round by, several times


def simulator(obstacles: Obstacles, num_worlds: int = 1, *, track: Track | None = None, **rules: float) -> Simulator:
    """Cars without cameras on a ring, or on another track."""
    scene = Scene([track or ring()], RaceRules(**rules), obstacles=obstacles)  # type: ignore[arg-type]
    return Simulator(scene, num_worlds, camera=None)


def rng(seed: int = 0) -> np.random.Generator:
    return np.random.default_rng(seed)


# Places


@pytest.mark.parametrize("reverse", [False, True])
def test_even_places_begin_at_the_distance_end_a_meter_before_the_lap_and_alternate(reverse: bool):
    """As in the original up to 5.3.2 and in its documentation the distance is in meters; the inner lane comes first."""
    track = load_track("first_lap").reversed() if reverse else load_track("first_lap")
    rows = place_obstacles(track, Obstacles(number=5, min_distance=3.0), rng())
    lanes = [shapely.LineString(track.lane(lane)) for lane in ("inner", "outer")]
    center = shapely.LineString(track.center)
    for k, (row, distance) in enumerate(zip(rows, np.linspace(3.0, track.length - 1.0, 5), strict=True)):
        lane = lanes[k % 2]
        along = lane.project(center.interpolate(distance))
        expected = lane.interpolate(along)
        assert np.hypot(row["x"] - expected.x, row["y"] - expected.y) < 1e-5
        # Heading: from the lane's waypoint before to the one after it.
        arcs = [lane.project(shapely.Point(vertex)) for vertex in lane.coords[:-1]]
        following = lane.coords[int(np.searchsorted(arcs, along + 1e-9, side="right"))]
        toward = np.arctan2(following[1] - expected.y, following[0] - expected.x)
        assert np.cos(row["yaw"] - toward) > 1 - 1e-5
        assert row["lane"] == k % 2


def test_random_places_keep_their_order_and_distance_and_use_both_lanes():
    """Each is moved between its neighbors; the same seed gives the same places."""
    track = load_track("first_lap")
    obstacles = Obstacles(number=6, min_distance=2.0, randomize=True)
    drawn = [place_obstacles(track, obstacles, rng(seed)) for seed in range(200)]
    distances = np.array([track.project(np.stack([rows["x"], rows["y"]], axis=-1)) for rows in drawn])
    assert distances.min() > 2.0 - 0.1  # beside a bend the projection of a lane's point is not the place itself
    assert distances.max() < track.length - 1.0 + 0.1
    assert np.diff(distances, axis=1).min() > 2.0 - 0.1
    assert np.std(distances, axis=0).min() > 0.3
    assert 0.4 < np.mean([rows["lane"] for rows in drawn]) < 0.6
    assert drawn[7].tobytes() == place_obstacles(track, obstacles, rng(7)).tobytes()


def test_random_places_without_room_stay_where_they_are():
    """Neighbors nearer than the distance cannot move; an original that crowds a track does not fail either."""
    track = ring()
    crowded = Obstacles(number=8, min_distance=2.0, randomize=True)
    rows = place_obstacles(track, crowded, rng())
    even = place_obstacles(track, Obstacles(number=8, min_distance=2.0), rng())
    on_ring = [np.arctan2(each["y"], each["x"]) for each in (rows, even)]
    np.testing.assert_allclose(on_ring[0], on_ring[1], atol=0.02)  # perhaps on another lane


def test_fixed_places_say_how_many_and_which_lane():
    """Lap fraction and lane: -1 is the outer one, anything else the inner one. Nothing is random then."""
    track = ring()
    obstacles = Obstacles(number=6, randomize=True, positions=((0.25, -1), (0.5, 1), (0.75, 0)))
    rows = place_obstacles(track, obstacles, rng())
    assert rows.tobytes() == place_obstacles(track, obstacles, rng(1)).tobytes()
    assert rows["lane"].tolist() == [1, 0, 0]
    np.testing.assert_allclose(np.hypot(rows["x"], rows["y"]), [1.5, 1.1, 1.1], atol=0.01)
    np.testing.assert_allclose(
        np.arctan2(rows["y"], rows["x"]) % (2 * np.pi), np.pi * np.array([0.5, 1, 1.5]), atol=0.02
    )


@pytest.mark.parametrize(("kind", "size"), [("box_obstacle", (0.5, 0.4)), ("bot_car", (0.32352, 0.1961))])
def test_rectangles_are_the_originals(kind: str, size: tuple[float, float]):
    """Boxes of all three kinds with a margin; cars as they are. What is drawn of a box lies within its rectangle."""
    row = place_obstacles(ring(), Obstacles(number=1, bot_car=kind == "bot_car"), rng())[0]
    np.testing.assert_allclose([2 * row["half_length"], 2 * row["half_width"]], size, atol=1e-6)
    for each in SHAPES.values():
        for box in each.boxes:
            assert box.half_width <= each.half_width
            assert abs(box.ahead) + box.half_length <= each.half_length + 0.005  # the nose of the car's mesh


# Reward inputs


def object_references(rows: np.ndarray) -> list[ObjectReference]:
    return [
        ObjectReference(
            at=np.array([row["x"], row["y"]], dtype=float),
            yaw=float(row["yaw"]),
            length=2 * float(row["half_length"]),
            width=2 * float(row["half_width"]),
            height=float(row["origin_height"]),
        )
        for row in rows
    ]


CAMERAS = {
    "v5": (DEEPRACER_CAMERA, CameraReference()),
    "v2": (V1_CAMERA, CameraReference(forward=0.2, height=0.164)),
}


@pytest.mark.parametrize(("car", "bot_car"), [("v5", False), ("v5", True), ("v2", False)])
def test_reward_inputs_and_crashes_are_those_of_the_reference(car: str, bot_car: bool):
    """On loops, an open track and one that crosses itself, both ways round; objects anywhere, some where a car is."""
    names = ["first_lap", "bow_tie", *(entry.name for entry in list_tracks() if entry.built_in)]
    tracks = [load_track(name) for name in dict.fromkeys(names)][:4]
    tracks += [track for track in map(load_track, names) if not track.closed][:1]
    assert {track.closed for track in tracks} == {True, False}
    num_poses, num_objects = 60, 5
    random = rng(1)
    camera, camera_reference = CAMERAS[car]
    found, uncertain, crashes, visible = [], 0, 0, 0
    for number, track in enumerate(tracks):
        scene = Scene(tracks, obstacles=Obstacles(num_objects))
        for reverse in (False, True):
            at, yaw = poses_around(track, num_poses, random)
            rows = np.zeros((num_poses, num_objects), dtype=OBJECT_DTYPE)
            shape = SHAPES["bot_car" if bot_car else "box_obstacle"]
            for world in range(num_poses):
                spots, yaws = poses_around(track, num_objects, random)
                spots[0] = at[world] + random.uniform(-0.5, 0.5, 2)  # one that may be hit
                rows[world]["x"], rows[world]["y"], rows[world]["yaw"] = *spots.T, yaws
            rows["half_length"], rows["half_width"] = shape.half_length, shape.half_width
            rows["origin_height"] = shape.origin_height
            route = np.full(num_poses, scene.route(number, reverse))
            state = place(scene, route, at, yaw, car=car)
            state.objects.assign(rows)
            state.crashed_into.fill_(-1)
            locate_objects(scene, state, state.active)
            check_objects(scene, state, camera)
            objects, closest = state.objects.numpy(), state.closest_objects.numpy()[:, 0]
            in_camera, crashed_into = state.object_in_camera.numpy()[:, 0], state.crashed_into.numpy()[:, 0]
            assert ((state.is_crashed.numpy()[:, 0] != 0) == (crashed_into >= 0)).all()
            lines = [line[::-1] if reverse else line for line in (track.center, track.inner, track.outer)]
            reference = RouteReference(*lines, closed=track.closed, reverse=reverse)
            for world in range(num_poses):
                got = {
                    "closest_objects": closest[world],
                    "objects_left_of_center": objects[world]["left_of_center"],
                    "objects_distance": objects[world]["distance"],
                    "objects_distance_from_center": objects[world]["distance_from_center"],
                    "object_in_camera": in_camera[world],
                    "crashed_into": crashed_into[world],
                }
                items = object_references(rows[world])
                expected = reference.object_inputs(items, at[world], yaw[world], camera_reference)
                crashes += int(expected["crashed_into"] >= 0)
                visible += int(expected["object_in_camera"])
                beside = [
                    reference.object_inputs(items, at[world] + nudge, yaw[world] + turn, camera_reference)
                    for nudge, turn in [((NUDGE, 0), 1e-5), ((-NUDGE, 0), -1e-5), ((0, NUDGE), 0), ((0, -NUDGE), 0)]
                ]
                for nudge in NUDGE * np.array([(1, 0), (-1, 0), (0, 1), (0, -1)]):
                    moved = [replace(each, at=each.at + nudge) for each in items]
                    beside.append(reference.object_inputs(moved, at[world], yaw[world], camera_reference))
                front = at[world] + 0.14 * np.array([np.cos(yaw[world]), np.sin(yaw[world])])
                # Outside a corner car and object may project on the same waypoint: which is ahead, the last digit says.
                gaps = np.abs(expected["objects_distance"] - reference.center.project(shapely.Point(front)))
                for name, wanted in expected.items():
                    certain = gaps.min() > 1e-4 or name not in ("closest_objects", "object_in_camera")
                    certain &= np.allclose([other[name] * 1.0 for other in beside], wanted * 1.0, atol=1e-4)
                    uncertain += not certain
                    if certain and not np.allclose(got[name] * 1.0, wanted * 1.0, atol=5e-4):
                        found.append(f"{track.name} {reverse} world {world}: {name} is {got[name]}, expected {wanted}")
    assert not found, "\n".join(found)
    total = len(tracks) * 2 * num_poses
    assert uncertain < 0.01 * 6 * total
    assert 0.05 * total < crashes < 0.95 * total
    assert 0.05 * total < visible < 0.95 * total


def test_beyond_the_ends_of_the_lap_closest_objects_go_on():
    """Before the first object the one behind is the last; with a single object both are that one."""
    sim = simulator(Obstacles(positions=((0.75, 1), (0.25, 1), (0.5, 1))))
    sim.reset([0], [Start(ndist=0.1, prepared=True)])
    closest = []
    for ndist in (0.1, 0.3, 0.6, 0.9):
        sim.reset([0], [Start(ndist=ndist, prepared=True)])
        sim.apply_rules()
        closest.append(sim.state.closest_objects.numpy()[0, 0].tolist())
    assert closest == [[0, 1], [1, 2], [2, 0], [0, 1]]
    alone = simulator(Obstacles(positions=((0.5, 1),)))
    alone.reset([0], [Start(prepared=True)])
    alone.apply_rules()
    assert alone.state.closest_objects.numpy()[0, 0].tolist() == [0, 0]


# Crashes


def test_a_car_on_which_a_box_is_put_has_crashed():
    """In training that ends the episode; the step counts like any other, and in no other world is anything seen."""
    sim = simulator(Obstacles(positions=((0.5, 1),)), 3)
    sim.reset(range(3), [Start(prepared=True)] * 3)
    box = sim.state.objects.numpy()[1][0]
    put(sim, 1, float(box["x"]), float(box["y"]), 0.3)
    sim.apply_rules()
    assert [status(sim, world) for world in range(3)] == [Status.IN_PROGRESS, Status.CRASHED, Status.IN_PROGRESS]
    assert sim.state.is_crashed.numpy()[:, 0].tolist() == [0, 1, 0]
    assert sim.state.terminated.numpy()[:, 0].tolist() == [0, 1, 0]
    assert sim.state.running.numpy()[1, 0] == 1
    assert sim.state.crashed_into.numpy()[1, 0] == 0


def test_only_the_cars_corners_count():
    """A corner of the box within the car is no crash, as in the original, nor is anything before the car runs."""
    sim = simulator(Obstacles(positions=((0.5, 1),)))
    sim.reset([0], [Start(prepared=True)])
    box = sim.state.objects.numpy()[0][0]
    yaw = float(box["yaw"]) + np.pi / 4
    # Head on against a corner of the box, which sticks 5 cm into the front of the car between its own corners.
    reach = np.hypot(0.25, 0.2) - 0.05 + 0.16176
    toward = float(box["yaw"]) + np.arctan2(0.2, 0.25)
    x, y = float(box["x"]) - reach * np.cos(toward), float(box["y"]) - reach * np.sin(toward)
    put(sim, 0, x, y, toward)
    sim.apply_rules()
    assert status(sim) is Status.IN_PROGRESS
    put(sim, 0, x + 0.15 * np.cos(toward), y + 0.15 * np.sin(toward), toward)
    sim.apply_rules()
    assert status(sim) is Status.CRASHED
    sim.reset([0], [Start()])
    put(sim, 0, float(box["x"]), float(box["y"]), yaw)
    sim.apply_rules()
    assert status(sim) is Status.PREPARE
    assert value(sim, "is_crashed") == 0


def test_off_the_track_comes_before_a_crash():
    """Of several rules the first in order names the step; the reward function still learns of the crash."""
    sim = simulator(Obstacles(positions=((0.5, 1),)))
    sim.reset([0], [Start(prepared=True)])
    rows = sim.state.objects.numpy().copy()
    rows["x"], rows["y"] = 5.0, 5.0
    sim.state.objects.assign(rows)
    put(sim, 0, 5.0, 5.0, 0.0)
    sim.apply_rules()
    assert status(sim) is Status.OFF_TRACK
    assert value(sim, "is_crashed") == 1


# Where cars are put


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("lane", [1, -1])
def test_a_car_does_not_start_beside_an_object_but_on_the_other_lane(lane: int, reverse: bool):
    """Within a meter along the center line, either way; farther off it starts on the center line."""
    track = load_track("first_lap")
    length = track.length
    sim = simulator(Obstacles(positions=((0.5, lane),)), track=track)
    route = sim.scene.routes[int(reverse)]
    opposite = shapely.LineString(route.lane("outer" if lane == 1 else "inner"))
    center = shapely.LineString(route.center)
    for gap in (-1.2, -0.9, 0.0, 0.9, 1.2):
        sim.reset([0], [Start(ndist=0.5 + gap / length, reverse=reverse)])
        x, y, yaw = origin(sim)
        beside = opposite if abs(gap) < 1.0 else center
        on_center = center.interpolate(0.5 * length + gap)
        spot = beside.interpolate(beside.project(on_center))
        assert np.hypot(x - spot.x, y - spot.y) < 1e-4
        ahead = beside.interpolate(beside.project(spot) + 0.01)
        assert np.cos(yaw - np.arctan2(ahead.y - spot.y, ahead.x - spot.x)) > 0.99


def mishap(sim: Simulator, *, onto: int | None = None) -> None:
    """Drive all cars into an object's place, or off the track."""
    for world in range(sim.num_worlds):
        if onto is None:
            x, y, yaw = origin(sim, world)
            put(sim, world, 3.0 * x, 3.0 * y, yaw)
        else:
            box = sim.state.objects.numpy()[world][onto]
            put(sim, world, float(box["x"]), float(box["y"]), float(box["yaw"]))
    sim.step()


@pytest.mark.parametrize("start", [0.0, 0.35])
@pytest.mark.parametrize("lane", [1, -1])
def test_after_a_crash_a_car_waits_and_goes_on_behind_the_obstacle_on_the_other_lane(lane: int, start: float):
    """The collision penalty, then a meter before the obstacle; wherever the episode began."""
    track = load_track("first_lap")
    sim = simulator(
        Obstacles(positions=((0.8, 1), (0.5, lane))),
        track=track,
        number_of_resets=3,
        collision_penalty=0.4,
        off_track_penalty=9.0,
    )
    sim.reset([0], [Start(ndist=start, prepared=True)])
    sim.step()
    mishap(sim, onto=1)
    assert status(sim) is Status.CRASHED
    assert value(sim, "pause_duration") == pytest.approx(0.4)
    obstacle = track.project(np.array([sim.state.objects.numpy()[0][1][each] for each in ("x", "y")]))
    opposite = shapely.LineString(track.lane("outer" if lane == 1 else "inner"))
    spot = opposite.interpolate(opposite.project(shapely.Point(track.point_at(obstacle - 1.0))))
    x, y, _ = origin(sim)
    assert np.hypot(x - spot.x, y - spot.y) < 1e-3
    for _ in range(6):
        sim.step()
        assert status(sim) is Status.PAUSE
    sim.step()
    assert status(sim) is Status.IN_PROGRESS
    assert value(sim, "resets") == 1


def test_a_car_that_left_the_track_near_an_obstacle_is_put_behind_it_too():
    """Otherwise on the nearer lane, as without obstacles."""
    track = load_track("first_lap")
    with_obstacle = simulator(Obstacles(positions=((0.5, 1),)), 2, track=track, number_of_resets=1)
    without = Simulator(Scene([track], RaceRules(number_of_resets=1)), 2, camera=None)
    near = 0.5 - 0.7 / track.length
    for sim in (with_obstacle, without):
        sim.reset(range(2), [Start(ndist=near, prepared=True), Start(ndist=0.2, prepared=True)])
        sim.step()
        for world in range(2):
            x, y, yaw = origin(sim, world)
            put(sim, world, x - 5.0 * np.sin(yaw), y + 5.0 * np.cos(yaw), yaw)
        sim.step()
        assert [status(sim, world) for world in range(2)] == [Status.OFF_TRACK] * 2
    obstacle = track.project(np.array([with_obstacle.state.objects.numpy()[0][0][each] for each in ("x", "y")]))
    x, y, _ = origin(with_obstacle)
    assert track.project(np.array([x, y])) == pytest.approx(obstacle - 1.0, abs=0.05)
    assert origin(with_obstacle, 1) == origin(without, 1)


def test_behind_an_obstacle_at_the_start_of_the_lap_is_the_end_of_the_lap():
    """On a loop; an open track begins at its start."""
    track = load_track("first_lap")
    sim = simulator(Obstacles(positions=((0.3 / track.length, 1),)), track=track, number_of_resets=1)
    sim.reset([0], [Start(ndist=0.9, prepared=True)])
    sim.step()
    mishap(sim, onto=0)
    x, y, _ = origin(sim)
    assert track.project(np.array([x, y])) == pytest.approx(track.length - 0.7, abs=0.05)


# Worlds


def starts(worlds: Sequence[int]) -> list[Start]:
    return [
        Start(ndist=0.13 * k % 1, reverse=k % 3 == 0, track=k % 2, seed=40 + k, prepared=k % 2 == 0) for k in worlds
    ]


def test_worlds_with_objects_know_nothing_of_each_other():
    """64 at once equal one by one, bit for bit in state and images: through crashes, resets, colors of their own."""
    obstacles = Obstacles(number=4, min_distance=1.0, randomize=True)
    rules = RaceRules(number_of_resets=2, collision_penalty=0.2)
    scene = Scene([load_track("first_lap"), ring()], rules, obstacles=obstacles)
    num_worlds, num_steps = 24, 25
    many = Simulator(scene, num_worlds, variation=1.0, randomize_domain=True)
    alone = Simulator(scene, 1, variation=1.0, randomize_domain=True, grounds=many.grounds)
    everything, single_world = fields_of(many), fields_of(alone)
    told = np.random.default_rng(2).uniform([[-12.0], [1.5]], [[12.0], [3.5]], (num_steps, 2, num_worlds))
    many.reset(range(num_worlds), starts(range(num_worlds)))
    history = []
    for steering, speed in told:
        many.command(steering, speed)
        many.step()
        history.append([bytes_of(everything, [world]) for world in range(num_worlds)])
    assert len(set(many.state.crashed_into.numpy()[:, 0].tolist())) > 1
    for world in range(0, num_worlds, 3):
        alone.reset([0], starts([world]))
        for step, (steering, speed) in enumerate(told):
            alone.command(steering[world : world + 1], speed[world : world + 1])
            alone.step()
            ignored = {name: b"" for name in ("steering", "speed", "crashed_into")}
            assert bytes_of(single_world, [0]) | ignored == history[step][world] | ignored, (
                f"world {world}, step {step}"
            )


def test_the_same_seed_gives_the_same_places_and_colors():
    """Places and colors belong to the episode; what has one paint in the original has one color."""
    sim = Simulator(
        Scene([load_track("first_lap")], obstacles=Obstacles(number=2, bot_car=True, randomize=True)),
        3,
        camera=None,
        randomize_domain=True,
    )
    sim.reset(range(3), [Start(seed=1), Start(seed=2), Start(seed=1)])
    objects, colors = sim.state.objects.numpy(), sim.state.box_colors.numpy()
    assert objects[0].tobytes() == objects[2].tobytes() != objects[1].tobytes()
    assert colors[0].tobytes() == colors[2].tobytes() != colors[1].tobytes()
    per_car = colors.reshape(3, 2, 3, 3)
    assert (per_car == per_car[:, :, :1]).all()
    assert (per_car[:, 0] != per_car[:, 1]).all()
    assert colors.min() >= 0.0
    assert colors.max() <= 255.0


def test_without_domain_randomization_colors_are_the_models():
    sim = simulator(Obstacles(number=2), 2)
    sim.reset(range(2), [Start(seed=1), Start(seed=2)])
    np.testing.assert_array_equal(sim.state.box_colors.numpy(), np.full((2, 2, 3), (123, 97, 79)))


def test_an_obstacle_far_away_changes_nothing_but_what_is_said_of_it():
    """The same drive with and without: cars, rules and the car's own randomness are the same bytes."""
    track = load_track("first_lap")
    with_it = Simulator(Scene([track], obstacles=Obstacles(positions=((0.75, 1),))), 4, variation=1.0, camera=None)
    without = Simulator(Scene([track]), 4, variation=1.0, camera=None)
    for sim in (with_it, without):
        sim.reset(range(4), [Start(ndist=0.1 * k, seed=k) for k in range(4)])
        for _ in range(30):
            drive_along(sim)
    said = {"objects", "box_colors", "closest_objects", "object_in_camera"}
    ours, theirs = snapshot(with_it, range(4)), snapshot(without, range(4))
    for name in ours.keys() - said:
        assert ours[name] == theirs[name], name

"""Phases, race rules, resets and laps of an episode, case by case; and worlds that know nothing of each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
import shapely

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import Status
from hotlap.sim.scene import RaceRules, Scene
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.sim.state import Phase, State
from hotlap.sim.vehicle import MOTION_DTYPE, VEHICLES, vehicle_constants
from hotlap.tracks.catalog import load_track
from hotlap.tracks.track import Track

ORIGIN_AHEAD = VEHICLES["v5"].origin_ahead_of_cg_m


def ring(radius: float = 1.3, half_width: float = 0.4, num_rows: int = 41) -> Track:
    """A round track, driven counter-clockwise."""
    angle = np.linspace(0, 2 * np.pi, num_rows)
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Track("ring", radius * unit, (radius - half_width) * unit, (radius + half_width) * unit, closed=True)


def simulator(num_worlds: int = 1, *, track: Track | None = None, **rules: float) -> Simulator:
    """Cars without cameras on a ring."""
    scene = Scene([track or ring()], RaceRules(**rules))  # type: ignore[arg-type]
    return Simulator(scene, num_worlds, camera=None)


def put(sim: Simulator, world: int, x: float, y: float, yaw: float) -> None:
    """Move a car by hand, its origin to this pose, at rest."""
    motion = sim.state.motion.numpy()[:, 0]
    motion[world] = np.zeros((), dtype=MOTION_DTYPE)
    motion["x"][world] = x - ORIGIN_AHEAD * np.cos(yaw)
    motion["y"][world] = y - ORIGIN_AHEAD * np.sin(yaw)
    motion["yaw"][world] = yaw
    sim.state.motion.assign(motion)


def put_at(sim: Simulator, s: float, *, n: float = 0.0, world: int = 0) -> None:
    """Move a car by hand, its origin to arc length ``s`` [m] and ``n`` [m] left of the center line of the ring."""
    track = sim.scene.tracks[0]
    x, y, yaw = (float(value) for value in track.pose_at(s))
    put(sim, world, x - n * np.sin(yaw), y + n * np.cos(yaw), yaw)


def origin(sim: Simulator, world: int = 0) -> tuple[float, float, float]:
    """Pose of a car's origin."""
    motion = sim.state.motion.numpy()[world, 0]
    yaw = float(motion["yaw"])
    return motion["x"] + ORIGIN_AHEAD * np.cos(yaw), motion["y"] + ORIGIN_AHEAD * np.sin(yaw), yaw


def status(sim: Simulator, world: int = 0) -> Status:
    return Status(int(sim.state.status.numpy()[world, 0]))


def value(sim: Simulator, field: str, world: int = 0) -> float:
    return np.ravel(getattr(sim.state, field).numpy()[world])[0].item()


def drive_along(sim: Simulator, speed: float = 1.2, lookahead: float = 0.5) -> None:
    """One step of all cars toward the center line a little ahead."""
    motion = sim.state.motion.numpy()[:, 0]
    steering = np.zeros(sim.num_worlds)
    for world, route in enumerate(sim.state.route.numpy()):
        track = sim.scene.routes[route]
        here = np.array([motion["x"][world], motion["y"][world]])
        target = track.point_at(track.project(here) + lookahead)
        bearing = np.arctan2(*(target - here)[::-1]) - motion["yaw"][world]
        steering[world] = np.rad2deg(2.0 * ((bearing + np.pi) % (2 * np.pi) - np.pi))
    sim.command(steering, np.full(sim.num_worlds, speed))
    sim.step()


# Phases


def test_the_prepare_step_holds_the_car_and_asks_nobody():
    """Step 1 is not the policy's: the car stands, the reward function is not asked. From step 2 on actions count."""
    sim = simulator()
    sim.reset([0], [Start(ndist=0.3)])
    start = origin(sim)
    sim.command(np.array([10.0]), np.array([2.0]))
    sim.step()
    assert status(sim) is Status.PREPARE
    assert (value(sim, "steps"), value(sim, "running"), value(sim, "drives")) == (1, 0, 0)
    assert origin(sim) == start
    sim.step()
    assert status(sim) is Status.IN_PROGRESS
    assert (value(sim, "steps"), value(sim, "running"), value(sim, "drives")) == (2, 1, 1)
    # Seen before the action had any effect, moved after.
    assert value(sim, "progress") == pytest.approx(100 * 0.14 / sim.scene.tracks[0].length, rel=0.05)
    assert origin(sim) != start


def test_a_prepared_start_begins_with_step_2():
    """Environments skip the step that nobody decides; what follows is the same."""
    skipping, playing = simulator(), simulator()
    skipping.reset([0], [Start(prepared=True)])
    playing.reset([0], [Start()])
    playing.command(np.array([5.0]), np.array([1.0]))
    playing.step()
    for _ in range(10):
        for sim in (skipping, playing):
            sim.command(np.array([5.0]), np.array([1.0]))
            sim.step()
        assert value(skipping, "steps") == value(playing, "steps")
        assert origin(skipping) == origin(playing)
        assert value(skipping, "progress") == value(playing, "progress")


@pytest.mark.parametrize("reverse", [False, True])
def test_a_lap_from_any_start_ends_at_exactly_100(reverse: bool):
    """One complete round from wherever the car was put, either way round; the last step counts like any other."""
    sim = simulator(5)
    sim.reset(range(5), [Start(ndist=ndist, reverse=reverse) for ndist in (0.0, 0.2, 0.5, 0.98, 1.0)])
    track = sim.scene.tracks[0]
    last = np.zeros(5)
    for _ in range(200):
        before = sim.state.active.numpy()[:, 0].copy()
        drive_along(sim)
        ended = (before == 1) & (sim.state.active.numpy()[:, 0] == 0)
        assert np.all(sim.state.progress.numpy()[:, 0][before == 0] == 100.0)
        for world in np.flatnonzero(ended):
            assert status(sim, world) is Status.LAP_COMPLETE
            assert value(sim, "progress", world) == 100.0
            assert (value(sim, "terminated", world), value(sim, "truncated", world)) == (1, 0)
            assert value(sim, "running", world) == 1
        last[ended] = sim.state.steps.numpy()[:, 0][ended]
    assert not sim.state.active.numpy()[:, 0].any()
    # At 1.2 m/s and 15 steps a second, from rest; a shortcut or a second round would show.
    np.testing.assert_allclose(last, track.length / 1.2 * 15, rtol=0.15)


def test_leaving_the_road_ends_the_episode_when_the_last_wheel_is_off():
    """is_offtrack is true in exactly one step, the last; with one wheel on the road the race goes on."""
    sim = simulator()
    sim.reset([0], [Start()])
    sim.command(np.array([0.0]), np.array([2.0]))
    found = []
    while sim.state.active.numpy()[0, 0]:
        sim.step()
        found.append((value(sim, "is_offtrack"), value(sim, "all_wheels_on_track"), status(sim)))
    assert [row[0] for row in found] == [0] * (len(found) - 1) + [1]
    assert found[-1] == (1, 0, Status.OFF_TRACK)
    assert (0, 0, Status.IN_PROGRESS) in found  # some wheels off
    assert (value(sim, "terminated"), value(sim, "running")) == (1, 1)


def test_standing_still_for_15_steps_of_the_run_phase_ends_the_episode():
    """The threshold is 0.3 mm of the car's origin a step; the prepare step does not count."""
    still, creeping = simulator(), simulator()
    for sim in (still, creeping):
        sim.reset([0], [Start()])
        for step in range(1, 17):
            sim.apply_rules()
            put_at(sim, 0.0 if sim is still else 0.0004 * step)
            assert bool(value(sim, "active")) == (step < 16 or sim is creeping)
    assert status(still) is Status.IMMOBILIZED
    assert status(creeping) is Status.IN_PROGRESS


def test_falling_progress_for_15_steps_in_a_row_ends_the_episode():
    """One step forward in between starts the count anew."""
    straight_back, hesitating = simulator(), simulator()
    for sim, forward in ((straight_back, ()), (hesitating, (10, 20))):
        sim.reset([0], [Start(ndist=0.5)])
        s = 0.5 * sim.scene.tracks[0].length
        for step in range(1, 17):
            put_at(sim, s)
            s += 0.02 if step in forward else -0.02
            sim.apply_rules()
            assert bool(value(sim, "active")) == (step < 16 or sim is hesitating)
    assert status(straight_back) is Status.REVERSED
    assert status(hesitating) is Status.IN_PROGRESS


def test_the_number_of_reverse_steps_is_a_rule():
    """NUMBER_OF_REVERSE_COUNTS."""
    sim = simulator(reverse_count=3)
    sim.reset([0], [Start(ndist=0.5)])
    for step in range(1, 5):
        put_at(sim, 3.0 - 0.02 * step)
        sim.apply_rules()
    assert status(sim) is Status.REVERSED


def test_of_several_rules_the_first_in_order_names_the_step():
    """Lap complete, immobilised, off track, reversed."""
    sim = simulator(3)
    sim.reset(range(3), [Start(prepared=True)] * 3)
    state = sim.state
    # World 0 passes the line off the road; world 1 stands off the road; world 2 drives back off the road.
    put_at(sim, 0.02, n=0.9, world=0)
    put_at(sim, 2.0, n=0.9, world=1)
    put_at(sim, 2.0, n=0.9, world=2)
    state.previous_progress.assign(np.array([99.0, 20.0, 40.0], dtype=np.float32))
    state.still_count.assign(np.array([14, 14, 0], dtype=np.int32))
    state.reverse_count.assign(np.array([0, 0, 14], dtype=np.int32))
    x, y, _ = origin(sim, 1)
    state.origin_x.assign(np.array([0, x, 0], dtype=np.float32))
    state.origin_y.assign(np.array([0, y, 0], dtype=np.float32))
    sim.apply_rules()
    assert state.is_offtrack.numpy()[:, 0].tolist() == [1, 1, 1]
    assert [status(sim, world) for world in range(3)] == [Status.LAP_COMPLETE, Status.IMMOBILIZED, Status.OFF_TRACK]


# Resets and penalties


@pytest.mark.parametrize(("penalty", "num_pauses"), [(0.0, 1), (0.05, 1), (1.0, 15), (2.0, 30), (5.0, 75)])
def test_a_mishap_that_is_forgiven_costs_its_penalty(penalty: float, num_pauses: int):
    """The car waits out the penalty at rest, at least one step; nobody is asked, steps count on, then it drives."""
    sim = simulator(number_of_resets=1, off_track_penalty=penalty)
    sim.reset([0], [Start(prepared=True)])
    sim.command(np.array([0.0]), np.array([1.0]))
    sim.step()
    put_at(sim, 2.0)
    sim.step()
    put_at(sim, 2.2, n=0.9)
    sim.step()
    assert status(sim) is Status.OFF_TRACK
    assert (value(sim, "terminated"), value(sim, "running"), value(sim, "is_offtrack")) == (0, 1, 1)
    assert value(sim, "pause_duration") == pytest.approx(penalty)
    waiting = origin(sim)
    steps = value(sim, "steps")
    for pause in range(1, num_pauses + 1):
        sim.step()
        assert status(sim) is Status.PAUSE
        assert (value(sim, "running"), value(sim, "drives"), value(sim, "active")) == (0, 0, 1)
        assert value(sim, "pause_duration") == pytest.approx(max(penalty - pause * CONTROL_PERIOD, 0), abs=1e-4)
        assert origin(sim) == waiting
    sim.step()
    assert status(sim) is Status.IN_PROGRESS
    assert value(sim, "steps") == steps + num_pauses + 1
    assert origin(sim) != waiting


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("start", [0.0, 0.7])
@pytest.mark.parametrize("side", [0.3, -0.3])
def test_a_car_is_put_back_on_the_lane_it_was_nearer_to(side: float, start: float, reverse: bool):
    """Beside the point of the center line of the step before, heading to the lane's next waypoint, at rest."""
    sim = simulator(number_of_resets=1)
    track = sim.scene.routes[int(reverse)]
    sim.reset([0], [Start(ndist=start, reverse=reverse, prepared=True)])
    s = (start + 0.33) * track.length
    for n in (side, 3 * side):
        x, y, yaw = (float(each) for each in track.pose_at(s))
        put(sim, 0, x - n * np.sin(yaw), y + n * np.cos(yaw), yaw)
        before = value(sim, "previous_progress")
        sim.step()
    assert status(sim) is Status.OFF_TRACK

    center = shapely.LineString(track.center)
    arc = (start + before / 100) % 1 * track.length
    point = center.interpolate(arc)
    was = shapely.Point(x - side * np.sin(yaw), y + side * np.cos(yaw))
    lanes = [track.lane("inner"), track.lane("outer")]
    spots = [shapely.LineString(lane).project(point) for lane in lanes]
    lines = [shapely.LineString(lane) for lane in lanes]
    distances = [line.interpolate(spot).distance(was) for line, spot in zip(lines, spots, strict=True)]
    nearer = int(np.argmin(distances))
    lane, spot = lanes[nearer], spots[nearer]
    arcs = np.array([shapely.LineString(lane).project(shapely.Point(vertex)) for vertex in lane[:-1]])
    following = lane[int(np.searchsorted(arcs, spot, side="right"))]
    expected = shapely.LineString(lane).interpolate(spot)
    got_x, got_y, got_yaw = origin(sim)
    assert np.hypot(got_x - expected.x, got_y - expected.y) < 1e-4
    assert np.cos(got_yaw - np.arctan2(following[1] - expected.y, following[0] - expected.x)) > 1 - 1e-6
    assert sim.state.motion.numpy()[0, 0]["u"] == 0.0


def test_a_mishap_too_many_ends_the_episode():
    """Two are forgiven, the third is not: a reset more than NUMBER_OF_RESETS."""
    sim = simulator(number_of_resets=2, off_track_penalty=0.0)
    sim.reset([0], [Start(prepared=True)])
    statuses = []
    while value(sim, "active"):
        put_at(sim, 1.0, n=0.9)
        sim.apply_rules()
        sim.drive()
        statuses.append(status(sim))
    assert statuses == [Status.OFF_TRACK, Status.PAUSE, Status.OFF_TRACK, Status.PAUSE, Status.OFF_TRACK]
    assert (value(sim, "terminated"), value(sim, "resets")) == (1, 2)


def test_standing_still_costs_no_penalty_and_counts_anew_after_the_reset():
    """An immobilised car is put back after one step, and has its 15 steps again."""
    sim = simulator(number_of_resets=1, off_track_penalty=5.0)
    sim.reset([0], [Start(prepared=True)])
    statuses = []
    for step in range(40):
        sim.apply_rules()
        statuses.append(status(sim))
        if step == 14:
            sim.drive()
        if not value(sim, "active"):
            break
    assert statuses[14:16] == [Status.IMMOBILIZED, Status.PAUSE]
    assert len(statuses) == 15 + 1 + 15
    assert statuses[-1] is Status.IMMOBILIZED


def test_laps_of_a_continuous_race_count_on_and_only_the_last_one_ends_it():
    """Progress reaches 100 in each lap and restarts; the trace calls the laps before the last `in_progress`."""
    sim = simulator(number_of_laps=3)
    sim.reset([0], [Start()])
    rows = []
    while value(sim, "active"):
        drive_along(sim)
        rows.append((value(sim, "progress"), status(sim)))
    ends = [k for k, (progress, _) in enumerate(rows) if progress == 100.0]
    assert [rows[k][1] for k in ends] == [Status.IN_PROGRESS, Status.IN_PROGRESS, Status.LAP_COMPLETE]
    assert ends[-1] == len(rows) - 1
    for k in ends[:-1]:
        assert 0.0 < rows[k + 1][0] < 3.0
    lengths = np.diff([0, *ends])
    assert lengths.max() - lengths.min() < 12  # the first one starts from rest
    assert value(sim, "steps") == len(rows)


@pytest.mark.parametrize("num_laps", [1, 2])
def test_a_car_put_back_at_the_finish_line_completes_its_lap_in_the_pause(num_laps: int):
    """Its front point is 0.14 m ahead of where it is put. The lap counts, or the next one would never end."""
    sim = simulator(number_of_resets=1, off_track_penalty=0.2, number_of_laps=num_laps)
    sim.reset([0], [Start(prepared=True)])
    length = sim.scene.tracks[0].length
    sim.state.previous_progress.fill_(99.0)
    put_at(sim, 0.995 * length - 0.14)
    sim.apply_rules()
    put_at(sim, 0.996 * length - 0.14, n=-0.9)
    sim.apply_rules()
    sim.drive()
    assert status(sim) is Status.OFF_TRACK
    sim.step()
    assert value(sim, "progress") == 100.0
    assert value(sim, "laps") == 1
    assert value(sim, "running") == 0
    if num_laps == 1:
        assert status(sim) is Status.LAP_COMPLETE
        assert value(sim, "terminated") == 1
    else:
        assert status(sim) is Status.PAUSE
        sim.step()
        assert 0.0 < value(sim, "progress") < 5.0
        assert value(sim, "laps") == 1


def test_the_step_limit_truncates_and_a_lap_in_that_step_still_terminates():
    """Nobody made a mistake when time is up."""
    sim = simulator(2, max_steps=10)
    sim.reset([0, 1], [Start(), Start()])
    for _ in range(9):
        drive_along(sim)
    put_at(sim, 0.01, world=1)
    previous = sim.state.previous_progress.numpy()[:, 0].copy()
    previous[1] = 99.9
    sim.state.previous_progress.assign(previous)
    assert sim.state.active.numpy()[:, 0].all()
    drive_along(sim)
    # What comes after time is up is still driven and seen; after a lap nothing is.
    assert sim.state.drives.numpy()[:, 0].tolist() == sim.state.looks.numpy()[:, 0].tolist() == [1, 0]
    assert [status(sim, 0), status(sim, 1)] == [Status.TIME_UP, Status.LAP_COMPLETE]
    assert sim.state.truncated.numpy()[:, 0].tolist() == [1, 0]
    assert sim.state.terminated.numpy()[:, 0].tolist() == [0, 1]
    assert sim.state.steps.numpy()[:, 0].tolist() == [10, 10]


def test_commands_are_clipped_to_what_the_actuators_can_do():
    """0.1 to 4.0 m/s and 30 degrees either way, as the original's."""
    sim = simulator(4)
    sim.reset(range(4), [Start(prepared=True)] * 4)
    sim.command(np.array([45.0, 30.0, -5.0, -5.0]), np.array([1.0, 1.0, 0.0, 0.1]))
    for _ in range(5):
        sim.step()
    motion = sim.state.motion.numpy()[:, 0]
    assert motion[0] == motion[1]
    assert motion[2] == motion[3]
    assert motion[2]["u"] > 0


# Worlds


STATE_FIELDS = list(State.vars)


def fields_of(sim: Simulator) -> dict[str, np.ndarray]:
    """Everything about all worlds, as it is now and will be: on the processor arrays of NumPy share Warp's memory."""
    fields = {name: getattr(sim.state, name).numpy() for name in STATE_FIELDS}
    return fields if sim.images is None else fields | {"images": sim.images.numpy()}


def bytes_of(fields: dict[str, np.ndarray], worlds: Sequence[int]) -> dict[str, bytes]:
    """Everything about some worlds, byte for byte."""
    return {name: field[list(worlds)].tobytes() for name, field in fields.items()}


def snapshot(sim: Simulator, worlds: Sequence[int]) -> dict[str, bytes]:
    """Everything about some worlds, byte for byte, as it is now."""
    return bytes_of(fields_of(sim), worlds)


@pytest.fixture(scope="module")
def seeing() -> Simulator:
    """Eight cars with cameras and all differences between episodes, on two tracks."""
    scene = Scene([load_track("first_lap"), ring()], RaceRules(number_of_resets=1, off_track_penalty=0.1))
    return Simulator(scene, 8, variation=1.0)


def starts(num_worlds: int) -> list[Start]:
    return [
        Start(ndist=(0.37 * k) % 1, reverse=k % 3 == 0, track=k % 2, seed=100 + k, prepared=k % 4 == 0)
        for k in range(num_worlds)
    ]


def commands(num_worlds: int, num_steps: int) -> np.ndarray:
    """Steering [deg] and speed [m/s], shape (num_steps, 2, num_worlds): lively, so that some leave the road."""
    rng = np.random.default_rng(5)
    steering = np.clip(np.cumsum(rng.normal(0, 8, (num_steps, num_worlds)), axis=0), -30, 30)
    return np.stack([steering, rng.uniform(1.5, 4.0, (num_steps, num_worlds))], axis=1)


def test_64_worlds_at_once_equal_64_worlds_one_by_one(seeing: Simulator):
    """Bit for bit in state and images, through prepare, mishaps, resets and ends; nothing depends on the neighbors."""
    num_worlds, num_steps = 64, 28
    many = Simulator(seeing.scene, num_worlds, variation=1.0, grounds=seeing.grounds)
    alone = Simulator(seeing.scene, 1, variation=1.0, grounds=seeing.grounds)
    everything, single_world = fields_of(many), fields_of(alone)
    told = commands(num_worlds, num_steps)
    many.reset(range(num_worlds), starts(num_worlds))
    history = []
    for steering, speed in told:
        many.command(steering, speed)
        many.step()
        history.append([bytes_of(everything, [world]) for world in range(num_worlds)])
    reached = {name: {value(many, name, world) for world in range(num_worlds)} for name in ("active", "resets")}
    assert reached == {"active": {0, 1}, "resets": {0, 1}}  # the commands met all cases
    for world in range(num_worlds):
        alone.reset([0], starts(num_worlds)[world : world + 1])
        for step, (steering, speed) in enumerate(told):
            alone.command(steering[world : world + 1], speed[world : world + 1])
            alone.step()
            single = bytes_of(single_world, [0])
            if single["active"] == b"\0\0\0\0" and history[step][world]["active"] == b"\0\0\0\0":
                # An idle world's last commands are the only thing that goes on changing.
                single |= {name: b"" for name in ("steering", "speed")}
                history[step][world] |= {name: b"" for name in ("steering", "speed")}
            assert single == history[step][world], f"world {world}, step {step}"


def test_the_same_seeds_give_the_same_bytes_and_others_do_not(seeing: Simulator):
    """What an episode does follows from its start, its seed and its commands."""
    told = commands(8, 15)

    def play(seed: int) -> dict[str, bytes]:
        seeing.reset(range(8), [Start(track=1, seed=seed + k) for k in range(8)])
        for steering, speed in told:
            seeing.command(steering, speed)
            seeing.step()
        return snapshot(seeing, range(8))

    first = play(1)
    assert play(1) == first
    other = play(77)
    assert other["motion"] != first["motion"]
    assert other["images"] != first["images"]


def test_without_variation_every_car_is_the_nominal_one():
    """The seed has no effect then: same car, steps of exactly 1/15 s."""
    sim = simulator(3)
    sim.reset(range(3), [Start(seed=seed) for seed in (0, 1, 2**62)])
    assert np.all(sim.state.vehicle.numpy()[:, 0] == vehicle_constants(VEHICLES["v5"]))
    assert not sim.state.jitter_seed.numpy()[:, 0].any()
    for _ in range(20):
        drive_along(sim)
    motion = sim.state.motion.numpy()[:, 0]
    assert motion[0] == motion[1] == motion[2]


def test_a_reset_touches_its_own_worlds_only(seeing: Simulator):
    """The others keep state and image, and a new episode forgets the old one."""
    seeing.reset(range(8), starts(8))
    for steering, speed in commands(8, 20):
        seeing.command(steering, speed)
        seeing.step()
    others = [0, 1, 3, 4, 6]
    before = snapshot(seeing, others)
    seeing.reset([7, 2, 5], [Start(seed=k) for k in range(3)])
    assert snapshot(seeing, others) == before
    fresh = Simulator(seeing.scene, 3, variation=1.0, grounds=seeing.grounds)
    fresh.reset(range(3), [Start(seed=k) for k in range(3)])
    found = set(STATE_FIELDS[STATE_FIELDS.index("status") :]) | {"steering", "speed", "drives", "looks"}
    new, expected = snapshot(seeing, [7, 2, 5]), snapshot(fresh, range(3))
    for name in expected.keys() - found | {"terminated", "truncated"}:
        assert new[name] == expected[name], name


def test_a_world_that_is_done_neither_moves_nor_looks(seeing: Simulator):
    """It stays as its last step left it, whatever is commanded; its image is not even written."""
    seeing.reset(range(8), starts(8))
    done = [1, 2, 6]
    seeing.stop(done)
    images = seeing.images
    assert images is not None
    marked = images.numpy().copy()
    marked[done] = 7
    images.assign(marked)
    before = snapshot(seeing, done)
    for steering, speed in commands(8, 5):
        seeing.command(steering, speed)
        seeing.step()
    after = snapshot(seeing, done)
    for name in after.keys() - {"steering", "speed", "drives", "looks"}:
        assert after[name] == before[name], name
    assert not np.any(images.numpy()[[0, 3, 4, 5, 7]] == marked[[0, 3, 4, 5, 7]], axis=0).all()
    assert (seeing.state.phase.numpy()[:, 0][[0, 4]] != int(Phase.DONE)).all()

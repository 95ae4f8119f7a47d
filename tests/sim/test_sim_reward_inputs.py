"""The reward inputs of the kernels against the float64 reference, on every kind of track, both ways round."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import warp as wp
from rules_reference import RouteReference, Wheels, progress_in_turn

from hotlap.sim.race_rules import rules_of
from hotlap.sim.scene import Scene
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.sim.state import Phase, State, make_state
from hotlap.sim.vehicle import MOTION_DTYPE, VEHICLES, vehicle_constants
from hotlap.tracks.catalog import list_tracks, load_track
from hotlap.tracks.track import Track

# Positions are single precision: on a world of 40 m they round by 2 µm. Rows whose answer changes when the car moves by
# ten times that (a nearest point that jumps, a wheel on the edge) have no certain answer.
NUDGE = 2e-5  # [m]
NEAR_VERTEX = 5e-4  # [m]
TOLERANCE = {
    "x": 1e-5,
    "y": 1e-5,
    "heading": 1e-4,
    "distance_from_center": 5e-5,
    "projection_distance": 5e-4,
    "track_width": 5e-4,
}
# From the model files of the original (URDF), in front of the origin and beside the axis [m].
WHEELS = {
    "v5": Wheels(front_x=0.0823, rear_x=-0.0817, front_y=0.0796, rear_y=0.08105),
    "v2": Wheels(front_x=0.195, rear_x=0.0, front_y=0.06, rear_y=0.06),
}


def place(scene: Scene, route: np.ndarray, origin: np.ndarray, yaw: np.ndarray, *, car: str = "v5") -> State:
    """A state in which every world's car is on its ``route`` with its origin at the pose, in the run phase."""
    state = make_state(scene, len(route))
    params = VEHICLES[car]
    motion = np.zeros(len(route), dtype=MOTION_DTYPE)
    motion["x"] = origin[:, 0] - params.origin_ahead_of_cg_m * np.cos(yaw)
    motion["y"] = origin[:, 1] - params.origin_ahead_of_cg_m * np.sin(yaw)
    motion["yaw"] = yaw
    state.motion.assign(motion)
    state.vehicle.assign(np.full(len(route), vehicle_constants(params)))
    state.route.assign(route.astype(np.int32))
    state.phase.fill_(int(Phase.RUN))
    state.active.fill_(1)
    return state


def poses_around(track: Track, num_poses: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """Origins (n, 2) [m] and headings: on the road, on its edges, a little and far off it, in any direction."""
    row = rng.integers(0, len(track.center) - 1, num_poses)
    across = rng.uniform(-1.8, 1.8, num_poses)
    border = np.where((across > 0)[:, None], track.inner[row], track.outer[row])
    along = rng.uniform(0, 1, (num_poses, 1)) * (track.center[row + 1] - track.center[row])
    origin = track.center[row] + along + np.abs(across)[:, None] * (border - track.center[row])
    # In single precision, as the car's own pose is: the reference then starts from the same numbers.
    return origin.astype(np.float32).astype(float), rng.uniform(-np.pi, np.pi, num_poses).astype(np.float32).astype(
        float
    )


def disagreements(tracks: list[Track], num_poses: int, *, car: str = "v5", seed: int = 0) -> tuple[list[str], float]:
    """Compare kernels and reference on random poses, both ways round: what differs, and the share left out."""
    rng = np.random.default_rng(seed)
    scene = Scene(tracks)
    jobs = []
    for number, track in enumerate(tracks):
        for reverse in (False, True):
            origin, yaw = poses_around(track, num_poses, rng)
            jobs.append((scene.route(number, reverse), track, reverse, origin, yaw))
    route = np.concatenate([np.full(num_poses, job[0]) for job in jobs])
    state = place(scene, route, *(np.concatenate([job[k] for job in jobs]) for k in (3, 4)), car=car)
    rules_of(scene, state).launch()

    found, uncertain = [], 0
    for number, (_, track, reverse, origin, yaw) in enumerate(jobs):
        lines = [line[::-1] if reverse else line for line in (track.center, track.inner, track.outer)]
        reference = RouteReference(*lines, closed=track.closed, reverse=reverse)
        expected = reference.inputs(origin, yaw, WHEELS[car])
        # Inside a corner two segments are nearly equally near: which one is, the last digits decide.
        past_vertex = np.abs(reference.arcs - expected["projection_distance"][:, None]).min(axis=1)
        certain = (past_vertex < 1e-9) | (past_vertex > NEAR_VERTEX)
        for nudge in NUDGE * np.array([(1, 0), (-1, 0), (0, 1), (0, -1)]):
            beside = reference.inputs(origin + nudge, yaw, WHEELS[car])
            for name, value in expected.items():
                same = np.abs(beside[name] * 1.0 - value) <= TOLERANCE.get(name, 0.0) + NUDGE * (name in TOLERANCE)
                certain &= same.reshape(num_poses, -1).all(axis=1)
        uncertain += num_poses - int(certain.sum())
        rows = slice(number * num_poses, (number + 1) * num_poses)
        for name, value in expected.items():
            got = getattr(state, name).numpy()[rows, 0]
            wrong = np.abs(got * 1.0 - value).reshape(num_poses, -1).max(axis=1) > TOLERANCE.get(name, 0.0)
            for k in np.flatnonzero(wrong & certain)[:3]:
                found.append(
                    f"{track.name}{' reversed' if reverse else ''} at {origin[k]}, {yaw[k]:.3f}: "
                    f"{name} is {got[k]}, expected {value[k]}"
                )
    return found, uncertain / (len(jobs) * num_poses)


def test_reward_inputs_are_those_of_the_reference_on_all_own_tracks():
    """Own tracks: loops both ways, crossing stretches near each other, an open one."""
    tracks = [load_track(entry.name) for entry in list_tracks() if entry.built_in]
    assert {track.closed for track in tracks} == {True, False}
    found, uncertain = disagreements(tracks, 300)
    assert not found, "\n".join(found)
    assert uncertain < 0.02


def test_reward_inputs_hold_for_the_car_whose_origin_is_its_rear_axle():
    """Version 2 has its origin elsewhere, and other wheels: the front point is still 0.14 m ahead of it."""
    found, uncertain = disagreements([load_track("first_lap")], 1500, car="v2")
    assert not found, "\n".join(found)
    assert uncertain < 0.02


def test_reward_inputs_are_those_of_the_reference_on_real_tracks(reference_data: Path):
    """Real routes have repeated rows, uneven spacing, stretches beside each other and widths that vary."""
    paths = sorted((reference_data / "tracks").glob("*.npy"))
    # A loop that its file leaves open, the inner border on its right: the original would call left right there.
    tracks = [load_track(path) for path in paths if path.stem != "reinvent_base_2019"]
    found, uncertain = disagreements(tracks, 40)
    assert not found, "\n".join(found)
    assert uncertain < 0.02


def circle(radius: float = 2.0, num_rows: int = 9) -> Track:
    """A ring of few, long segments."""
    angle = np.linspace(0, 2 * np.pi, num_rows)
    ring = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return Track("circle", radius * ring, (radius - 0.4) * ring, (radius + 0.4) * ring, closed=True)


def at_front_points(track: Track, front: np.ndarray, yaw: float, *, reverse: bool = False) -> State:
    """The state that the rules find, of cars whose front points are at ``front`` (n, 2)."""
    scene = Scene([track])
    origin = np.asarray(front) - 0.14 * np.array([np.cos(yaw), np.sin(yaw)])
    state = place(scene, np.full(len(origin), scene.route(0, reverse)), origin, np.full(len(origin), yaw))
    rules_of(scene, state).launch()
    return state


def test_closest_waypoints_are_the_ends_of_the_segment_and_use_the_closing_one():
    """On the last segment of a loop the pair is [N-2, N-1]; outside a corner the vertex itself is the previous one."""
    track = circle()
    middle = 0.5 * (track.center[:-1] + track.center[1:])
    state = at_front_points(track, middle, yaw=0.3)
    assert state.closest_waypoints.numpy()[:, 0].tolist() == [[k, k + 1] for k in range(8)]
    outside = 1.2 * track.center[1:-1]
    state = at_front_points(track, outside, yaw=0.3)
    assert state.closest_waypoints.numpy()[:, 0].tolist() == [[k, k + 1] for k in range(1, 8)]
    assert state.nearest_waypoint.numpy()[:, 0].tolist() == list(range(1, 8))


def test_the_next_waypoint_is_0_only_at_the_very_end():
    """Beyond the end of an open track everything projects on its last vertex: lap fraction exactly 1."""
    line = np.stack([np.linspace(0, 5, 6), np.zeros(6)], axis=1)
    across = np.array([0.0, 0.5])
    track = Track("straight", line, line + across, line - across, closed=False)
    state = at_front_points(track, np.array([[5.5, 0.1], [4.9, 0.1], [-1.0, 0.1]]), yaw=0.0)
    assert state.closest_waypoints.numpy()[:, 0].tolist() == [[5, 0], [4, 5], [0, 1]]
    assert state.nearest_waypoint.numpy()[:, 0].tolist() == [5, 5, 0]
    assert state.projection_distance.numpy()[:, 0].tolist() == pytest.approx([5.0, 4.9, 0.0], abs=1e-6)


@pytest.mark.parametrize("closed", [True, False])
@pytest.mark.parametrize("reverse", [False, True])
def test_left_is_left_in_the_direction_of_travel(closed: bool, reverse: bool):
    """Whatever the direction, a point to the left of the heading along the track is left of center."""
    if closed:
        track = circle(num_rows=65)
        point, tangent = track.center[5], track.center[6] - track.center[5]
    else:
        line = np.stack([np.linspace(0, 5, 6), np.zeros(6)], axis=1)
        across = np.array([0.0, 0.5])
        track = Track("straight", line, line + across, line - across, closed=False)
        point, tangent = np.array([2.5, 0.0]), np.array([1.0, 0.0])
    tangent = tangent / np.hypot(*tangent) * (-1 if reverse else 1)
    left = np.array([-tangent[1], tangent[0]])
    state = at_front_points(
        track,
        np.array([point + 0.2 * left, point - 0.2 * left]),
        yaw=float(np.arctan2(*tangent[::-1])),
        reverse=reverse,
    )
    assert state.is_left_of_center.numpy()[:, 0].tolist() == [1, 0]


def test_progress_follows_the_recurrence_over_the_start_line_and_back():
    """Wherever an episode starts: forward over the line, backward over it, standing at the start, around and around."""
    rng = np.random.default_rng(3)
    track = load_track("first_lap")
    scene = Scene([track])
    num_worlds, num_steps = 32, 80
    starts = rng.uniform(0, 1, num_worlds).astype(np.float32)
    starts[:4] = 0.0
    # Random walks: some drive laps, some reverse over their start at once.
    drift = rng.uniform(-0.02, 0.05, num_worlds)
    walk = starts + np.cumsum(drift + rng.normal(0, 0.02, (num_steps, num_worlds)), axis=0)
    state = place(scene, np.zeros(num_worlds), np.zeros((num_worlds, 2)), np.zeros(num_worlds))
    state.start_ndist.assign(starts)
    ndist, progress = np.empty((2, num_steps, num_worlds))
    for step in range(num_steps):
        state.active.fill_(1)  # off the track or done, its rules go on
        state.phase.fill_(int(Phase.RUN))
        state.laps.fill_(0)
        state.resets.fill_(0)
        x, y, yaw = track.pose_at((walk[step] % 1) * track.length)
        moved = place(scene, np.zeros(num_worlds), np.stack([x, y], axis=1), yaw)
        wp.copy(state.motion, moved.motion)
        rules_of(scene, state).launch()
        ndist[step] = state.projection_distance.numpy()[:, 0] / np.float32(track.length)
        progress[step] = state.progress.numpy()[:, 0]
    for world in range(num_worlds):
        expected = progress_in_turn(ndist[:, world], starts[world])
        np.testing.assert_allclose(progress[:, world], expected, atol=1e-3)
    assert progress.max() == 100.0  # exactly: many reward functions ask for equality
    assert progress.min() < -5.0


def test_the_first_progress_is_that_of_the_front_point():
    """The car stands on its start with its origin, so the first progress is 0.14 m of the lap, from every start."""
    track = load_track("first_lap")
    simulator = Simulator(Scene([track]), 20, camera=None)
    simulator.reset(range(20), [Start(ndist=k / 20, reverse=k % 2 == 1) for k in range(20)])
    simulator.apply_rules()
    np.testing.assert_allclose(simulator.state.progress.numpy()[:, 0], 100 * 0.14 / track.length, rtol=0.1)


def test_heading_is_in_degrees_within_half_a_turn():
    """Left of the -x axis it is nearly 180, right of it nearly -180."""
    track = circle()
    yaw = np.array([np.pi - 1e-3, -np.pi + 1e-3, np.pi / 2])
    scene = Scene([track])
    state = place(scene, np.zeros(3), np.zeros((3, 2)), yaw)
    rules_of(scene, state).launch()
    np.testing.assert_allclose(state.heading.numpy()[:, 0], np.rad2deg(yaw), atol=1e-4)

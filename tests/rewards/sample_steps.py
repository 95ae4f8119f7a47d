"""Steps of every kind that a reward function may meet, made from a track: to call it before a car does."""

from __future__ import annotations

import numpy as np

from hotlap.tracks import Track

FRONT_POINT_AHEAD = 0.14  # [m] from the car's origin to the point that x and y tell
STEPS_PER_SECOND = 15.0

# Wheel centres around the car's origin [m]: forward, left.
_WHEELS = np.array([(0.082, 0.09), (0.082, -0.09), (-0.082, 0.09), (-0.082, -0.09)])

_STEERING = (-30.0, -15.0, 0.0, 15.0, 30.0)


def sample_steps(track: Track, *, route: int = 0, reversed_route: int = 1) -> dict[str, dict[str, np.ndarray]]:
    """Columns for `RewardParams` by the kind of step, in an order as a run might bring them.

    Args:
        track: The track in driving direction.
        route: The number of the track among the routes of the `RewardParams`.
        reversed_route: The number of the same track driven the other way.
    """
    length = track.length
    around = np.linspace(0.02, 0.97, 24) * length
    steering = np.resize(_STEERING, len(around))
    side = np.resize([-1.0, 1.0], len(around))
    width = track.width_at(around)
    lap = np.arange(0.14, length, 0.12)  # 1.8 m/s
    weave = 0.3 * track.width_at(lap) * np.sin(2 * np.pi * lap / 3.0)

    kinds = {
        "first step": _drive(track, np.array([0.14]), steps=np.array([2.0])),
        "lap": _drive(
            track, lap, offset=weave, steering=np.resize(_STEERING, len(lap)), steps=2.0 + np.arange(len(lap))
        ),
        "lap complete": _drive(track, np.array([0.995 * length]), progress=100.0, steps=np.array([2.0 + len(lap)])),
        "on the centre line": _drive(track, around, steering=steering),
        "off the centre": _drive(track, around, offset=0.25 * side * width, steering=steering),
        "near the border": _drive(track, around, offset=0.48 * side * width, steering=steering),
        "off the track": _drive(track, around, offset=side * (0.5 * width + 0.35), steering=steering),
        "far off the track": _drive(track, around, offset=side * (width + 3.0)),
        "facing backwards": _drive(track, around, backwards=True, progress=-3.0),
        "slow": _drive(track, around, speed=0.1, steering=steering, steps=np.full(len(around), 3000.0)),
        "fast": _drive(track, around, speed=4.0, steering=steering),
        "crashed": _drive(track, around[:4], is_crashed=True),
        "reversed direction": _drive(track.reversed(), around, steering=steering, is_reversed=True),
    }
    if track.closed:
        # Around the line the closest waypoints jump from the last to the first.
        near = np.array([length - 0.01, length - 1e-6, 1e-6, 0.01])
        kinds["around the start line"] = _drive(track, near, progress=50.0, steps=np.full(4, 150.0))
        at_the_line = _drive(track, np.array([length - 1e-6]), progress=99.9)
        at_the_line["closest_waypoints"] = np.array([[len(track.center) - 1, 0]])
        kinds["exactly at the start line"] = at_the_line
    # Where the track comes near itself, a car far off one stretch is on another.
    outside = kinds["far off the track"]["is_offtrack"]
    kinds["far off the track"] = {key: column[outside] for key, column in kinds["far off the track"].items()}
    for kind, columns in kinds.items():
        columns["route"] = np.full(len(columns["x"]), reversed_route if kind == "reversed direction" else route)
    return {kind: columns for kind, columns in kinds.items() if len(columns["x"])}


def _drive(
    track: Track,
    s: np.ndarray,
    *,
    offset: np.ndarray | float = 0.0,
    backwards: bool = False,
    speed: float = 1.8,
    steering: np.ndarray | float = 0.0,
    steps: np.ndarray | None = None,
    progress: float | None = None,
    is_crashed: bool = False,
    is_reversed: bool = False,
) -> dict[str, np.ndarray]:
    """The columns of cars whose front points are ``offset`` [m] left of the centre line at arc lengths ``s`` [m].

    Cars ``backwards`` face against the road. Without ``steps`` they fit the distance and the speed.
    """
    x, y, yaw = track.pose_at(s)
    ahead, left = np.stack([np.cos(yaw), np.sin(yaw)], axis=-1), np.stack([-np.sin(yaw), np.cos(yaw)], axis=-1)
    front = np.stack([x, y], axis=-1) + np.broadcast_to(offset, s.shape)[:, None] * left
    if backwards:
        yaw, ahead, left = yaw + np.pi, -ahead, -left
    origin = front - FRONT_POINT_AHEAD * ahead
    wheels = origin[:, None] + _WHEELS[:, 0, None] * ahead[:, None] + _WHEELS[:, 1, None] * left[:, None]
    inside = track.contains(wheels)
    where = track.locate(front)
    steps = np.floor(2.0 + s / max(speed, 0.1) * STEPS_PER_SECOND) if steps is None else steps
    size = len(s)
    return {
        "x": front[:, 0],
        "y": front[:, 1],
        "heading": 180.0 - (180.0 - np.degrees(yaw)) % 360.0,
        "distance_from_center": where.distance,
        "projection_distance": where.s,
        "progress": np.minimum(100.0 * s / track.length, 100.0) if progress is None else np.full(size, progress),
        "steps": steps,
        "speed": np.full(size, speed),
        "steering_angle": np.array(np.broadcast_to(steering, s.shape)),
        "track_width": where.width,
        "sim_time": 10.0 + steps / STEPS_PER_SECOND,
        "all_wheels_on_track": inside.all(axis=-1),
        "is_left_of_center": where.is_left,
        "is_reversed": np.full(size, is_reversed),
        "is_crashed": np.full(size, is_crashed),
        "is_offtrack": ~inside.any(axis=-1),
        "closest_waypoints": where.waypoints,
    }

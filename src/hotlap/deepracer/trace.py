"""The columns of a simulation trace. Source: DeepRacer simapp 6.0.5, ``markov/metrics``."""

from __future__ import annotations

from typing import Final

TRACE_COLUMNS: Final = {
    "episode": "episode",
    "steps": "step",
    "X": "x",
    "Y": "y",
    "yaw": "heading",
    "steer": "steering_angle",
    "throttle": "speed",
    "action": "action",
    "reward": "reward",
    "done": "done",
    "all_wheels_on_track": "all_wheels_on_track",
    "progress": "progress",
    "closest_waypoint": "nearest_waypoint",
    "track_len": "track_length",
    "tstamp": "time",
    "episode_status": "status",
    "pause_duration": "pause_duration",
    "obstacle_crash_counter": "obstacle_crash_counter",
    "wall_clock": "wall_clock",
}
"""What the file calls them, in their order, and what everybody else does: the columns of `hotlap.records.steps.Steps`.

Versions of the original only ever added columns at the end: 2019 had the first 15."""

LOG_MARK: Final = "SIM_TRACE_LOG:"
"""Before each row in a log; its columns are those of the file, with fewer digits."""

"""The columns of a simulation trace. Source: DeepRacer simapp 6.0.5, ``markov/metrics``."""

from __future__ import annotations

from typing import Final

TRACE_COLUMNS: Final = (
    "episode",
    "steps",
    "X",
    "Y",
    "yaw",
    "steer",
    "throttle",
    "action",
    "reward",
    "done",
    "all_wheels_on_track",
    "progress",
    "closest_waypoint",
    "track_len",
    "tstamp",
    "episode_status",
    "pause_duration",
    "obstacle_crash_counter",
    "wall_clock",
)

LOG_MARK: Final = "SIM_TRACE_LOG:"
"""Before each row in a log; its columns are those of the file, with fewer digits."""

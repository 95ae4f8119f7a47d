"""How cars drive and races are run: time, limits of the actuators, ways round a track, types of race."""

from __future__ import annotations

from typing import Final, Literal

CONTROL_PERIOD: Final = 1.0 / 15.0  # [s] one control step: one camera frame of simulation time

# What is executed is clipped to these, whatever an action says.
STEERING_LIMIT_DEG: Final = 30.0
MIN_SPEED: Final = 0.1  # [m/s]
MAX_SPEED: Final = 4.0  # [m/s]

Direction = Literal["as_is", "cw", "ccw", "reversed"]
"""As the rows of a route file go, clockwise, counter-clockwise, or against the rows."""
DIRECTIONS: Final[tuple[Direction, ...]] = ("as_is", "cw", "ccw", "reversed")

DEFAULT_TRACK: Final = "first_lap"
"""Ours: the original's default, reInvent2019_wide, is not ours to ship."""

"""What a step of an episode was found to be. Source: DeepRacer simapp, ``markov/metrics/constants.py``."""

from __future__ import annotations

from enum import IntEnum
from typing import Final


class Status(IntEnum):
    """Codes are ours; names, in small letters, are those of the simulation trace."""

    IN_PROGRESS = 0
    PREPARE = 1
    PAUSE = 2
    LAP_COMPLETE = 3
    IMMOBILIZED = 4
    OFF_TRACK = 5
    CRASHED = 6
    REVERSED = 7
    TIME_UP = 8
    PARK = 9
    UNKNOWN = 10


STATUS_NAMES: Final = tuple(status.name.lower() for status in Status)
"""By code, as in traces."""

STATUS_LABELS: Final = {
    name: "Time Up" if name == "time_up" else name.capitalize().replace("_", " ") for name in STATUS_NAMES[:-1]
}
"""Name in traces to label in metrics and tables."""

MISHAPS: Final = (Status.OFF_TRACK, Status.CRASHED, Status.REVERSED, Status.IMMOBILIZED)
NOT_DRIVING: Final = (Status.PREPARE, Status.PAUSE)
"""Status of steps whose action is not applied."""

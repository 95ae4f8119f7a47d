"""The readings over films of the original's size: trial, time, speed, progress, reward, resets."""

from __future__ import annotations

import math

import numpy as np

from hotlap.analysis.read.drives import Drive
from hotlap.film.strip import Strip, clock, step_value

HEIGHT = 50
_COLUMNS = {"TRIAL": 0.025, "TIME": 0.12, "SPEED": 0.32, "PROGRESS": 0.505, "REWARD": 0.69, "RESETS": 0.885}
_OPACITY = 0.82


class Overlay:
    """A strip at the top of a picture so wide [px] that lets a little of it through."""

    def __init__(self, width: int) -> None:
        self._strip = Strip(width, HEIGHT, _COLUMNS, label=(10, 6), value=(17, 20), line_below=True)

    def draw(self, picture: np.ndarray, drive: Drive, i: int) -> None:
        """Lay the readings of a step over a picture: uint8, shape (height, width, 3)."""
        progress = float(drive.progress[i])
        reward = step_value(drive.reward, i)
        values = (
            f"{step_value(drive.lap, i):.0f}",
            clock(drive.time[i]),
            f"{float(drive.speed[i]):.2f} m/s",
            f"{progress:.1f} %",
            "--" if math.isnan(reward) else f"{reward:.1f}",
            f"{step_value(drive.resets, i):.0f}",
        )
        strip = np.asarray(self._strip.picture(values, progress))
        mixed = _OPACITY * strip + (1.0 - _OPACITY) * picture[:HEIGHT]
        picture[:HEIGHT] = (mixed + 0.5).astype(np.uint8)

"""What is seen at one step of a trial, and what films make of it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hotlap.analysis.read.drives import Drive

FPS = 15  # real time
WIDTH, HEIGHT = 640, 480  # of the films that the original makes too


@dataclass(frozen=True, eq=False)
class Shot:
    """What a replay sees at one step; valid until the next one."""

    camera: np.ndarray
    """Through the car's camera: uint8, shape (height, width, 3), or (height, width) in gray."""

    chase: np.ndarray
    """From behind and above the car: uint8, shape (480, 640, 3)."""

    objects: np.ndarray
    """Corners of what else is on the track [m], shape (num_objects, 4, 2)."""


class Picture(Protocol):
    """One way to film a trial."""

    width: int
    height: int

    def begin(self, drive: Drive) -> None:
        """A trial begins."""

    def frame(self, i: int, shot: Shot) -> np.ndarray:
        """The frame of its step i: uint8, shape (height, width, 3), valid until the next one. No step is left out."""

"""A recorded drive: what the figures and videos of an evaluation are made from."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

# No car gets farther than this in a step [m]; a longer jump is a reset, not a line that was driven.
MAX_STEP = 0.6


@dataclass(frozen=True, eq=False)
class Drive:
    """One trial, from the start to its end. Arrays have shape (num_steps,)."""

    x: np.ndarray
    """Position [m]; the front point, as in traces, or any other point of the car."""

    y: np.ndarray

    yaw: np.ndarray
    """Heading [rad], counter-clockwise from +x."""

    speed: np.ndarray
    """Speed [m/s], driven or commanded."""

    steer: np.ndarray
    """Steering [deg], left positive."""

    progress: np.ndarray
    """Percent of the lap."""

    time: np.ndarray
    """Clock of the lap [s], penalties included."""

    lap: np.ndarray | int = 1
    """Number of the lap, from 1."""

    status: str = ""
    """How it ended: internal status such as ``lap_complete``."""

    name: str = ""
    """Shown in its film, such as that of the track."""

    reward: np.ndarray | float = 0.0
    """Sum of the rewards of the trial so far. NaN: there are none."""

    resets: np.ndarray | int = 0
    """How often it was put back on the track so far."""

    statuses: np.ndarray | None = None
    """Status at every step, as in traces."""

    def __post_init__(self) -> None:
        for each in fields(self):
            column = getattr(self, each.name)
            if isinstance(column, np.ndarray) and len(column) != len(self.x):
                raise ValueError(f"{each.name} has {len(column)} steps, x has {len(self.x)}")

    def __len__(self) -> int:
        return len(self.x)

    def part(self, steps: range) -> Drive:
        """Only some consecutive steps."""
        cut = slice(steps.start, steps.stop)
        columns = {each.name: getattr(self, each.name) for each in fields(self)}
        cuts: dict[str, Any] = {name: each[cut] for name, each in columns.items() if isinstance(each, np.ndarray)}
        return replace(self, **cuts)

    def segments(self) -> tuple[np.ndarray, np.ndarray]:
        """The driven line in pieces from step to step, without the jumps of resets.

        Returns:
            Ends of the pieces [m], shape (num_pieces, 2, 2), and the speed on each [m/s], shape (num_pieces,).
        """
        points = np.stack([self.x, self.y], axis=1).astype(np.float64)
        driven = np.hypot(*np.diff(points, axis=0).T) <= MAX_STEP
        pieces = np.stack([points[:-1], points[1:]], axis=1)
        speed = 0.5 * (self.speed[:-1] + self.speed[1:])
        return pieces[driven], speed[driven]

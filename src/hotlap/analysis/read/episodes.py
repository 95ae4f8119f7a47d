"""Episodes as columns: what the steps of each add up to."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np

from hotlap.analysis.read.steps import Steps
from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import STATUS_NAMES

_COMPLETE = STATUS_NAMES.index("lap_complete")
_NOT_DRIVING = [STATUS_NAMES.index(name) for name in ("in_progress", "prepare", "pause", "park")]


@dataclass(frozen=True, eq=False)
class Episodes:
    """Episodes in the order driven; every column is an array of shape (num_episodes,).

    ============ ======= ==============================================================
    column       dtype   meaning
    ============ ======= ==============================================================
    worker       int64   from 0
    iteration    int64   from 0
    first        int64   index of its first step
    num_steps    int64
    reward       float64 sum
    progress     float64 percent of the lap at the end, at most 100
    status       int8    at the end, index into `steps.STATUS_NAMES`
    seconds      float64 from the first step to the end of the last, simulation clock
    x, y         float64 where it ended [m]
    waypoint     int64   nearest to where it ended
    ============ ======= ==============================================================
    """

    worker: np.ndarray
    iteration: np.ndarray
    first: np.ndarray
    num_steps: np.ndarray
    reward: np.ndarray
    progress: np.ndarray
    status: np.ndarray
    seconds: np.ndarray
    x: np.ndarray
    y: np.ndarray
    waypoint: np.ndarray

    def __len__(self) -> int:
        return len(self.first)

    @classmethod
    def of(cls, steps: Steps) -> Episodes:
        """The episodes of a table of steps."""
        first = np.flatnonzero(np.diff(steps.episode, prepend=-1))
        ends = np.append(first[1:], len(steps))[: len(first)]
        last = ends - 1
        return cls(
            worker=steps.worker[first],
            iteration=steps.iteration[first],
            first=first,
            num_steps=ends - first,
            reward=np.add.reduceat(steps.reward, first) if len(first) else np.zeros(0),
            progress=np.clip(steps.progress[last], 0.0, 100.0),
            status=np.where(steps.progress[last] >= 100.0, _COMPLETE, steps.status[last]),
            seconds=np.maximum(steps.time[last] - steps.time[first], 0.0) + CONTROL_PERIOD,
            x=steps.x[last],
            y=steps.y[last],
            waypoint=steps.waypoint[last],
        )

    def where(self, chosen: np.ndarray) -> Episodes:
        """Some of the episodes, by a mask or by indices."""
        return Episodes(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})

    @property
    def complete(self) -> np.ndarray:
        """Whether the lap was completed (bool)."""
        return self.status == _COMPLETE

    @property
    def failed(self) -> np.ndarray:
        """Whether a mistake ended it (bool): neither a complete lap nor the end of the log."""
        return ~self.complete & ~np.isin(self.status, _NOT_DRIVING)

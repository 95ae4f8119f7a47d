"""Episodes as columns: what the steps of each add up to."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import Status
from hotlap.records.steps import Steps

_STILL_DRIVING = (Status.IN_PROGRESS, Status.PREPARE, Status.PAUSE, Status.PARK)


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
    status       int8    at the end, a `Status`
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
        """The episodes of steps that are `in_order`."""
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
            status=np.where(steps.progress[last] >= 100.0, np.int8(Status.LAP_COMPLETE), steps.status[last]),
            seconds=np.maximum(steps.time[last] - steps.time[first], 0.0) + CONTROL_PERIOD,
            x=steps.x[last],
            y=steps.y[last],
            waypoint=steps.nearest_waypoint[last],
        )

    def where(self, chosen: np.ndarray) -> Episodes:
        """Some of the episodes, by a mask or by indices."""
        return Episodes(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})

    @property
    def complete(self) -> np.ndarray:
        """Whether the lap was completed (bool)."""
        return self.status == Status.LAP_COMPLETE

    @property
    def failed(self) -> np.ndarray:
        """Whether a mistake ended it (bool): neither a complete lap nor the end of the log."""
        return ~self.complete & ~np.isin(self.status, _STILL_DRIVING)


def in_order(parts: Sequence[Steps]) -> Steps:
    """The steps of some traces in the order driven, their episodes numbered from 0 through all of them.

    Logs that were collected backwards are turned round, and laps of a continuous evaluation that share an episode are
    told apart.
    """
    parts = [_in_order(part) for part in parts]
    begins = [part.begins | _after_a_lap(part) for part in parts]
    return replace(Steps.joined(parts), episode=np.cumsum(np.concatenate([np.zeros(0, bool), *begins])) - 1)


def _in_order(steps: Steps) -> Steps:
    backwards = (np.diff(steps.step) < 0) & (np.diff(steps.episode) == 0)
    return steps.where(np.lexsort((steps.time, steps.episode))) if backwards.any() else steps


def _after_a_lap(steps: Steps) -> np.ndarray:
    """Whether the step before completed a lap, and this one is the first of another (bool)."""
    before = np.concatenate([[0.0], steps.progress[:-1]])
    return (before >= 100.0) & (steps.progress < 50.0)

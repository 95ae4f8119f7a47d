"""The control steps of cars as columns: what rollouts make, records keep, and analysis and validation read."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np
from numpy.typing import ArrayLike

from hotlap.deepracer.statuses import NOT_DRIVING, Status

_MAX_SPEED = 8.0  # [m/s] no car gets there; a greater distance between two steps is a reset


@dataclass(frozen=True, eq=False)
class Steps:
    """Control steps of cars, one row each; every column is an array of shape (num_steps,).

    Columns of floats have single precision where the simulator has, else double.

    ====================== ===== =====================================================================================
    column                 dtype meaning
    ====================== ===== =====================================================================================
    iteration              int64 of the training, from 0; 0 where that is not known, as in a rollout
    worker                 int64 that drove, from 0; 0 where that is not known
    episode                int64 in training counted by its worker over all iterations, from 0; in an evaluation the
                                 number of completed trials
    step                   int64 in the episode, from 1
    x, y                   float front point of the car before the action takes effect [m]
    heading                float of the car then [deg], counter-clockwise from +x
    steering_angle         float commanded [deg], left positive
    speed                  float commanded [m/s]
    action                 int64 index of the action; -1 in continuous action spaces
    reward                 float 0 where no reward function was asked
    done                   bool  whether the episode ended with this step
    all_wheels_on_track    bool
    progress               float percent of the lap
    nearest_waypoint       int64 the nearer of the previous and the next one
    track_length           float of the center line [m]
    time                   float simulation clock after the step [s]; its pose was taken at the time of the row before
    status                 int8  what the step was found to be, a `Status`
    pause_duration         float penalty that remains [s]
    obstacle_crash_counter int64
    wall_clock             float seconds since the epoch; NaN where that is not known
    ====================== ===== =====================================================================================
    """

    iteration: np.ndarray
    worker: np.ndarray
    episode: np.ndarray
    step: np.ndarray
    x: np.ndarray
    y: np.ndarray
    heading: np.ndarray
    steering_angle: np.ndarray
    speed: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    done: np.ndarray
    all_wheels_on_track: np.ndarray
    progress: np.ndarray
    nearest_waypoint: np.ndarray
    track_length: np.ndarray
    time: np.ndarray
    status: np.ndarray
    pause_duration: np.ndarray
    obstacle_crash_counter: np.ndarray
    wall_clock: np.ndarray

    def __post_init__(self) -> None:
        for name, column in self.columns.items():
            if column.shape != self.step.shape:
                raise ValueError(f"column {name} has {len(column)} rows, step has {len(self)}")

    def __len__(self) -> int:
        return len(self.step)

    @classmethod
    def of(cls, **columns: ArrayLike) -> Steps:
        """Steps from columns of any type.

        ``step`` gives the number of rows; one value stands for all of them. What is not given is 0, and ``wall_clock``
        NaN.
        """
        num_steps = len(np.asarray(columns["step"]))
        arrays = {each.name: np.asarray(np.nan if each.name == "wall_clock" else 0) for each in fields(cls)}
        arrays |= {name: np.asarray(column) for name, column in columns.items()}
        full = {name: np.full(num_steps, array) if array.ndim == 0 else array for name, array in arrays.items()}
        return cls(**{name: array.astype(_dtype(name, array), copy=False) for name, array in full.items()})

    @classmethod
    def joined(cls, parts: Sequence[Steps]) -> Steps:
        """The steps of several, in their order."""
        if not parts:
            return cls.of(step=())
        return cls(**{each.name: np.concatenate([part.columns[each.name] for part in parts]) for each in fields(cls)})

    @property
    def columns(self) -> dict[str, np.ndarray]:
        """All columns by name."""
        return {each.name: getattr(self, each.name) for each in fields(self)}

    def where(self, chosen: np.ndarray | slice) -> Steps:
        """Some of the steps, by a mask or by indices."""
        return Steps(**{name: column[chosen] for name, column in self.columns.items()})

    @cached_property
    def begins(self) -> np.ndarray:
        """Whether an episode begins with the step (bool); that of the first one may have begun before."""
        begins = np.ones(len(self), dtype=bool)
        begins[1:] = np.diff(self.step) <= 0
        for column in (self.iteration, self.worker, self.episode):
            begins[1:] |= np.diff(column) != 0
        return begins

    @cached_property
    def lap(self) -> np.ndarray:
        """Laps that were completed before the step (int64)."""
        completes = (self.progress >= 100.0) & (self.status != Status.PREPARE)
        return np.cumsum(completes) - completes

    @cached_property
    def driving(self) -> np.ndarray:
        """Whether the action is applied (bool)."""
        return ~np.isin(self.status, NOT_DRIVING)

    @cached_property
    def driven_speed(self) -> np.ndarray:
        """Speed [m/s] from the step before to the step after; NaN where a reset lies between, or at most one step is
        known."""
        speed = np.full(len(self), np.nan)
        if len(self) < 3:
            return speed
        before, after = slice(None, -2), slice(2, None)
        seconds = self.time[after] - self.time[before]
        same = (self.episode[after] == self.episode[before]) & (seconds > 0)
        meters = np.hypot(self.x[after] - self.x[before], self.y[after] - self.y[before])
        inner = np.full(len(self) - 2, np.nan)
        np.divide(meters, seconds, out=inner, where=same)
        inner[inner > _MAX_SPEED] = np.nan
        speed[1:-1] = inner
        return speed


_DTYPES: dict[str, type] = {
    **dict.fromkeys(("iteration", "worker", "episode", "step", "action", "nearest_waypoint"), np.int64),
    "obstacle_crash_counter": np.int64,
    **dict.fromkeys(("done", "all_wheels_on_track"), np.bool_),
    "status": np.int8,
}


def _dtype(name: str, column: np.ndarray) -> np.dtype:
    return np.dtype(_DTYPES.get(name, column.dtype if column.dtype.kind == "f" else np.float64))

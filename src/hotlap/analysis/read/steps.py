"""The control steps of a run as columns: what every figure about driving is made from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, fields
from functools import cached_property

import numpy as np

_MAX_SPEED = 8.0  # [m/s] no car gets there; a greater distance between two steps is a reset


@dataclass(frozen=True, eq=False)
class Steps:
    """Control steps, episode by episode in the order driven; every column is an array of shape (num_steps,).

    ============ ======= =============================================================================
    column       dtype   meaning
    ============ ======= =============================================================================
    worker       int64   from 0
    iteration    int64   from 0
    episode      int64   running number over all iterations and workers, from 0
    step         int64   in the episode, from 1
    x, y         float64 front point of the car [m]
    yaw          float64 heading [deg]
    steer        float64 commanded steering [deg], left positive
    throttle     float64 commanded speed [m/s]
    action       int64   index of the action; -1 in continuous action spaces
    reward       float64
    on_track     bool    whether all wheels were on the track
    progress     float64 percent of the lap
    waypoint     int64   the nearest one
    track_length float64 of the center line [m]
    time         float64 simulation clock [s]
    status       int8    index into `STATUS_NAMES`
    wall_clock   float64 seconds since the epoch; NaN where not logged
    ============ ======= =============================================================================
    """

    worker: np.ndarray
    iteration: np.ndarray
    episode: np.ndarray
    step: np.ndarray
    x: np.ndarray
    y: np.ndarray
    yaw: np.ndarray
    steer: np.ndarray
    throttle: np.ndarray
    action: np.ndarray
    reward: np.ndarray
    on_track: np.ndarray
    progress: np.ndarray
    waypoint: np.ndarray
    track_length: np.ndarray
    time: np.ndarray
    status: np.ndarray
    wall_clock: np.ndarray

    def __len__(self) -> int:
        return len(self.x)

    @classmethod
    def joined(cls, parts: Sequence[Steps]) -> Steps:
        """One table of several, in their order; episodes are numbered on."""
        columns = {each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(cls)}
        ends = np.cumsum([part.num_episodes for part in parts])
        shift = np.repeat(np.concatenate([[0], ends[:-1]]), [len(part) for part in parts])
        return cls(**columns | {"episode": columns["episode"] + shift})

    @classmethod
    def none(cls) -> Steps:
        """A table without steps."""
        return cls(**{each.name: np.zeros(0, _DTYPES.get(each.name, np.float64)) for each in fields(cls)})

    def where(self, chosen: np.ndarray) -> Steps:
        """Some of the steps, by a mask or by indices; episodes keep their numbers."""
        return Steps(**{each.name: getattr(self, each.name)[chosen] for each in fields(self)})

    @property
    def num_episodes(self) -> int:
        """One more than the last number of an episode."""
        return int(self.episode[-1]) + 1 if len(self) else 0

    @property
    def nth_episode(self) -> np.ndarray:
        """Which of the episodes that are here each step belongs to, from 0."""
        return np.cumsum(np.diff(self.episode, prepend=self.episode[:1]) != 0)

    @cached_property
    def speed(self) -> np.ndarray:
        """Driven speed [m/s]: from the step before to the step after; NaN where a reset lies between, or at most one
        step is known."""
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
    **dict.fromkeys(("worker", "iteration", "episode", "step", "action", "waypoint"), np.int64),
    "on_track": np.bool_,
    "status": np.int8,
}

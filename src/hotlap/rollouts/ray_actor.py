"""A rollout worker as a process of its own: a thin shell round a `RolloutHost`, and its pulse."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

import hotlap
from hotlap.rewards.loader import RewardSource
from hotlap.rollouts.host import RolloutHost
from hotlap.rollouts.model import RolloutSetup
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.ray_session import accept_shared_views
from hotlap.rollouts.worker import PlayedEpisode


@dataclass(frozen=True)
class Hello:
    """Who a worker is."""

    pid: int
    address: str
    """Of its machine."""
    version: str
    """Of its hotlap."""


@dataclass(frozen=True)
class Pulse:
    """How a worker does."""

    idle_s: float
    """Time since its last control step while it should be playing [s]; 0 when it has nothing to do."""
    where: str | None
    """File and line of the reward function that it is in, if it is in one."""


class _Dropped(Exception):
    """The batch that is being played is not wanted any more."""


class RolloutActor:
    """Lives in a Ray worker process; `play` runs in one thread, `pulse` and `drop` in another."""

    def __init__(self, setup: RolloutSetup) -> None:
        # The other cores belong to the other workers.
        torch.set_num_threads(1)
        accept_shared_views()
        self.host = RolloutHost(setup)
        self.host.worker(0).warm_up()
        rewards = (race.reward for race in setup.races)
        self._reward_files = {str(reward.path) for reward in rewards if isinstance(reward, RewardSource)}
        self._batch = -1
        self._dropped: set[int] = set()
        self._last_step: float | None = None
        self._thread: int | None = None

    def hello(self) -> Hello:
        """Answers when the worker can play."""
        import ray

        return Hello(pid=os.getpid(), address=ray.util.get_node_ip_address(), version=hotlap.__version__)

    def play(
        self,
        batch: int,
        weights: Mapping[str, np.ndarray],
        plans: Sequence[EpisodePlan],
        explore: bool,
        step_cap: int | None,
    ) -> Iterator[PlayedEpisode]:
        """See `RolloutHost.play`; ``batch`` is what `drop` names."""
        self._batch, self._thread = batch, threading.get_ident()
        tensors = {name: torch.from_numpy(weight) for name, weight in weights.items()}
        try:
            self._tell(0, 0)
            for episode in self.host.play(tensors, plans, explore=explore, step_cap=step_cap, on_step=self._tell):
                self._last_step = None  # whoever takes the episode may take its time
                yield episode
                self._last_step = time.monotonic()
        except _Dropped:
            return
        finally:
            self._last_step = None

    def _tell(self, done: int, steps: int) -> None:
        self._last_step = time.monotonic()
        if self._batch in self._dropped:
            raise _Dropped

    def drop(self, batch: int) -> None:
        """Stop playing ``batch``, or do not begin with it."""
        self._dropped.add(batch)

    def pulse(self) -> Pulse:
        """Answered while `play` runs."""
        last_step = self._last_step
        if last_step is None:
            return Pulse(idle_s=0.0, where=None)
        return Pulse(idle_s=time.monotonic() - last_step, where=self._where())

    def _where(self) -> str | None:
        frame = sys._current_frames().get(self._thread or 0)
        while frame is not None:
            if frame.f_code.co_filename in self._reward_files:
                return f"{frame.f_code.co_filename}, line {frame.f_lineno}"
            frame = frame.f_back
        return None

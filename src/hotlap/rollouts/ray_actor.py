"""A rollout worker as a process of its own: a thin shell round a `RolloutHost`, and its pulse."""

from __future__ import annotations

import os
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

import hotlap
from hotlap.rewards import guard
from hotlap.rewards.loader import RewardSource
from hotlap.rollouts.host import RolloutHost
from hotlap.rollouts.model import RolloutSetup
from hotlap.rollouts.ray_session import accept_shared_views
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.transport import PackedEpisode, pack
from hotlap.rollouts.worker import PlayedEpisode

GATHER_S = 0.25  # [s] between two times that a worker hands out episodes


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

    batch: int | None
    """What it plays; None: nothing."""
    loading: bool
    """Whether it builds a race."""
    idle_s: float
    """Time since its last control step, or since it began to load [s]; 0 when it has nothing to do."""
    where: str | None
    """File and line of the reward function that it is in, if it is in one."""
    stopping: str | None = None
    """What that function does, if it is being stopped: a sentence with file and line."""


class _Dropped(Exception):
    """What is left to play is not wanted any more."""


class RolloutActor:
    """Lives in a Ray worker process; `prepare` and `play` run in one thread, the rest in another beside it."""

    def __init__(self) -> None:
        # The other cores belong to the other workers.
        torch.set_num_threads(1)
        accept_shared_views()
        guard.configure(ends_stuck=False)  # the fleet ends it
        self._reward_files: set[str] = set()
        self._batch: int | None = None
        self._left: set[int] = set()  # numbers of the episodes that are to be played yet
        self._unwanted: dict[int, int] = {}  # by batch: the first number that is not wanted
        self._busy_since: float | None = None
        self._thread: int | None = None

    def hello(self, path: Sequence[str]) -> Hello:
        """Answers as soon as the process is there.

        Args:
            path: Folders in which the trainer looks for modules; this process does, too, where they exist.
        """
        import ray

        sys.path += [folder for folder in path if folder not in sys.path]
        return Hello(pid=os.getpid(), address=ray.util.get_node_ip_address(), version=hotlap.__version__)

    def prepare(self, setup: RolloutSetup, race: int, packed: bool) -> None:
        """Build what plays, with one of the races; the others are built when their first episode comes.

        Args:
            setup: What to play.
            race: Index of the race.
            packed: Whether episodes are packed, for a trainer on another machine.

        Raises:
            HotlapError: If it cannot be built.
        """
        self._thread, self._packed = threading.get_ident(), packed
        rewards = (each.reward for each in setup.races)
        self._reward_files = {str(reward.path) for reward in rewards if isinstance(reward, RewardSource)}
        self._busy_since = time.monotonic()
        self._host = RolloutHost(setup)
        try:
            self._host.worker(race)
        finally:
            self._busy_since = None

    def play(
        self, batch: int, request: CollectRequest, weights: Mapping[str, np.ndarray]
    ) -> Iterator[list[PlayedEpisode | PackedEpisode]]:
        """See `RolloutHost.play`; ``batch`` is what `drop` names, and the weights come beside the request.

        Episodes that end shortly one after the other come together, because Ray's work is for each object.
        """
        self._unwanted = {key: first for key, first in self._unwanted.items() if key >= batch}
        self._thread = threading.get_ident()
        self._batch, self._left = batch, {plan.number for plan in request.plans}
        request = replace(request, weights={name: torch.from_numpy(weight) for name, weight in weights.items()})
        ended: list[PlayedEpisode | PackedEpisode] = []
        sent_at = time.monotonic()
        try:
            self._note_step(0, 0)
            for episode in self._host.play(request, on_step=self._note_step):
                self._left.discard(episode.plan.number)
                ended.append(pack(episode) if self._packed else episode)
                if time.monotonic() - sent_at > GATHER_S or not self._left:
                    self._busy_since = None  # whoever takes them may take its time
                    yield ended
                    ended, sent_at = [], time.monotonic()
                    self._busy_since = sent_at
        except _Dropped:
            pass
        finally:
            self._batch = self._busy_since = None
        if ended:  # others were not needed, or left out under the step cap
            yield ended

    def _note_step(self, done: int, steps: int) -> None:
        self._busy_since = time.monotonic()
        assert self._batch is not None
        first_unwanted = self._unwanted.get(self._batch)
        if first_unwanted is not None and all(number >= first_unwanted for number in self._left):
            raise _Dropped

    def drop(self, batch: int, first: int = 0) -> None:
        """Of ``batch``, only episodes with numbers below ``first`` are needed."""
        self._unwanted[batch] = first

    def pulse(self) -> Pulse:
        """Answered while `prepare` or `play` runs."""
        busy_since = self._busy_since
        return Pulse(
            batch=self._batch,
            loading=self._batch is None or self._host.loading,
            idle_s=0.0 if busy_since is None else time.monotonic() - busy_since,
            where=None if busy_since is None else self._where(),
            stopping=guard.overdue(),
        )

    def _where(self) -> str | None:
        frame = sys._current_frames().get(self._thread or 0)
        while frame is not None:
            if frame.f_code.co_filename in self._reward_files:
                return f"{frame.f_code.co_filename}, line {frame.f_lineno}"
            frame = frame.f_back
        return None

"""Who plays the episodes: one small interface, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch

from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.worker import PlayedEpisode, RolloutWorker


class Fleet(Protocol):
    """Plays planned episodes with given weights; every episode planned comes back once, in order of number."""

    def collect(
        self,
        weights: Mapping[str, torch.Tensor],
        plans: Sequence[EpisodePlan],
        *,
        step_cap: int | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> list[PlayedEpisode]:
        """Episodes to learn from, with actions sampled; see `RolloutWorker.collect`."""
        ...

    def evaluate(
        self,
        weights: Mapping[str, torch.Tensor],
        plans: Sequence[EpisodePlan],
        *,
        on_step: Callable[[int, int], None] | None = None,
    ) -> list[PlayedEpisode]:
        """Episodes driven with the best actions, without what a learner needs."""
        ...


class InProcessFleet:
    """One worker in this process: nothing to start, nothing to debug across."""

    def __init__(self, worker: RolloutWorker) -> None:
        self.worker = worker

    def collect(
        self,
        weights: Mapping[str, torch.Tensor],
        plans: Sequence[EpisodePlan],
        *,
        step_cap: int | None = None,
        on_step: Callable[[int, int], None] | None = None,
    ) -> list[PlayedEpisode]:
        """See `Fleet.collect`."""
        return self.worker.collect(weights, plans, step_cap=step_cap, on_step=on_step)

    def evaluate(
        self,
        weights: Mapping[str, torch.Tensor],
        plans: Sequence[EpisodePlan],
        *,
        on_step: Callable[[int, int], None] | None = None,
    ) -> list[PlayedEpisode]:
        """See `Fleet.evaluate`."""
        return self.worker.collect(weights, plans, greedy=True, learn=False, on_step=on_step)

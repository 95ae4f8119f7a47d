"""Who plays the episodes: one small interface, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Protocol

import torch

from hotlap.config.job import Job
from hotlap.rollouts.host import RolloutHost
from hotlap.rollouts.model import RolloutSetup
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.worker import PlayedEpisode, within_cap


class Batch(Protocol):
    """Episodes that a fleet was given to play."""

    def result(self, on_step: Callable[[int, int], None] | None = None) -> list[PlayedEpisode]:
        """Wait for all of them; every planned episode comes once, in order of number (`within_cap`).

        Args:
            on_step: Called with (episodes finished, steps played) as they change.

        Raises:
            RewardError: If the reward function fails.
            TrainingError: If episodes cannot be played.
        """
        ...

    def cancel(self) -> None:
        """Drop what has not been played yet; there is no result then."""
        ...


class Fleet(Protocol):
    """Plays planned episodes with given weights."""

    concurrent: bool
    """Whether episodes are played while the caller does something else."""

    def start(
        self,
        weights: Mapping[str, torch.Tensor],
        plans: Sequence[EpisodePlan],
        *,
        explore: bool,
        step_cap: int | None = None,
    ) -> Batch:
        """Begin to play ``plans``, behind what was started before.

        Args:
            weights: Of the policy tower; they may change as soon as this returns.
            plans: The episodes.
            explore: Sample actions and bring what a learner needs; otherwise drive with the best actions.
            step_cap: Most steps of all episodes together; see `within_cap`.
        """
        ...

    def close(self) -> None:
        """End all processes that belong to the fleet."""
        ...


def build_fleet(setup: RolloutSetup, job: Job, num_workers: int, on_message: Callable[[str], None]) -> Fleet:
    """The fleet of a job: this process for a single worker, Ray for several or for those of a cluster.

    Args:
        setup: What to play.
        job: Its settings.
        num_workers: How many workers to use.
        on_message: Told in one line what happens to workers.

    Raises:
        MissingExtraError: If Ray is needed and not installed.
    """
    training = job.training
    if num_workers == 1 and training.cluster is None:
        return InProcessFleet(setup)
    from hotlap.rollouts.ray_fleet import RayFleet

    return RayFleet(
        setup,
        num_workers,
        cluster=training.cluster,
        timeout_s=training.worker_timeout_s,
        step_cap=training.step_cap_for(setup.metadata.network),
        on_message=on_message,
    )


class InProcessFleet:
    """Plays in this process, when the result is asked for: nothing to start, nothing to debug across."""

    concurrent = False

    def __init__(self, setup: RolloutSetup) -> None:
        self.host = RolloutHost(setup)
        # What is wrong with any race shows before the first episode.
        for race in range(len(setup.races)):
            self.host.worker(race)

    def start(
        self,
        weights: Mapping[str, torch.Tensor],
        plans: Sequence[EpisodePlan],
        *,
        explore: bool,
        step_cap: int | None = None,
    ) -> Batch:
        """See `Fleet.start`."""
        copies = {name: weight.detach().clone() for name, weight in weights.items()}
        return _LaterBatch(self.host, copies, plans, explore, step_cap)

    def close(self) -> None:
        """See `Fleet.close`; there is nothing to end."""


class _LaterBatch:
    def __init__(
        self,
        host: RolloutHost,
        weights: Mapping[str, torch.Tensor],
        plans: Sequence[EpisodePlan],
        explore: bool,
        step_cap: int | None,
    ) -> None:
        self.host, self.weights, self.plans = host, weights, plans
        self.explore, self.step_cap = explore, step_cap

    def result(self, on_step: Callable[[int, int], None] | None = None) -> list[PlayedEpisode]:
        played = self.host.play(self.weights, self.plans, explore=self.explore, step_cap=self.step_cap, on_step=on_step)
        return within_cap(played, self.step_cap)

    def cancel(self) -> None:
        """Nothing has begun."""

"""Who plays the episodes: one small interface, whatever stands behind it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Protocol

from hotlap.config.job import Training
from hotlap.rl.networks import acting_part
from hotlap.rollouts.host import RolloutHost
from hotlap.rollouts.model import RolloutSetup
from hotlap.rollouts.request import CollectRequest
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

    def start(self, request: CollectRequest) -> Batch:
        """Begin to play a request, which has weights, behind those that were started before.

        The weights may change as soon as this returns.
        """
        ...

    def close(self) -> None:
        """End all processes that belong to the fleet."""
        ...


def build_fleet(
    setup: RolloutSetup,
    training: Training,
    num_workers: int,
    *,
    cluster: str | None,
    on_message: Callable[[str], None],
) -> Fleet:
    """The fleet of a job: this process for a single worker, Ray for several or for those of a cluster.

    Args:
        setup: What to play.
        training: The job's settings.
        num_workers: How many workers to use.
        cluster: Address of a running Ray cluster; None: on this machine.
        on_message: Told in one line what happens to workers.

    Raises:
        MissingExtraError: If Ray is needed and not installed.
    """
    if num_workers == 1 and cluster is None:
        return InProcessFleet(setup)
    from hotlap.rollouts.ray_fleet import RayFleet

    return RayFleet(
        setup,
        num_workers,
        cluster=cluster,
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

    def start(self, request: CollectRequest) -> Batch:
        """See `Fleet.start`."""
        assert request.weights is not None
        copies = {name: weight.detach().clone() for name, weight in acting_part(request.weights).items()}
        return _LaterBatch(self.host, replace(request, weights=copies))

    def close(self) -> None:
        """See `Fleet.close`; there is nothing to end."""


@dataclass
class _LaterBatch:
    host: RolloutHost
    request: CollectRequest

    def result(self, on_step: Callable[[int, int], None] | None = None) -> list[PlayedEpisode]:
        return within_cap(self.host.play(self.request, on_step=on_step), self.request.step_cap)

    def cancel(self) -> None:
        """Nothing has begun."""

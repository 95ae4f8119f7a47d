"""A place in a Ray fleet, and the process that holds it now."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.ray_actor import Hello

if TYPE_CHECKING:
    from hotlap.rollouts.ray_fleet import RayBatch


@dataclass(eq=False)
class Share:
    """Episodes of a batch that one worker was given at once."""

    batch: RayBatch
    episodes: Any
    """Ray's generator of references to played episodes."""
    outstanding: set[int]
    """Numbers of those that have not come and are needed."""


class RayWorker:
    """Talks to one process at a time: asks it to prepare, to play, for its pulse. What it answers is a Ray reference.

    A process first says hello, then prepares, then is ready to play.

    Args:
        index: Number of the place.
        actor_class: Ray's remote class of `RolloutActor`.
    """

    def __init__(self, index: int, actor_class: Any) -> None:
        self.index = index
        self._actor_class = actor_class
        self.actor: Any = None
        """None: the place is empty."""
        self.info: Hello | None = None
        """Known when the process has said hello."""
        self.starting: Any = None
        """Reference to what a process that starts answers next."""
        self.shares: list[Share] = []
        """What it is to play; it does so in order."""
        self.pulse: Any = None
        self.pulse_asked = 0.0
        self.failures = 0
        """Processes in a row that could not be made ready."""
        self.empty_until = 0.0
        """When an empty place is to be filled again, on the clock of `time.monotonic`."""

    def __str__(self) -> str:
        return f"worker {self.index}" + (f" (process {self.info.pid} on {self.info.address})" if self.info else "")

    @property
    def ready(self) -> bool:
        """Whether it can play."""
        return self.actor is not None and self.starting is None

    @property
    def busy(self) -> bool:
        """Whether it has something to do."""
        return self.info is not None and (self.starting is not None or bool(self.shares))

    def spawn(self) -> None:
        """Ask Ray for a new process, which comes when there is room for it."""
        self.end()
        self.actor = self._actor_class.remote()
        self.starting = self._beside("hello")

    def prepare(self, info: Hello, setup: Any, race: int, *, packed: bool) -> None:
        """Let a process that has said hello build what it needs; see `RolloutActor.prepare`."""
        self.info = info
        self.starting = self.actor.prepare.remote(setup, race, packed)

    def play(self, batch: RayBatch, plans: Sequence[EpisodePlan]) -> None:
        """Let it play episodes, after those that it has already."""
        episodes = self.actor.play.options(num_returns="streaming").remote(
            batch.key, replace(batch.request, plans=plans), batch.weights
        )
        self.shares.append(Share(batch, episodes, {plan.number for plan in plans}))

    def drop(self, batch: RayBatch, first: int = 0) -> None:
        """Tell it that no episode of ``batch`` from number ``first`` on is needed."""
        self._beside("drop", batch.key, first)

    def ask_pulse(self) -> None:
        """Ask how it does."""
        self.pulse = self._beside("pulse")
        self.pulse_asked = time.monotonic()

    def end(self) -> list[Share]:
        """End the process; returns what it had to play, whose episodes are not read any more."""
        import ray

        if self.actor is not None and ray.is_initialized():
            ray.kill(self.actor)
        shares = self.shares
        self.actor = self.info = self.starting = self.pulse = None
        self.shares = []
        return shares

    def _beside(self, method: str, *args: Any) -> Any:
        """Call a method that is answered while another one runs."""
        return getattr(self.actor, method).options(concurrency_group="health").remote(*args)

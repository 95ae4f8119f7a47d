"""What is asked of whoever plays episodes: a worker, a process with all races of a job, a fleet."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Self

import torch

from hotlap.rollouts.plan import EpisodePlan


@dataclass(frozen=True, eq=False)
class CollectRequest:
    """Episodes to play, and how."""

    plans: Sequence[EpisodePlan]
    """The episodes; more than there are worlds wait their turn."""
    weights: Mapping[str, torch.Tensor] | None = None
    """By their names in `ActorCritic`; those that acting does not need may be there or not. None keeps the present
    ones."""
    explore: bool = True
    """Sample actions; otherwise take the best ones."""
    learn: bool = True
    """Keep what a learner needs: frames and log probabilities."""
    step_cap: int | None = None
    """Most steps of all episodes together; see `within_cap`."""
    disturb: str | None = None
    """What the pictures that the policy sees are changed by: one of `pictures.KINDS`, or ``all``."""

    @classmethod
    def evaluation(
        cls,
        plans: Sequence[EpisodePlan],
        weights: Mapping[str, torch.Tensor] | None = None,
        *,
        disturb: str | None = None,
    ) -> Self:
        """Laps that are driven as well as possible, and not learned from."""
        return cls(plans, weights, explore=False, learn=False, disturb=disturb)

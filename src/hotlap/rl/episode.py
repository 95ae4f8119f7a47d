"""One attempt from start to end, as it travels from a simulator to the learner."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, eq=False)
class Episode:
    """What a policy saw, did and got.

    Attributes:
        obs: What it saw before each action, by sensor name, (num_steps, ...); cameras uint8, e.g.
            (num_steps, 1, 120, 160).
        actions: int64 (num_steps,), or float32 (num_steps, num_dims): the unclipped sample in the [-1, 1] scaling.
        log_probs: Log probability of each action under the policy that was in use, float32 (num_steps,).
        rewards: float32 (num_steps,).
        terminated: The last step ended the attempt: nothing follows it.
        truncated: A limit cut the attempt: its future goes on after ``final_obs``.
        final_obs: What it saw after the last step, by sensor name, without the step axis; needed when truncated.
    """

    obs: dict[str, np.ndarray]
    actions: np.ndarray
    log_probs: np.ndarray
    rewards: np.ndarray
    terminated: bool
    truncated: bool
    final_obs: dict[str, np.ndarray] | None = None

    def __post_init__(self) -> None:
        arrays = {"actions": self.actions, "log_probs": self.log_probs, **self.obs}
        for name, array in arrays.items():
            if len(array) != len(self.rewards):
                raise ValueError(f"{name} must have one row per step, got {len(array)} for {len(self.rewards)} steps")
        if self.truncated and not self.terminated and self.final_obs is None:
            raise ValueError("a truncated episode needs final_obs, which the value of its future is estimated from")

    @property
    def num_steps(self) -> int:
        return len(self.rewards)

    @property
    def bootstraps(self) -> bool:
        """Whether the value of ``final_obs`` counts as the future of the last step."""
        return self.truncated and not self.terminated


def num_steps(episodes: Sequence[Episode]) -> int:
    """Steps of all episodes together."""
    return sum(episode.num_steps for episode in episodes)

"""Generalized advantage estimation over whole episodes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def gae(rewards: ArrayLike, values: ArrayLike, final_value: float, *, gamma: float, gae_lambda: float) -> np.ndarray:
    """Advantages of one episode, float64, shape (num_steps,) like ``rewards`` and ``values``.

        delta_t = r_t + gamma V(s_{t+1}) - V(s_t)
        A_t     = delta_t + gamma lambda A_{t+1}

    Args:
        rewards: Reward of each step.
        values: V of the state before each step.
        final_value: V of the state after the last step: 0 after a real end, an estimate after a time limit.
        gamma: Discount per step.
        gae_lambda: 0 trusts the values, 1 the rewards.

    Source: Schulman et al. (2016), arXiv:1506.02438, eq. 16.
    """
    rewards = np.asarray(rewards, dtype=np.float64)
    values = np.asarray(values, dtype=np.float64)
    deltas = rewards + gamma * np.append(values[1:], final_value) - values
    advantages = np.empty_like(deltas)
    running = 0.0
    for step in reversed(range(len(deltas))):
        running = deltas[step] + gamma * gae_lambda * running
        advantages[step] = running
    return advantages

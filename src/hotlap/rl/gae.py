"""Generalized advantage estimation over whole episodes."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike


def gae(
    rewards: ArrayLike,
    values: ArrayLike,
    final_value: float,
    *,
    gamma: float,
    gae_lambda: float,
    weights: ArrayLike = 1.0,
) -> np.ndarray:
    """Advantages of one episode, float64, shape (num_steps,) like ``rewards`` and ``values``.

        delta_t = r_t + gamma V(s_{t+1}) - V(s_t)
        A_t     = delta_t + gamma lambda w_{t+1} A_{t+1}

    The target of V(s_t) is V(s_t) + w_t A_t. Where another policy mu chose the actions, w = min(1, pi / mu) makes it
    the V-trace target of pi, with rho and c truncated at 1, and w_t A_t the advantage in the gradient of pi.

    Args:
        rewards: Reward of each step.
        values: V of the state before each step.
        final_value: V of the state after the last step: 0 after a real end, an estimate after a time limit.
        gamma: Discount per step.
        gae_lambda: 0 trusts the values, 1 the rewards.
        weights: Importance of each step, (num_steps,) or one for all; 1 if the policy itself acted.

    Source: Schulman et al. (2016), arXiv:1506.02438, eq. 16; Espeholt et al. (2018), arXiv:1802.01561, sec. 4.
    """
    rewards = np.asarray(rewards, dtype=np.float64)
    values = np.asarray(values, dtype=np.float64)
    deltas = rewards + gamma * np.append(values[1:], final_value) - values
    carry = gamma * gae_lambda * np.broadcast_to(weights, deltas.shape)
    advantages = np.empty_like(deltas)
    following = 0.0
    for step in reversed(range(len(deltas))):
        advantages[step] = deltas[step] + following
        following = carry[step] * advantages[step]
    return advantages

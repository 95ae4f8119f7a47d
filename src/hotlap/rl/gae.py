"""Generalized advantage estimation over whole episodes."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import ArrayLike


def gae(
    rewards: ArrayLike,
    values: ArrayLike,
    final_values: ArrayLike,
    *,
    gamma: float,
    gae_lambda: float,
    weights: ArrayLike = 1.0,
    lengths: Sequence[int] | None = None,
) -> np.ndarray:
    """Advantages of one episode, or of several one after the other, float64, shape (num_steps,) like ``rewards``.

        delta_t = r_t + gamma V(s_{t+1}) - V(s_t)
        A_t     = delta_t + gamma lambda w_{t+1} A_{t+1}

    The target of V(s_t) is V(s_t) + w_t A_t. Where another policy mu chose the actions, w = min(1, pi / mu) makes it
    the V-trace target of pi, with rho and c truncated at 1, and w_t A_t the advantage in the gradient of pi.

    Args:
        rewards: Reward of each step.
        values: V of the state before each step, (num_steps,).
        final_values: V of the state after the last step of each episode: 0 after a real end, an estimate after a time
            limit.
        gamma: Discount per step.
        gae_lambda: 0 trusts the values, 1 the rewards.
        weights: Importance of each step, (num_steps,) or one for all; 1 if the policy itself acted.
        lengths: Steps of each episode, at least one; None: all are of one.

    Source: Schulman et al. (2016), arXiv:1506.02438, eq. 16; Espeholt et al. (2018), arXiv:1802.01561, sec. 4.
    """
    rewards = np.asarray(rewards, dtype=np.float64)
    values = np.asarray(values, dtype=np.float64)
    spans = np.array([len(rewards)] if lengths is None else lengths)
    last = np.cumsum(spans) - 1
    next_values = np.append(values[1:], 0.0)
    next_values[last] = final_values
    deltas = rewards + gamma * next_values - values
    carry = gamma * gae_lambda * np.broadcast_to(weights, deltas.shape)
    advantages = np.empty_like(deltas)
    # Backwards through all episodes at once, the longest first: those with a step so far from the end are in front.
    order = np.argsort(-spans, kind="stable")
    last, following = last[order], np.zeros(len(spans))
    still = np.searchsorted(-spans[order], -np.arange(spans.max(initial=0)), side="left")
    for back, count in enumerate(still.tolist()):
        steps = last[:count] - back
        advantages[steps] = deltas[steps] + following[:count]
        following[:count] = carry[steps] * advantages[steps]
    return advantages

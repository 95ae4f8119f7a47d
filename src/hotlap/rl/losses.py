"""The losses of clipped PPO: a named batch in, named numbers out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor

from hotlap.rl.distributions import Distribution

LossType = Literal["huber", "mse"]
HUBER_DELTA = 1.0


@dataclass(frozen=True)
class PolicyLoss:
    """The policy's share of the loss, and what one likes to know beside it; scalars.

    Attributes:
        loss: To minimize: ``surrogate`` minus weighted ``entropy``.
        surrogate: -mean(min(ratio A, clip(ratio, 1 - eps, 1 + eps) A)).
        entropy: Mean entropy [nat].
        approx_kl: Estimate of KL(old, new) [nat], mean(ratio - 1 - log ratio), at least 0 but for rounding.
        clip_fraction: Share of samples whose ratio is outside of the clip range.
    """

    loss: Tensor
    surrogate: Tensor
    entropy: Tensor
    approx_kl: Tensor
    clip_fraction: Tensor


def policy_loss(
    policy: Distribution,
    actions: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    *,
    clip_coef: float,
    beta_entropy: float,
) -> PolicyLoss:
    """Clipped surrogate with entropy bonus.

    Args:
        policy: What the network says now about the states of the batch.
        actions: What was done, (batch,) or (batch, num_dims).
        old_log_probs: Its log probability before the update, (batch,).
        advantages: Normalized, (batch,); times the importance of the sample where another policy acted.
        clip_coef: Half-width of the range in which the ratio counts.
        beta_entropy: Weight of the entropy.

    Source: Schulman et al. (2017), arXiv:1707.06347, eq. 7.
    """
    log_ratio = policy.log_prob(actions) - old_log_probs
    ratio = log_ratio.exp()
    clipped = ratio.clamp(1.0 - clip_coef, 1.0 + clip_coef)
    surrogate = -torch.minimum(ratio * advantages, clipped * advantages).mean()
    entropy = policy.entropy().mean()
    with torch.no_grad():
        approx_kl = (ratio - 1.0 - log_ratio).mean()
        clip_fraction = ((ratio - 1.0).abs() > clip_coef).float().mean()
    return PolicyLoss(surrogate - beta_entropy * entropy, surrogate, entropy, approx_kl, clip_fraction)


def value_loss(values: Tensor, targets: Tensor, loss_type: LossType) -> Tensor:
    """Mean over the batch of e**2 (``mse``), or of e**2 / 2 up to 1 and abs(e) - 1/2 beyond (``huber``); a scalar."""
    targets = targets.to(values.dtype)
    if loss_type == "huber":
        return F.huber_loss(values, targets, delta=HUBER_DELTA)
    return F.mse_loss(values, targets)

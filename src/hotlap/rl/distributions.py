"""The two kinds of policy output: a choice among actions, or a Gaussian per dimension.

Samples are functions of noise that the caller gives, one row per world, so that an episode's randomness belongs to the
episode and not to the batch it happens to run in.

Source: DeepRacer simapp, `rl_coach/architectures/tensorflow_components/heads/ppo_head.py`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

MIN_PROBABILITY = 1e-8
MIN_LOG_STD = -20.0
MAX_LOG_STD = 3.0


@dataclass(frozen=True)
class Categorical:
    """Probabilities of numbered actions, floored at 1e-8.

    Args:
        probs: Shape (batch, num_actions).
    """

    probs: Tensor

    @staticmethod
    def from_logits(logits: Tensor) -> Categorical:
        return Categorical(torch.softmax(logits, dim=-1).clamp_min(MIN_PROBABILITY))

    def mode(self) -> Tensor:
        """The most probable action, int64, shape (batch,)."""
        return self.probs.argmax(dim=-1)

    def sample(self, noise: Tensor) -> Tensor:
        """Draw by the inverse of the cumulative distribution.

        Args:
            noise: Uniform in [0, 1), shape (batch, 1).

        Returns:
            int64, shape (batch,).
        """
        # In float64 and scaled by its own last value: the sum of float32 probabilities is not exactly 1.
        cumulative = self.probs.double().cumsum(dim=-1)
        action = torch.searchsorted(cumulative, noise.double() * cumulative[:, -1:], right=True)
        return action.squeeze(-1).clamp_max(self.probs.shape[-1] - 1)

    def log_prob(self, action: Tensor) -> Tensor:
        """Log probability, shape (batch,), of int64 actions of the same shape."""
        return self.probs.gather(-1, action.unsqueeze(-1)).squeeze(-1).log()

    def entropy(self) -> Tensor:
        """Entropy [nat], shape (batch,)."""
        return -(self.probs * self.probs.log()).sum(dim=-1)


@dataclass(frozen=True)
class Gaussian:
    """Independent normal distributions.

    Args:
        mean: Shape (batch, num_dims).
        std: Shape (num_dims,), the same for every state.
    """

    mean: Tensor
    std: Tensor

    @staticmethod
    def from_log_std(mean: Tensor, log_std: Tensor) -> Gaussian:
        std = log_std.clamp(MIN_LOG_STD, MAX_LOG_STD).exp() + torch.finfo(torch.float32).eps
        return Gaussian(mean, std)

    def mode(self) -> Tensor:
        """The mean, shape (batch, num_dims)."""
        return self.mean

    def sample(self, noise: Tensor) -> Tensor:
        """Shift and scale standard normal noise; shapes (batch, num_dims)."""
        return self.mean + self.std * noise.to(self.mean.dtype)

    def log_prob(self, action: Tensor) -> Tensor:
        """Log density, shape (batch,), of actions of shape (batch, num_dims)."""
        z = (action - self.mean) / self.std
        return (-0.5 * z * z - self.std.log() - 0.5 * math.log(2 * math.pi)).sum(dim=-1)

    def entropy(self) -> Tensor:
        """Differential entropy [nat], shape (batch,)."""
        per_dim = self.std.log() + 0.5 * math.log(2 * math.pi * math.e)
        return per_dim.sum().expand(self.mean.shape[0])


Distribution = Categorical | Gaussian

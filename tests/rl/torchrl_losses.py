"""Advantages and losses as TorchRL has them; to import it takes seconds, so only what asks it imports this."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from tensordict import TensorDict
from tensordict.nn import ProbabilisticTensorDictModule, ProbabilisticTensorDictSequential, TensorDictModule
from torch import Tensor, nn
from torchrl.objectives import ClipPPOLoss
from torchrl.objectives.value.functional import generalized_advantage_estimate


def advantages(
    rewards: np.ndarray, values: np.ndarray, final_value: float, *, gamma: float, gae_lambda: float
) -> Tensor:
    """Of an episode that ends with its last step, after which ``final_value`` is still expected."""
    done = torch.zeros(len(rewards), 1, dtype=torch.bool)
    done[-1] = True
    found, _ = generalized_advantage_estimate(
        gamma,
        gae_lambda,
        torch.from_numpy(values)[:, None],
        torch.from_numpy(np.append(values[1:], final_value))[:, None],
        torch.from_numpy(rewards)[:, None],
        done,
        torch.zeros_like(done),
    )
    return found.squeeze(-1)


def losses(
    parameters: dict[str, Tensor],
    distribution: Any,
    action: Tensor,
    old_log_probs: Tensor,
    advantages: Tensor,
    values: Tensor,
    targets: Tensor,
    *,
    loss_type: str,
) -> TensorDict:
    """ClipPPOLoss on given parameters of a distribution and given values."""
    names = list(parameters)
    actor = ProbabilisticTensorDictSequential(
        TensorDictModule(nn.Identity(), in_keys=["first"], out_keys=[names[0]]),
        *[TensorDictModule(nn.Identity(), in_keys=["second"], out_keys=[name]) for name in names[1:]],
        ProbabilisticTensorDictModule(in_keys=names, out_keys=["action"], distribution_class=distribution),
    )
    critic = TensorDictModule(nn.Identity(), in_keys=["values"], out_keys=["state_value"])
    loss = ClipPPOLoss(
        actor,
        critic,
        clip_epsilon=0.2,
        entropy_bonus=True,
        entropy_coeff=0.03,
        critic_coeff=1.0,
        loss_critic_type=loss_type,
        normalize_advantage=False,
    )
    batch = TensorDict(
        {
            "first": parameters[names[0]],
            "values": values[:, None],
            "action": action,
            "action_log_prob": old_log_probs,
            "advantage": advantages[:, None],
            "value_target": targets[:, None],
        },
        batch_size=[len(advantages)],
    )
    if len(names) > 1:
        batch["second"] = parameters[names[1]]
    return loss(batch)

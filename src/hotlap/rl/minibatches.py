"""Going through minibatches: an optimizer step of a tower for each.

Where towers share nothing their gradients do not meet, so on a CPU the policy and the value go through their
minibatches side by side, each on its half of the cores, with the result that one after the other would have. A tower
that has several cores to itself cuts each minibatch into as many parts and adds their gradients up. Both beat several
cores per operation: hardly anything waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from hotlap.rl.adam import Adam, ParallelMap
from hotlap.rl.losses import LossType, policy_loss, value_loss
from hotlap.rl.networks import Tower
from hotlap.rl.working_weights import WorkingWeights

KL_WINDOW = 8  # minibatches whose mean divergence is compared with the target: that of one is mostly noise
SMALLEST_PART = 16  # [samples] of a minibatch that a thread takes: every part has gradients of all weights to write


@dataclass(frozen=True)
class PPOConfig:
    """Settings of an update; defaults are those of the stock DRfC hyperparameters.json and of the original's code."""

    lr: float = 3e-4
    batch_size: int = 64
    """Samples per minibatch. With too few steps, the largest power of two that is not more than the steps."""
    num_epochs: int = 5
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_coef: float = 0.2
    beta_entropy: float = 0.01
    loss_type: LossType = "huber"
    adam_betas: tuple[float, float] = (0.9, 0.999)
    adam_eps: float = 1e-5
    normalize_eps: float = 1e-8
    target_kl: float = 0.0
    """Divergence from the policy before the update [nat] that ends its passes over the samples; 0: none does."""


@dataclass(frozen=True)
class Samples:
    """Steps of all episodes on the device; the first axis counts them."""

    packed: dict[str, Tensor]
    actions: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    value_targets: Tensor

    def select(self, indices: Tensor, sensors: Sequence[str]) -> Samples:
        """Some of the steps, with what these sensors saw."""
        return Samples(
            {sensor: self.packed[sensor].index_select(0, indices) for sensor in sensors},
            self.actions.index_select(0, indices),
            self.old_log_probs.index_select(0, indices),
            self.advantages.index_select(0, indices),
            self.value_targets.index_select(0, indices),
        )


class TowerLearner:
    """One tower with its optimizer, going through minibatches by itself."""

    def __init__(self, tower: Tower, config: PPOConfig, dtype: torch.dtype) -> None:
        self.config = config
        self.tower = tower
        self.weights = WorkingWeights(tower, dtype, requires_grad=True)
        self.adam = Adam(dict(tower.named_parameters()), lr=config.lr, betas=config.adam_betas, eps=config.adam_eps)

    def optimize(
        self, samples: Samples, epochs: Sequence[Sequence[Tensor]], num_parts: int = 1, parallel_map: ParallelMap = map
    ) -> list[dict[str, float]]:
        """One optimizer step per minibatch of indices; returns the mean of each loss term by epoch.

        A policy that has come farther than the target takes no more steps, and has no more epochs than it began.

        Args:
            samples: What the indices count.
            epochs: Indices of the minibatches of each.
            num_parts: Parts that a minibatch is cut into; the sum of their gradients does not depend on who is first.
            parallel_map: Calls a function for each part.
        """
        means: list[dict[str, float]] = []
        recent: list[Tensor] = []
        too_far = False
        for minibatches in epochs:
            of_epoch: dict[str, Tensor] = {}
            num_done = 0
            for indices in minibatches:
                parts = list(
                    parallel_map(partial(self._differentiate, samples, len(indices)), indices.tensor_split(num_parts))
                )
                self.adam.step([gradients for gradients, _ in parts], self.weights.copies, parallel_map)
                num_done += 1
                for _, terms in parts:
                    for name, term in terms.items():
                        # Stays on the device: .item() here would stall a GPU once per minibatch.
                        of_epoch[name] = of_epoch.get(name, 0.0) + term
                if self.config.target_kl and self.tower.head.actions is not None:
                    recent.append(sum(terms["approx_kl"] for _, terms in parts))
                    if len(recent) == KL_WINDOW:
                        too_far = float(sum(recent)) > KL_WINDOW * self.config.target_kl
                        recent.clear()
                        if too_far:
                            break
            means.append({name: float(total) / num_done for name, total in of_epoch.items()})
            if too_far:
                break
        return means

    def _differentiate(
        self, samples: Samples, batch_size: int, indices: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Gradients and terms that these samples contribute to the means over a minibatch of ``batch_size``."""
        share = len(indices) / batch_size
        loss, terms = self._loss(samples.select(indices, self.tower.sensors))
        leaves = self.weights.leaves
        gradients = torch.autograd.grad(share * loss, tuple(leaves.values()))
        return (
            dict(zip(leaves, gradients, strict=True)),
            {name: share * term.detach().double() for name, term in terms.items()},
        )

    def _loss(self, batch: Samples) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config
        outputs = self.weights.forward(batch.packed)
        losses: list[Tensor] = []
        terms: dict[str, Tensor] = {}
        if outputs.policy is not None:
            policy = policy_loss(
                outputs.policy,
                batch.actions,
                batch.old_log_probs,
                batch.advantages,
                clip_coef=config.clip_coef,
                beta_entropy=config.beta_entropy,
            )
            losses.append(policy.loss)
            terms |= {
                "policy_loss": policy.surrogate,
                "entropy": policy.entropy,
                "approx_kl": policy.approx_kl,
                "clip_fraction": policy.clip_fraction,
            }
        if outputs.values is not None:
            value = value_loss(outputs.values, batch.value_targets, config.loss_type)
            losses.append(value)
            terms["value_loss"] = value
        return sum(losses[1:], start=losses[0]), terms


def optimize_on_threads(
    learners: Sequence[TowerLearner], samples: Samples, epochs: Sequence[Sequence[Tensor]]
) -> list[list[dict[str, float]]]:
    """Let the learners work side by side, torch's threads divided among them and the parts of their minibatches.

    Never on the calling thread: the C library's heap of a process's first thread gives large blocks back to the system
    after each minibatch and takes them again page by page, which costs a sixth of the time; heaps of other threads
    keep them.
    """
    num_threads = torch.get_num_threads()
    num_learners = min(len(learners), num_threads)
    num_parts = max(1, min(num_threads // num_learners, len(epochs[0][0]) // SMALLEST_PART))

    def pool(num_workers: int, share: int) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(num_workers, initializer=torch.set_num_threads, initargs=(num_threads // share,))

    def optimize(learner: TowerLearner) -> list[dict[str, float]]:
        if num_parts == 1:
            return learner.optimize(samples, epochs)
        with pool(num_parts, num_learners * num_parts) as team:
            return learner.optimize(samples, epochs, num_parts, team.map)

    try:
        with pool(num_learners, num_learners * num_parts) as leaders:
            return list(leaders.map(optimize, learners))
    finally:
        # The number of threads that a worker sets is also the default of threads to come.
        torch.set_num_threads(num_threads)

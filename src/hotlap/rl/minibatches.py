"""Going through minibatches: an optimizer step of a tower for each.

Where towers share nothing their gradients do not meet, so on a CPU the policy and the value go through their
minibatches side by side, each on its half of the cores, with the result that one after the other would have. A tower
that has several cores to itself cuts each minibatch into as many parts and adds their gradients up. Both beat several
cores per operation: hardly anything waits.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import Generic, Protocol, TypeVar

import torch
from torch import Tensor

from hotlap.rl.adam import Adam, ParallelMap
from hotlap.rl.networks import Tower
from hotlap.rl.working_weights import WorkingWeights

KL_WINDOW = 8  # minibatches whose mean divergence is compared with the target: that of one is mostly noise
SMALL_SHARE = 0.1  # of the weights of the largest tower: what has fewer is done long before it
SMALLEST_PART = 16  # [samples] of a minibatch that a thread takes: every part has gradients of all weights to write

BatchT = TypeVar("BatchT")
BatchT_co = TypeVar("BatchT_co", covariant=True)


class Selectable(Protocol[BatchT_co]):
    """What a tower learns from, by the index of a sample."""

    def select(self, indices: Tensor, sensors: Sequence[str]) -> BatchT_co:
        """Some of the samples, with what these sensors saw."""
        ...


class TowerLearner(Generic[BatchT]):
    """One tower with its optimizer, going through minibatches by itself.

    Args:
        tower: Changed in place.
        dtype: Of the arithmetic before the heads.
        lr: Learning rate.
        betas: Of Adam.
        eps: Of Adam.
        target_kl: Divergence from the policy before [nat] at which no further step is taken; 0: at none.
    """

    def __init__(
        self,
        tower: Tower,
        dtype: torch.dtype,
        *,
        lr: float,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-5,
        target_kl: float = 0.0,
    ) -> None:
        self.tower, self.target_kl = tower, target_kl
        self.weights = WorkingWeights(tower, dtype, requires_grad=True)
        self.adam = Adam(dict(tower.named_parameters()), lr=lr, betas=betas, eps=eps)

    @property
    def num_weights(self) -> int:
        """How many numbers it learns."""
        return sum(weight.numel() for weight in self.weights.leaves.values())

    def optimize(
        self,
        samples: Selectable[BatchT],
        epochs: Sequence[Sequence[Tensor]],
        num_parts: int = 1,
        parallel_map: ParallelMap = map,
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
                if self.target_kl and self.tower.head.actions is not None:
                    recent.append(sum(terms["approx_kl"] for _, terms in parts))
                    if len(recent) == KL_WINDOW:
                        too_far = float(sum(recent)) > KL_WINDOW * self.target_kl
                        recent.clear()
                        if too_far:
                            break
            means.append({name: float(total) / num_done for name, total in of_epoch.items()})
            if too_far:
                break
        return means

    def _differentiate(
        self, samples: Selectable[BatchT], batch_size: int, indices: Tensor
    ) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
        """Gradients and terms that these samples contribute to the means over a minibatch of ``batch_size``."""
        share = len(indices) / batch_size
        loss, terms = self.loss(samples.select(indices, self.tower.sensors))
        leaves = self.weights.leaves
        gradients = torch.autograd.grad(share * loss, tuple(leaves.values()))
        return (
            dict(zip(leaves, gradients, strict=True)),
            {name: share * term.detach().double() for name, term in terms.items()},
        )

    def loss(self, batch: BatchT) -> tuple[Tensor, dict[str, Tensor]]:
        """The loss of a batch, a mean over its samples, and what one likes to know beside it, as scalars by name."""
        raise NotImplementedError


def optimize(
    learners: Sequence[TowerLearner[BatchT]],
    samples: Selectable[BatchT],
    epochs: Sequence[Sequence[Tensor]],
    device: torch.device,
) -> list[list[dict[str, float]]]:
    """Let the learners go through minibatches, side by side where a processor computes; see `TowerLearner.optimize`."""
    if device.type == "cpu":
        return _optimize_on_threads(learners, samples, epochs)
    return [learner.optimize(samples, epochs) for learner in learners]


def _optimize_on_threads(
    learners: Sequence[TowerLearner[BatchT]], samples: Selectable[BatchT], epochs: Sequence[Sequence[Tensor]]
) -> list[list[dict[str, float]]]:
    """Let the learners work side by side, torch's threads divided among them and the parts of their minibatches.

    One whose tower is small beside the largest needs no share: it works beside the others.

    Never on the calling thread: the C library's heap of a process's first thread gives large blocks back to the system
    after each minibatch and takes them again page by page, which costs a sixth of the time; heaps of other threads
    keep them.
    """
    num_threads = torch.get_num_threads()
    largest = max(learner.num_weights for learner in learners)
    small = [learner for learner in learners if learner.num_weights < SMALL_SHARE * largest]
    num_learners = min(len(learners) - len(small), num_threads)
    num_parts = max(1, min(num_threads // num_learners, len(epochs[0][0]) // SMALLEST_PART))

    def pool(num_workers: int, share: int) -> ThreadPoolExecutor:
        return ThreadPoolExecutor(num_workers, initializer=torch.set_num_threads, initargs=(num_threads // share,))

    def go_through(learner: TowerLearner[BatchT]) -> list[dict[str, float]]:
        if num_parts == 1 or learner in small:
            return learner.optimize(samples, epochs)
        with pool(num_parts, num_learners * num_parts) as team:
            return learner.optimize(samples, epochs, num_parts, team.map)

    try:
        with pool(num_learners + len(small), num_learners * num_parts) as leaders:
            return list(leaders.map(go_through, learners))
    finally:
        # The number of threads that a worker sets is also the default of threads to come.
        torch.set_num_threads(num_threads)

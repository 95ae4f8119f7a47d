"""Adam on float32 weights whose gradients may come in a narrower dtype."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

ParallelMap = Callable[..., Iterable[Any]]
"""``map``, or that of an executor, which calls side by side."""

CPU_CHUNK = 1 << 18  # [elements] a chunk of weights, moments and gradients stays in a core's cache between its passes


class Adam:
    """Adam without weight decay.

    A large weight that is computed with in a narrower dtype is updated chunk by chunk: widen its gradient, step, narrow
    the weight again, all while the chunk is in the cache. On one Zen 4 core that takes some 6 ms for the shallow
    network, of some 55 ms for a minibatch of 64.

    ``torch.optim.Adam(fused=True)`` makes the same bytes and takes the same time on one core of a Xeon (17.9 ms, this
    one 17.5 ms). But making one loads torch._dynamo into every process that learns, 824 modules and 76 MB, and its step
    does not divide among the cores that computed the parts.

    Args:
        weights: By name; changed in place.
        lr: Learning rate; may be set anew before each step.
        betas: Decay of the first and of the second moment.
        eps: Added to the root of the second moment.

    Source: Kingma and Ba (2015), arXiv:1412.6980, algorithm 1.
    """

    def __init__(self, weights: Mapping[str, Tensor], *, lr: float, betas: tuple[float, float], eps: float) -> None:
        self.weights = {name: weight.detach() for name, weight in weights.items()}
        self.first_moments = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        self.second_moments = {name: torch.zeros_like(weight) for name, weight in self.weights.items()}
        device = next(iter(self.weights.values())).device
        self.num_steps = torch.zeros((), dtype=torch.float32, device=device)
        self.lr, self._betas, self._eps = lr, betas, eps

    def step(
        self, gradients: Sequence[Mapping[str, Tensor]], copies: Mapping[str, Tensor], parallel_map: ParallelMap = map
    ) -> None:
        """Change every weight by its gradient, and bring narrower copies of weights up to date.

        Args:
            gradients: By name, of as many parts of the loss as there are; their sum counts. Of the dtype of the copy
                where there is one, else of the weight.
            copies: By name, of some of the weights; overwritten.
            parallel_map: Calls a function for each of the shares of the work, as many as there are parts.
        """
        self.num_steps += 1
        whole = [name for name in self.weights if name not in copies]
        self._update(
            [self.weights[name] for name in whole],
            [_sum([part[name] for part in gradients]) for name in whole],
            [self.first_moments[name] for name in whole],
            [self.second_moments[name] for name in whole],
        )
        for name, copy in copies.items():
            chunks = self._chunks(name, [part[name] for part in gradients], copy.detach())
            shares = [chunks[start :: len(gradients)] for start in range(len(gradients))]
            list(parallel_map(self._update_chunks, shares))

    def state_dict(self) -> dict[str, Tensor]:
        """Moments ``first.NAME`` and ``second.NAME`` and the count ``num_steps``: the tensors themselves, no copies."""
        return {
            "num_steps": self.num_steps,
            **{f"first.{name}": moment for name, moment in self.first_moments.items()},
            **{f"second.{name}": moment for name, moment in self.second_moments.items()},
        }

    def _chunks(self, name: str, gradients: Sequence[Tensor], copy: Tensor) -> list[tuple[Tensor, ...]]:
        """Weight, moments, copy and gradients, cut into pieces of the cache's size."""
        weight = self.weights[name]
        chunk = CPU_CHUNK if weight.device.type == "cpu" else weight.numel()
        tensors = (weight, self.first_moments[name], self.second_moments[name], copy, *gradients)
        return list(zip(*(tensor.reshape(-1).split(chunk) for tensor in tensors), strict=True))

    @torch.no_grad()
    def _update_chunks(self, chunks: Sequence[tuple[Tensor, ...]]) -> None:
        if not chunks:
            return
        widened = torch.empty_like(chunks[0][0])
        for weight, first, second, copy, *gradients in chunks:
            wide = widened[: len(weight)].copy_(gradients[0])
            for gradient in gradients[1:]:
                wide += gradient
            self._update([weight], [wide], [first], [second])
            copy.copy_(weight)

    @torch.no_grad()
    def _update(
        self, weights: list[Tensor], gradients: list[Tensor], first: list[Tensor], second: list[Tensor]
    ) -> None:
        torch._fused_adam_(
            weights,
            gradients,
            first,
            second,
            [],
            [self.num_steps] * len(weights),
            lr=self.lr,
            beta1=self._betas[0],
            beta2=self._betas[1],
            weight_decay=0.0,
            eps=self._eps,
            amsgrad=False,
            maximize=False,
        )


def _sum(parts: Sequence[Tensor]) -> Tensor:
    return sum(parts[1:], start=parts[0]).contiguous()

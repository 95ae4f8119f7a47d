"""Adam on float32 weights whose gradients may come in a narrower dtype."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

CPU_CHUNK = 1 << 17  # [elements] a chunk of weights, moments and gradients stays in a core's cache between its passes


class Adam:
    """Adam with constant learning rate, without weight decay.

    A large weight that is computed with in a narrower dtype is updated chunk by chunk: widen its gradient, step, narrow
    the weight again, all while the chunk is in the cache. On one Zen 4 core that takes 5.4 ms instead of 8.6 ms for the
    shallow network, of some 65 ms for a minibatch of 64.

    Args:
        weights: By name; changed in place.
        lr: Learning rate.
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
        self._lr, self._betas, self._eps = lr, betas, eps

    @torch.no_grad()
    def step(self, gradients: Mapping[str, Tensor], copies: Mapping[str, Tensor]) -> None:
        """Change every weight by its gradient, and bring narrower copies of weights up to date.

        Args:
            gradients: By name; of the dtype of the copy where there is one, else of the weight.
            copies: By name, of some of the weights; overwritten.
        """
        self.num_steps += 1
        whole = [name for name in self.weights if name not in copies]
        self._update(
            [self.weights[name] for name in whole],
            [gradients[name].contiguous() for name in whole],
            [self.first_moments[name] for name in whole],
            [self.second_moments[name] for name in whole],
        )
        for name, copy in copies.items():
            self._update_with_copy(name, gradients[name], copy.detach())

    def state_dict(self) -> dict[str, Tensor]:
        """Moments ``first.NAME`` and ``second.NAME`` and the count ``num_steps``: the tensors themselves, no copies."""
        return {
            "num_steps": self.num_steps,
            **{f"first.{name}": moment for name, moment in self.first_moments.items()},
            **{f"second.{name}": moment for name, moment in self.second_moments.items()},
        }

    def _update_with_copy(self, name: str, gradient: Tensor, copy: Tensor) -> None:
        weight = self.weights[name]
        chunk = CPU_CHUNK if weight.device.type == "cpu" else weight.numel()
        flat = (weight, gradient.contiguous(), self.first_moments[name], self.second_moments[name], copy)
        widened = weight.new_empty(min(chunk, weight.numel()))
        for part, part_gradient, first, second, part_copy in zip(
            *(tensor.view(-1).split(chunk) for tensor in flat), strict=True
        ):
            wide = widened[: len(part)].copy_(part_gradient)
            self._update([part], [wide], [first], [second])
            part_copy.copy_(part)

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
            lr=self._lr,
            beta1=self._betas[0],
            beta2=self._betas[1],
            weight_decay=0.0,
            eps=self._eps,
            amsgrad=False,
            maximize=False,
        )

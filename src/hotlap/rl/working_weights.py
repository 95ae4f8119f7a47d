"""A second, fast copy of the large weights of a tower.

Weights are kept in float32. Where arithmetic is in bfloat16, converting the millions of weights of a middleware layer
in every pass would cost as much as a layer; they are converted once per change instead. Small weights are converted as
they are used.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor
from torch.func import functional_call

from hotlap.rl.networks import Outputs, Tower

LARGE = 1 << 18  # [elements] from here on a converted copy pays


class WorkingWeights:
    """A tower that computes in ``dtype``.

    The copies are leaves of their own in autograd: their gradients are in ``dtype`` and belong to the float32 weights
    of the same name.
    """

    def __init__(self, tower: Tower, dtype: torch.dtype, *, requires_grad: bool = False) -> None:
        self.tower = tower
        self.dtype = dtype
        parameters = dict(tower.named_parameters())
        self.copies = {
            name: parameter.detach().to(dtype).requires_grad_(requires_grad)
            for name, parameter in parameters.items()
            if parameter.numel() >= LARGE and parameter.dtype != dtype
        }
        self._originals = {name: parameters[name] for name in self.copies}

    def forward(self, packed: Mapping[str, Tensor]) -> Outputs:
        """Outputs of the tower for packed observations."""
        return functional_call(self.tower, self.copies, (packed, self.dtype))

    @torch.no_grad()
    def refresh(self) -> None:
        """Convert again after the weights of the tower have changed."""
        for name, copy in self.copies.items():
            copy.copy_(self._originals[name])

    def move_gradients(self) -> None:
        """Hand the gradients of the copies to the weights that they are copies of."""
        for name, copy in self.copies.items():
            original = self._originals[name]
            assert copy.grad is not None
            if original.grad is None:
                original.grad = copy.grad.to(original.dtype)
            else:
                original.grad.copy_(copy.grad)
            copy.grad = None

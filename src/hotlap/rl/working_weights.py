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

    Attributes:
        copies: In ``dtype``, of the large weights, by name.
        leaves: What the outputs are differentiated by: copies where there are some, else the weights themselves.
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
        self.leaves: dict[str, Tensor] = parameters | self.copies
        self._originals = {name: parameters[name] for name in self.copies}

    def forward(self, packed: Mapping[str, Tensor]) -> Outputs:
        """Outputs of the tower for packed observations."""
        return functional_call(self.tower, self.copies, (packed, self.dtype))

    @torch.no_grad()
    def refresh(self) -> None:
        """Convert again after the weights of the tower have changed."""
        for name, copy in self.copies.items():
            copy.copy_(self._originals[name])

"""A second, fast copy of the large weights of a tower.

Weights are kept in float32. Where arithmetic is in bfloat16, converting the millions of weights of a middleware layer
in every pass would cost as much as a layer; they are converted once per change instead. Small weights are converted as
they are used.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import deepcopy

import torch
from torch import Tensor

from hotlap.rl.networks import Outputs, Tower

LARGE = 1 << 18  # [elements] from here on a converted copy pays


class WorkingWeights:
    """A tower that computes in ``dtype``. Several threads may go forward at once.

    Attributes:
        copies: In ``dtype``, of the large weights, by name.
        leaves: What the outputs are differentiated by: copies where there are some, else the weights themselves.
    """

    def __init__(self, tower: Tower, dtype: torch.dtype, *, requires_grad: bool = False) -> None:
        # What somebody's own network computes in is its own affair.
        self.dtype = dtype if tower.body is None else next(tower.parameters()).dtype
        parameters = dict(tower.named_parameters())
        self.copies = {
            name: parameter.detach().to(self.dtype).requires_grad_(requires_grad)
            for name, parameter in parameters.items()
            if parameter.numel() >= LARGE and parameter.dtype != self.dtype
        }
        self.leaves: dict[str, Tensor] = parameters | self.copies
        self._originals = {name: parameters[name] for name in self.copies}
        # Exchanging weights for the time of a call, as torch's functional_call does, would not be safe with threads.
        self._working_tower = deepcopy(tower, {id(parameters[name]): leaf for name, leaf in self.leaves.items()})

    def forward(self, packed: Mapping[str, Tensor]) -> Outputs:
        """Outputs of the tower for packed observations."""
        outputs: Outputs = self._working_tower(packed, self.dtype)
        return outputs

    @torch.no_grad()
    def refresh(self) -> None:
        """Convert again after the weights of the tower have changed."""
        for name, copy in self.copies.items():
            copy.copy_(self._originals[name])

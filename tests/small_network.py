"""A network for trainings in tests: it learns as the built-in ones do, at a hundredth of their work and their files."""

from __future__ import annotations

import torch
from torch import Tensor, nn

PIXELS = 10  # of the camera for one of the network's


class Small(nn.Module):
    """Averages squares of the picture, and has one layer of 32 features on them."""

    def __init__(self, shapes: dict[str, tuple[int, ...]]) -> None:
        super().__init__()
        inputs = 0
        for shape in shapes.values():
            inputs += shape[0] if len(shape) == 1 else shape[0] * (shape[1] // PIXELS) * (shape[2] // PIXELS)
        self.dense = nn.Linear(inputs, 32)

    def forward(self, obs: dict[str, Tensor]) -> Tensor:
        seen = [values if values.ndim == 2 else _pooled(values) for values in obs.values()]
        return torch.tanh(self.dense(torch.cat(seen, dim=1)))


def _pooled(pictures: Tensor) -> Tensor:
    return nn.functional.avg_pool2d(pictures.float() / 255, PIXELS).flatten(1)

"""Pictures that are harder to read than those of the simulator, for evaluations."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from hotlap.rl.pictures import KINDS, NUM_NUMBERS, changed, is_picture

_NEXT = 0.618034  # from the place of the noise of a picture to that of the next one


class Disturbance:
    """Changes what cars see, the same way through an episode, but for the noise; it depends on the episode's seed.

    Args:
        num_worlds: How many worlds.
        kind: One of `KINDS`, or ``all``.
    """

    def __init__(self, num_worlds: int, kind: str) -> None:
        self._kinds = KINDS if kind == "all" else (kind,)
        self._numbers = torch.empty(num_worlds, NUM_NUMBERS)

    def begin(self, world: int, seed: int) -> None:
        """An episode with this seed begins in a world."""
        self._numbers[world] = torch.from_numpy(np.random.default_rng([seed, 5]).random(NUM_NUMBERS, dtype=np.float32))

    def of(self, worlds: np.ndarray, seen: dict[str, Tensor]) -> dict[str, Tensor]:
        """What the cars of these worlds see instead, one in each, (n, 1, ...) by sensor; asked once in each step."""
        rows = torch.from_numpy(worlds)
        numbers = self._numbers[rows]
        self._numbers[rows, -1] = (numbers[:, -1] + _NEXT) % 1.0
        return {
            sensor: changed(obs[:, 0], numbers, self._kinds)[:, None] if is_picture(obs[:, 0]) else obs
            for sensor, obs in seen.items()
        }

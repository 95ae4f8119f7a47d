"""The random numbers that episodes act with: they depend on nothing but the episode's seed."""

from __future__ import annotations

import numpy as np

from hotlap.rl.specs import ActionSpec, DiscreteActions

_BLOCK = 256  # steps whose numbers are drawn at once


class EpisodeNoise:
    """Noise for the policy in many worlds, a stream of its own for each episode.

    Args:
        num_worlds: How many worlds.
        actions: What is chosen with it: uniform numbers for discrete actions, else normal ones.
        size: Numbers for each step.
    """

    def __init__(self, num_worlds: int, actions: ActionSpec, size: int) -> None:
        self._uniform = isinstance(actions, DiscreteActions)
        self._streams: dict[int, np.random.Generator] = {}
        self._blocks = np.empty((num_worlds, _BLOCK, size))

    def begin(self, world: int, seed: int) -> None:
        """An episode with this seed begins in a world."""
        self._streams[world] = np.random.Generator(np.random.Philox(key=seed))

    def of(self, worlds: np.ndarray, steps: np.ndarray) -> np.ndarray:
        """Noise of the next step in each of these worlds, (n, size).

        Args:
            worlds: Their numbers.
            steps: How many there were before in the episode; each is asked for once, in order.
        """
        steps = steps % _BLOCK
        for world in worlds[steps == 0].tolist():
            stream, shape = self._streams[world], self._blocks.shape[1:]
            self._blocks[world] = stream.random(shape) if self._uniform else stream.standard_normal(shape)
        return self._blocks[worlds, steps]

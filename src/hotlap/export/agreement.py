"""Do a TensorFlow graph and one of our towers compute the same? Both are run on the same images."""

from __future__ import annotations

import copy
from dataclasses import dataclass
from typing import Final

import numpy as np
import torch

from hotlap.export.executor import Executor
from hotlap.export.structure import find_camera
from hotlap.rl.distributions import Categorical
from hotlap.rl.networks import Tower

TOLERANCE: Final = 1e-5
_BATCH: Final = 8  # images; bounds the memory of the largest networks


@dataclass(frozen=True)
class Agreement:
    """How well two computations agree.

    Attributes:
        largest_difference: Of any output: a probability, a mean in the [-1, 1] scaling, or a value.
        num_images: On how many images.
    """

    largest_difference: float
    num_images: int

    @property
    def holds(self) -> bool:
        return self.largest_difference <= TOLERANCE  # not so if it is NaN


def compare(
    executor: Executor,
    output: str,
    tower: Tower,
    frames: np.ndarray,
    *,
    dtype: type[np.floating] = np.float64,
) -> Agreement:
    """Compare a node of a graph with the policy of a tower, or with its value if it has no policy.

    Args:
        executor: Of the graph.
        output: The node; it is computed from one placeholder, for the image of a camera.
        tower: Ours.
        frames: uint8, (num_images, channels, 120, 160).
        dtype: Of the arithmetic. In float64 rounding vanishes and a wrong weight shows, however large the outputs are;
            in float32, as cars compute, 1e-6 is usual and sharp policies reach 4e-5.

    Raises:
        MalformedError: If the graph cannot be computed.
    """
    camera = find_camera(executor, output)
    batches = [frames[start : start + _BATCH] for start in range(0, len(frames), _BATCH)]
    differences = []
    for batch in batches:
        theirs = executor.run(output, camera.feed(batch, dtype))
        ours = tower_output(tower, batch, dtype=dtype)
        if theirs.shape != ours.shape:
            return Agreement(float("inf"), len(frames))
        differences.append(np.abs(theirs - ours).max())
    return Agreement(float(np.max(differences)), len(frames))


def tower_output(tower: Tower, frames: np.ndarray, *, dtype: type[np.floating] = np.float32) -> np.ndarray:
    """Probabilities, means or values of a tower, (num_images, num_outputs), for uint8 frames."""
    arithmetic = torch.float64 if dtype is np.float64 else torch.float32
    exact = copy.deepcopy(tower).to(arithmetic)
    with torch.inference_mode():
        outputs = exact(exact.pack({tower.sensors[0]: torch.from_numpy(np.ascontiguousarray(frames))}), arithmetic)
    if outputs.policy is None:
        assert outputs.values is not None
        return outputs.values[:, None].numpy()
    policy = outputs.policy
    return (policy.probs if isinstance(policy, Categorical) else policy.mean).numpy()

"""How much arithmetic an update is, and how much this machine can do: for the share of the peak that is reached."""

from __future__ import annotations

import time
from collections.abc import Mapping
from itertools import pairwise

import torch

from hotlap.deepracer.sensors import CAMERA_CHANNELS
from hotlap.rl.architectures import camera_layers, middleware_layers, vector_layers
from hotlap.rl.networks import ActorCritic
from hotlap.rl.specs import DiscreteActions


def forward_flops(network: ActorCritic) -> int:
    """Floating-point operations (two per multiply-add) of all towers for one sample, forward, biases left out.

    Counted from the table of networks, without the tricks of their implementation.
    """
    return sum(forward for forward, _ in _tower_flops(network))


def update_flops(network: ActorCritic) -> int:
    """Operations of one forward and backward pass of all towers for one sample.

    The backward pass is twice the forward one, except that nothing asks for the gradient of the inputs.
    """
    return sum(3 * forward - first for forward, first in _tower_flops(network))


def _tower_flops(network: ActorCritic) -> list[tuple[int, int]]:
    """Of each tower: operations forward, and of those in the layers that see the inputs."""
    actions = network.actions
    num_outputs = actions.num if isinstance(actions, DiscreteActions) else actions.num_dims
    found = []
    for tower, outputs in ((network.policy, num_outputs + network.shared_encoder), (network.value, 1)):
        if tower is not None:
            encoder, features, first = _encoder_flops(tower.network, tower.observations)
            found.append((encoder + 2 * features * outputs, first))
    return found


def _encoder_flops(name: str, observations: Mapping[str, tuple[int, ...]]) -> tuple[int, int, int]:
    """Operations of embedders and middleware, number of features, and operations of the layers that see the inputs."""
    total = first = embedded = 0
    for sensor, shape in observations.items():
        before = total
        if sensor in CAMERA_CHANNELS:
            channels, height, width = shape
            layers = camera_layers(name, sensor)
            for index, conv in enumerate(layers.convs):
                height, width = ((size - conv.kernel) // conv.stride + 1 for size in (height, width))
                total += 2 * height * width * conv.filters * channels * conv.kernel**2
                channels = conv.filters
                if index == 0:
                    first += total - before
            for units in layers.pixel_dense:
                total += 2 * height * width * channels * units
                channels = units
            embedded += channels * height * width
        else:
            dense = vector_layers(name)
            first += 2 * shape[0] * dense[0]
            total += _dense_flops((shape[0], *dense))
            embedded += dense[-1]
    sizes = (embedded, *middleware_layers(name))
    return total + _dense_flops(sizes), sizes[-1], first


def _dense_flops(sizes: tuple[int, ...]) -> int:
    return sum(2 * before * after for before, after in pairwise(sizes))


def matmul_peak(dtype: torch.dtype, num_threads: int, *, repeats: int = 10) -> float:
    """Highest rate [FLOP/s] of square matrix products, over ``repeats`` timings of some milliseconds."""
    size = 1024
    left, right = (torch.randn(size, size).to(dtype) for _ in range(2))
    before = torch.get_num_threads()
    torch.set_num_threads(num_threads)
    best = float("inf")
    try:
        for _ in range(repeats + 1):
            start = time.perf_counter()
            for _ in range(4):
                left @ right
            best = min(best, time.perf_counter() - start)
    finally:
        torch.set_num_threads(before)
    return 4 * 2 * size**3 / best

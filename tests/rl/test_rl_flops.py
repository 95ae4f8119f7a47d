"""What a network costs, in floating-point operations."""

from __future__ import annotations

import torch
from torch import nn

from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.deepracer.sensors import observation_shapes
from hotlap.rl.flops import forward_flops, update_flops
from hotlap.rl.networks import ActorCritic
from hotlap.rl.specs import DiscreteActions

SENSOR = "FRONT_FACING_CAMERA"


def test_flops_are_those_counted_by_torch():
    """Two per multiply-add of every convolution and matrix product on one sample, by torch's own counter."""
    from torch.utils.flop_counter import FlopCounterMode

    actor_critic = ActorCritic(SHALLOW, observation_shapes([SENSOR]), DiscreteActions(5))
    convs = nn.Sequential(nn.Conv2d(1, 32, 8, 4), nn.Conv2d(32, 64, 4, 2), nn.Conv2d(64, 64, 3), nn.Flatten())
    with FlopCounterMode(display=False) as counter:
        features = nn.Linear(11_264, 512)(convs(torch.zeros(1, 1, 120, 160)))
        nn.Linear(512, 1)(features)
        nn.Linear(512, 5)(features)
    heads = 2 * 512 * 6
    encoder = counter.get_total_flops() - heads
    assert forward_flops(actor_critic) == 2 * encoder + heads

    with FlopCounterMode(display=False) as counter:
        nn.Linear(11_264, 512)(convs(torch.zeros(1, 1, 120, 160))).sum().backward()
    assert update_flops(actor_critic) == 2 * counter.get_total_flops() + 3 * heads

"""The car's graph of networks that are as large as those that people train; other tests have slimmer ones."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from sample_policies import frames, make_policy

from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.export.agreement import compare
from hotlap.export.car_graph import POLICY_OUTPUT, car_graph
from hotlap.export.executor import Executor
from hotlap.export.graph import read_graph
from hotlap.export.layers import layers_of, load_layers
from hotlap.export.structure import read_layers
from hotlap.rl.architectures import ARCHITECTURES
from hotlap.rl.networks import Tower
from hotlap.rl.specs import DiscreteActions

ACTIONS = DiscreteActions(9)


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_graph_computes_what_the_network_computes_and_brings_every_bit_of_it(network: str):
    """To 1e-5 in float32, which adds up thousands of products here."""
    tower = make_policy(network, ACTIONS)
    graph = read_graph(car_graph(layers_of(tower)), "model.pb")
    assert compare(Executor(graph, num_images=4), POLICY_OUTPUT, tower, frames(2), dtype=np.float32).holds
    other = Tower(network, {"FRONT_FACING_CAMERA": (1, 120, 160)}, actions=ACTIONS)
    load_layers(other, read_layers(Executor(graph), POLICY_OUTPUT))
    state = other.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in tower.state_dict().items())


def test_in_float64_only_mistakes_are_left():
    """Also of a policy that is so sure that float32 drifts."""
    tower = make_policy(SHALLOW, DiscreteActions(5))
    with torch.no_grad():
        tower.head.logits.weight.mul_(30)
    graph = read_graph(car_graph(layers_of(tower)), "model.pb")
    executor = Executor(graph, num_images=8)
    single = compare(executor, POLICY_OUTPUT, tower, frames(4), dtype=np.float32)
    double = compare(executor, POLICY_OUTPUT, tower, frames(4))
    # Our probabilities have a floor of 1e-8, a graph's have none.
    assert double.largest_difference <= 1.001e-8 < 1e-7 < single.largest_difference

"""The car's graph: computes what the network computes, keeps every bit of the weights, and follows the car's rules."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from sample_policies import STEER_AND_SPEED, features, frames, make_policy
from tf_files import frozen_graph

from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.export.agreement import TOLERANCE, compare
from hotlap.export.car_graph import POLICY_OUTPUT, car_graph, policy_input
from hotlap.export.executor import Executor
from hotlap.export.graph import Graph, read_graph
from hotlap.export.layers import Dense, layers_of, load_layers
from hotlap.export.structure import find_camera, find_output, read_layers
from hotlap.rl.architectures import ARCHITECTURES
from hotlap.rl.networks import Tower
from hotlap.rl.specs import DiscreteActions

pytestmark = pytest.mark.usefixtures("slim_networks")

OPERATIONS = {
    *("Placeholder", "Const", "RealDiv", "Conv2D", "BiasAdd", "Relu", "Reshape", "MatMul"),
    *("Softmax", "Identity", "Tanh"),
}
ACTIONS = [DiscreteActions(2), DiscreteActions(5), DiscreteActions(9), DiscreteActions(21), STEER_AND_SPEED]


def exported(tower: Tower) -> Graph:
    return read_graph(car_graph(layers_of(tower)), "model.pb")


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_graph_computes_what_the_network_computes(network: str):
    """For every kind and number of actions, to 1e-5 in float32."""
    images = frames(4)
    for actions in ACTIONS:
        tower = make_policy(network, actions)
        graph = exported(tower)
        executor = Executor(graph, num_images=2 * len(images))
        output = find_output(graph)
        camera = find_camera(executor, output)
        agreement = compare(executor, output, tower, images, dtype=np.float32)
        assert agreement.largest_difference <= TOLERANCE
        assert agreement.num_images == 4
        assert executor.run(output, camera.feed(images, np.float32)).std(axis=0).max() > 0.02  # no trivial policy


@pytest.mark.parametrize("sensor", ["observation", "LEFT_CAMERA", "STEREO_CAMERAS"])
def test_other_cameras(sensor: str):
    """The graph has the channels of its camera, and names it."""
    tower = make_policy(SHALLOW, DiscreteActions(3), sensor=sensor)
    graph = exported(tower)
    executor = Executor(graph, num_images=4)
    camera = find_camera(executor, POLICY_OUTPUT)
    assert (camera.sensor, camera.node) == (sensor, policy_input(sensor))
    assert camera.num_channels == (2 if sensor == "STEREO_CAMERAS" else 1)
    assert compare(executor, POLICY_OUTPUT, tower, frames(4, num_channels=camera.num_channels)).holds


def test_squashed_policy_is_declared_as_ppo():
    """SAC has one dense layer more and squashes its mean; the car would clip it, so the graph squashes."""
    tower = make_policy(SHALLOW, STEER_AND_SPEED)
    rng = np.random.default_rng(0)
    hidden = Dense(rng.normal(0, 0.05, (16, 256)).astype(np.float32), rng.normal(0, 0.1, 256).astype(np.float32))
    head = Dense(rng.normal(0, 0.5, (256, 2)).astype(np.float32), np.array([0.5, -0.5], np.float32))
    plain = layers_of(tower)
    layers = replace(plain, middleware=(*plain.middleware, hidden), head=head, output="tanh")
    graph = read_graph(car_graph(layers), "model.pb")
    images = frames(4)
    executor = Executor(graph, num_images=4)
    camera = find_camera(executor, POLICY_OUTPUT)
    output = executor.run(POLICY_OUTPUT, camera.feed(images, np.float32))
    between = torch.relu(features(tower, images) @ torch.from_numpy(hidden.kernel) + torch.from_numpy(hidden.bias))
    expected = torch.tanh(between @ torch.from_numpy(head.kernel) + torch.from_numpy(head.bias)).numpy()
    np.testing.assert_allclose(output, expected, atol=TOLERANCE)
    assert np.abs(expected).max() > 0.3
    assert graph.nodes[POLICY_OUTPUT].op == "Identity"
    assert read_layers(Executor(graph), POLICY_OUTPUT).output == "tanh"


@pytest.mark.parametrize("network", ARCHITECTURES)
@pytest.mark.parametrize("actions", [DiscreteActions(5), STEER_AND_SPEED], ids=["discrete", "continuous"])
def test_weights_come_back_bit_for_bit(network: str, actions: DiscreteActions):
    """What is read out of a graph by its structure is what was written, to the last bit; and writing is repeatable."""
    tower = make_policy(network, actions)
    graph = exported(tower)
    layers = read_layers(Executor(graph), find_output(graph))
    assert network in layers.networks
    other = make_policy(network, actions, seed=1)
    if actions is STEER_AND_SPEED:  # the spread of actions is not in the graph
        other.head.log_std.data.copy_(tower.head.log_std)
    load_layers(other, layers)
    state = other.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in tower.state_dict().items())
    assert car_graph(layers) == car_graph(layers_of(tower))


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_layers_are_found_in_graphs_of_the_original(network: str):
    """Computed shapes, rescaled gradients and dense layers over pixels are seen through, bit for bit."""
    policy = layers_of(make_policy(network, DiscreteActions(9)))
    graph = read_graph(frozen_graph(policy), "model_11.pb")
    found = read_layers(Executor(graph), find_output(graph))
    assert found.networks == policy.networks == [network]
    pairs = zip(
        (*policy.convs, *policy.pixel_dense, *policy.middleware, policy.head),
        (*found.convs, *found.pixel_dense, *found.middleware, found.head),
        strict=True,
    )
    for one, other in pairs:
        np.testing.assert_array_equal(one.kernel, other.kernel)
        np.testing.assert_array_equal(one.bias, other.bias)


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_graph_follows_the_rules_of_the_car(network: str):
    """One placeholder and one end under the right names and shapes, old operations only, the old graph version."""
    graph = exported(make_policy(network, DiscreteActions(7)))
    placeholders = [node for node in graph.nodes.values() if node.op == "Placeholder"]
    assert [node.name for node in placeholders] == [policy_input("FRONT_FACING_CAMERA")]
    assert placeholders[0].shape("shape") == (-1, 120, 160, 1)
    assert find_output(graph) == "main_level/agent/main/online/network_1/ppo_head_0/policy"
    executor = Executor(graph, num_images=3)
    camera = find_camera(executor, POLICY_OUTPUT)
    assert executor.run(POLICY_OUTPUT, camera.feed(frames(3), np.float32)).shape == (3, 7)
    assert graph.producer == 27
    assert {node.op for node in graph.nodes.values()} <= OPERATIONS
    assert all(not name.startswith("^") for node in graph.nodes.values() for name in node.inputs)
    assert "main_level/agent/main/online/network_1/FRONT_FACING_CAMERA/Conv2d_4/Conv2D" in graph.nodes  # Grad-CAM


def test_shallow_graph_has_the_nodes_of_the_original():
    """30 nodes, each under a name that a real frozen graph has."""
    scope = "main_level/agent/main/online/network_1"
    embedder = f"{scope}/FRONT_FACING_CAMERA"
    expected = {policy_input("FRONT_FACING_CAMERA"), f"{embedder}/truediv", f"{embedder}/truediv/y"}
    for index in (0, 2, 4):
        expected |= {f"{embedder}/Conv2d_{index}/{part}" for part in ("kernel", "Conv2D", "bias", "BiasAdd")}
        expected.add(f"{embedder}/BatchnormActivationDropout_{index + 1}_activation")
    expected |= {f"{embedder}/Flatten/flatten/Reshape", f"{embedder}/Flatten/flatten/Reshape/shape"}
    for layer in ("middleware_fc_embedder/Dense_0", "ppo_head_0/policy_fc"):
        expected |= {f"{scope}/{layer}/{part}" for part in ("kernel", "MatMul", "bias", "BiasAdd")}
    expected |= {f"{scope}/middleware_fc_embedder/BatchnormActivationDropout_1_activation", POLICY_OUTPUT}
    graph = exported(make_policy(SHALLOW, DiscreteActions(5)))
    assert set(graph.nodes) == expected
    assert len(expected) == 30


def test_convolutions_are_written_as_old_converters_read_them():
    """Attributes of 2018: no explicit paddings."""
    graph = exported(make_policy(SHALLOW, DiscreteActions(5)))
    convs = [node for node in graph.nodes.values() if node.op == "Conv2D"]
    assert [node.integers("strides") for node in convs] == [[1, 4, 4, 1], [1, 2, 2, 1], [1, 1, 1, 1]]
    for node in convs:
        assert set(node.attrs) == {"T", "strides", "padding", "data_format", "dilations", "use_cudnn_on_gpu"}
        assert node.text("padding", "") == "VALID"


def test_wrong_weight_is_noticed():
    """The comparison is no formality: one weight off by a hundredth, and it does not hold."""
    tower = make_policy(SHALLOW, DiscreteActions(5))
    graph = exported(tower)
    with torch.no_grad():
        tower.head.logits.bias[2] += 0.01
    executor = Executor(graph, num_images=2)
    assert not compare(executor, POLICY_OUTPUT, tower, frames(2)).holds


def test_graph_equals_the_one_of_protobuf_classes():
    """tensorboard's classes parse our bytes to the same message, and write the same fields."""
    graph_pb2 = pytest.importorskip("tensorboard.compat.proto.graph_pb2", reason="tensorboard is not installed")
    content = car_graph(layers_of(make_policy(SHALLOW, DiscreteActions(5))))
    message = graph_pb2.GraphDef.FromString(content)
    assert graph_pb2.GraphDef.FromString(message.SerializeToString()) == message
    graph = read_graph(message.SerializeToString(deterministic=True), "model.pb")
    assert list(graph.nodes) == [node.name for node in message.node]
    own = read_graph(content, "model.pb")
    for node in message.node:
        assert (node.op, tuple(node.input), set(node.attr)) == (
            own.nodes[node.name].op,
            own.nodes[node.name].inputs,
            set(own.nodes[node.name].attrs),
        )
        if node.op == "Const" and node.attr["dtype"].type == 1:
            array = np.frombuffer(node.attr["value"].tensor.tensor_content, "<f4")
            np.testing.assert_array_equal(array, own.nodes[node.name].tensor("value").reshape(-1))

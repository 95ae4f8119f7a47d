"""The graph that a car loads: a policy as a frozen TensorFlow graph under the names that the original gave its nodes.

The car finds input and output by name, and chooses the names by the algorithm that the metadata declares. Every policy
is therefore named like one of clipped PPO, whatever trained it. One placeholder, one node that nothing reads, division
by 255 inside, operations that TensorFlow has had since 1.0.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np

from hotlap.deepracer.sensors import FRAME_HEIGHT, FRAME_WIDTH
from hotlap.export.graph import (
    FLOAT,
    INT32,
    Node,
    attr_bool,
    attr_integers,
    attr_shape,
    attr_tensor,
    attr_text,
    attr_type,
    write_graph,
)
from hotlap.export.layers import Convolution, Dense, TowerLayers
from hotlap.rl.architectures import PIXEL_MAX

PRODUCER: Final = 27  # the graph version of TensorFlow 1.11, which the original's files name
_SCOPE: Final = "main_level/agent/main/online"
POLICY_OUTPUT: Final = f"{_SCOPE}/network_1/ppo_head_0/policy"

_TYPE: Final = {"T": attr_type(FLOAT)}


def policy_input(sensor: str) -> str:
    """Name of the placeholder for the camera's image: float32, (batch, 120, 160, channels), 0 to 255."""
    # The placeholder belongs to the value's tower, network_0; the policy shares it.
    return f"{_SCOPE}/network_0/{sensor}/{sensor}"


def car_graph(layers: TowerLayers) -> bytes:
    """The bytes of ``agent/model.pb``; equal layers give equal bytes."""
    return write_graph(_nodes(layers), producer=PRODUCER)


def _nodes(layers: TowerLayers) -> list[Node]:
    network = f"{_SCOPE}/network_1"
    embedder = f"{network}/{layers.sensor}"
    middleware = f"{network}/middleware_fc_embedder"
    source = policy_input(layers.sensor)
    shape = (-1, FRAME_HEIGHT, FRAME_WIDTH, layers.num_channels)
    nodes = [
        Node(source, "Placeholder", (), {"dtype": attr_type(FLOAT), "shape": attr_shape(shape)}),
        _const(f"{embedder}/truediv/y", np.float32(PIXEL_MAX)),
        Node(f"{embedder}/truediv", "RealDiv", (source, f"{embedder}/truediv/y"), _TYPE),
    ]
    # Layers count on, the activation behind each included.
    for index, conv in enumerate(layers.convs):
        nodes += _convolution(f"{embedder}/Conv2d_{2 * index}", nodes[-1].name, conv)
        nodes += _relu(embedder, 2 * index + 1, nodes[-1].name)
    for index, dense in enumerate(layers.pixel_dense, start=len(layers.convs)):
        per_pixel = Convolution(dense.kernel[None, None], dense.bias, stride=1)
        nodes += _convolution(f"{embedder}/Dense_{2 * index}", nodes[-1].name, per_pixel)
        nodes += _relu(embedder, 2 * index + 1, nodes[-1].name)
    flat_size = (layers.middleware or (layers.head,))[0].kernel.shape[0]
    flatten = f"{embedder}/Flatten/flatten/Reshape"
    nodes += [
        _const(f"{flatten}/shape", np.array([-1, flat_size], dtype=np.int32)),
        Node(flatten, "Reshape", (nodes[-1].name, f"{flatten}/shape"), {**_TYPE, "Tshape": attr_type(INT32)}),
    ]
    for index, dense in enumerate(layers.middleware):
        nodes += _dense(f"{middleware}/Dense_{2 * index}", nodes[-1].name, dense)
        nodes += _relu(middleware, 2 * index + 1, nodes[-1].name)
    head = f"{network}/ppo_head_0/{'policy_fc' if layers.output == 'softmax' else 'policy_mean'}"
    nodes += _dense(head, nodes[-1].name, layers.head)
    if layers.output == "tanh":  # the car clips a mean to [-1, 1]; SAC squashes it
        nodes.append(Node(f"{head}/Tanh", "Tanh", (nodes[-1].name,), _TYPE))
    last = "Softmax" if layers.output == "softmax" else "Identity"
    nodes.append(Node(POLICY_OUTPUT, last, (nodes[-1].name,), _TYPE))
    return nodes


def _convolution(name: str, source: str, conv: Convolution) -> list[Node]:
    # No explicit_paddings: converters of 2021 do not know it.
    attrs = {
        **_TYPE,
        "strides": attr_integers((1, conv.stride, conv.stride, 1)),
        "padding": attr_text("VALID"),
        "data_format": attr_text("NHWC"),
        "dilations": attr_integers((1, 1, 1, 1)),
        "use_cudnn_on_gpu": attr_bool(True),
    }
    operation = Node(f"{name}/Conv2D", "Conv2D", (source, f"{name}/kernel"), attrs)
    return [_const(f"{name}/kernel", conv.kernel), operation, *_bias(name, operation.name, conv.bias)]


def _dense(name: str, source: str, dense: Dense) -> list[Node]:
    attrs = {**_TYPE, "transpose_a": attr_bool(False), "transpose_b": attr_bool(False)}
    operation = Node(f"{name}/MatMul", "MatMul", (source, f"{name}/kernel"), attrs)
    return [_const(f"{name}/kernel", dense.kernel), operation, *_bias(name, operation.name, dense.bias)]


def _bias(name: str, source: str, bias: np.ndarray) -> Sequence[Node]:
    attrs = {**_TYPE, "data_format": attr_text("NHWC")}
    return _const(f"{name}/bias", bias), Node(f"{name}/BiasAdd", "BiasAdd", (source, f"{name}/bias"), attrs)


def _relu(scope: str, index: int, source: str) -> list[Node]:
    return [Node(f"{scope}/BatchnormActivationDropout_{index}_activation", "Relu", (source,), _TYPE)]


def _const(name: str, value: np.ndarray | np.generic) -> Node:
    array = np.asarray(value)
    dtype = INT32 if array.dtype == np.int32 else FLOAT
    return Node(name, "Const", (), {"dtype": attr_type(dtype), "value": attr_tensor(array)})

"""A policy as an ONNX file, for people who run it elsewhere. The car does not take it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

import numpy as np

from hotlap.deepracer.sensors import FRAME_HEIGHT, FRAME_WIDTH
from hotlap.errors import MissingExtraError
from hotlap.export.layers import TowerLayers
from hotlap.rl.architectures import PIXEL_MAX

if TYPE_CHECKING:
    import onnx

OPSET: Final = 17
OUTPUT: Final = "policy"


def onnx_model(layers: TowerLayers) -> bytes:
    """An ONNX file: input under the sensor's name, float32 (batch, channels, 120, 160), 0 to 255; output `policy`.

    The output is what the car reads: probabilities of the actions, or means in the [-1, 1] scaling.

    Raises:
        MissingExtraError: If the package onnx is not installed.
    """
    try:
        from onnx import TensorProto, checker, helper
    except ImportError:
        raise MissingExtraError("onnx", "onnx", "An ONNX file") from None
    graph = _Nodes(layers.sensor)
    graph.add("Div", graph.weight("pixel_max", np.float32(PIXEL_MAX)))
    for index, conv in enumerate(layers.convs, start=1):
        graph.convolution(f"conv{index}", conv.kernel, conv.bias, conv.stride)
    for index, dense in enumerate(layers.pixel_dense, start=1):
        graph.convolution(f"pixel_dense{index}", dense.kernel[None, None], dense.bias, 1)
    graph.add("Transpose", perm=(0, 2, 3, 1))  # the dense layers read height, width, channel
    graph.add("Flatten", axis=1)
    for index, dense in enumerate(layers.middleware, start=1):
        graph.dense(f"dense{index}", dense.kernel, dense.bias)
        graph.add("Relu")
    graph.dense("head", layers.head.kernel, layers.head.bias)
    last = {"softmax": "Softmax", "tanh": "Tanh", "identity": "Identity"}[layers.output]
    graph.add(last, output=OUTPUT, **({"axis": 1} if last == "Softmax" else {}))
    shape: list[str | int | None] = ["batch", layers.num_channels, FRAME_HEIGHT, FRAME_WIDTH]
    model = helper.make_model(
        helper.make_graph(
            graph.nodes,
            "policy",
            [helper.make_tensor_value_info(layers.sensor, TensorProto.FLOAT, shape)],
            [helper.make_tensor_value_info(OUTPUT, TensorProto.FLOAT, ["batch", layers.num_outputs])],
            graph.weights,
        ),
        producer_name="hotlap",
        opset_imports=[helper.make_opsetid("", OPSET)],
        ir_version=8,  # of the year of the opset: old runtimes refuse newer ones
    )
    checker.check_model(model)
    return model.SerializeToString(deterministic=True)


class _Nodes:
    """A chain of operations; each reads what the one before wrote."""

    def __init__(self, source: str) -> None:
        self.last = source
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []

    def add(self, op: str, *inputs: str, output: str = "", **attributes: Any) -> None:
        from onnx import helper

        output = output or f"{op.lower()}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, [self.last, *inputs], [output], **attributes))
        self.last = output

    def convolution(self, name: str, kernel: np.ndarray, bias: np.ndarray, stride: int) -> None:
        weights = self.weight(f"{name}.weight", kernel.transpose(3, 2, 0, 1)), self.weight(f"{name}.bias", bias)
        self.add("Conv", *weights, strides=(stride, stride), kernel_shape=kernel.shape[:2])
        self.add("Relu")

    def dense(self, name: str, kernel: np.ndarray, bias: np.ndarray) -> None:
        self.add("Gemm", self.weight(f"{name}.weight", kernel), self.weight(f"{name}.bias", bias))

    def weight(self, name: str, array: np.ndarray | np.generic) -> str:
        from onnx import numpy_helper

        self.weights.append(numpy_helper.from_array(np.ascontiguousarray(array), name))
        return name

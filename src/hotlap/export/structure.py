"""Read the layers of a policy or a value out of a TensorFlow graph by its structure, whatever its nodes are called.

The walk goes from the output back to the camera's placeholder along what is computed from the image; everything else
is a constant. It recognizes layers and passes by what only moves numbers around (reshaping, the original's rescaling
of gradients, which is the identity forward). It does not prove anything: what it reads must be compared with the
graph's own output.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from hotlap.bounded import MalformedError
from hotlap.deepracer.sensors import CAMERA_CHANNELS, FRAME_HEIGHT, FRAME_WIDTH
from hotlap.export.executor import Executor, conv_stride, data_inputs
from hotlap.export.graph import Graph, Node
from hotlap.export.layers import Convolution, Dense, Output, TowerLayers

MAX_LAYERS: Final = 32
MAX_STEPS: Final = 1000

_PASSED: Final = (
    "Identity",
    "StopGradient",
    "Cast",
    "Reshape",
    "Squeeze",
    "ExpandDims",
    "Transpose",
    "StridedSlice",
    "Pack",
)
_ACTIVATIONS: Final = {"Relu": "relu", "Tanh": "tanh", "Softmax": "softmax"}


@dataclass(frozen=True)
class Camera:
    """The placeholder of a graph that takes the image."""

    node: str
    sensor: str
    num_channels: int

    def feed(self, frames: np.ndarray, dtype: type[np.floating]) -> dict[str, np.ndarray]:
        """What the graph reads of uint8 frames, (batch, channels, 120, 160)."""
        return {self.node: np.ascontiguousarray(frames.transpose(0, 2, 3, 1), dtype=dtype)}


def find_camera(executor: Executor, output: str) -> Camera:
    """The one placeholder that ``output`` is computed from.

    Raises:
        MalformedError: If there are none or several, or it takes no image of a camera.
    """
    placeholders = [node for node in executor.sorted(output) if node.op == "Placeholder"]
    if len(placeholders) != 1:
        names = ", ".join(repr(node.name[:200]) for node in placeholders[:4]) or "none"
        raise MalformedError(f"expected one placeholder, for the image of a camera, found {names}")
    (node,) = placeholders
    sensor = node.name.rpartition("/")[2]
    shape = node.shape("shape")
    if len(shape) != 4 or shape[1:3] != (FRAME_HEIGHT, FRAME_WIDTH) or shape[3] not in CAMERA_CHANNELS.values():
        raise MalformedError(f"it takes input of shape {list(shape)}, expected images [-1, 120, 160, 1 or 2]")
    return Camera(node.name, sensor, shape[3])


def read_layers(executor: Executor, output: str) -> TowerLayers:
    """The layers between the camera and ``output``.

    Raises:
        MalformedError: If they are no tower of convolutions and dense layers.
    """
    camera = find_camera(executor, output)
    walk = _Walk(executor, output, camera.node)
    layers = walk.layers()
    found = _arranged(layers, camera)
    last = layers[-1].activation
    if last == "relu" or any(layer.activation != "relu" for layer in layers[:-1]):
        raise MalformedError("expected ReLU after every layer but the last")
    result: Output = "softmax" if last == "softmax" else "tanh" if last == "tanh" else "identity"
    return replace(found, output=result)


@dataclass
class _Layer:
    kernel: np.ndarray
    stride: int = 0
    """Of a convolution; 0: a dense layer."""
    bias: np.ndarray | None = None
    activation: str = ""


class _Walk:
    """From the output back to the image."""

    def __init__(self, executor: Executor, output: str, camera: str) -> None:
        self.executor = executor
        self.output = output
        self.camera = camera
        self.dynamic = {camera}
        for node in executor.sorted(output):
            if any(name in self.dynamic for name in data_inputs(node)):
                self.dynamic.add(node.name)

    def layers(self) -> list[_Layer]:
        """In the order of the computation."""
        layers: list[_Layer] = []
        bias: np.ndarray | None = None
        activation = ""
        name = self.output
        for _ in range(MAX_STEPS):
            if name == self.camera:
                break
            node = self.executor.graph.nodes[name]
            source = self._source(node)
            if node.op in _ACTIVATIONS:
                if activation or bias is not None:
                    raise MalformedError(f"the activation {name[:200]!r} stands at a place where none is expected")
                activation = _ACTIVATIONS[node.op]
            elif node.op in ("Conv2D", "MatMul"):
                kernel = self._constant(node, 1)
                if node.op == "MatMul" and node.integer("transpose_b", 0):
                    kernel = kernel.T
                stride = conv_stride(node) if node.op == "Conv2D" else 0
                layers.append(_Layer(kernel, stride, bias, activation))
                bias, activation = None, ""
            elif node.op in ("BiasAdd", "Add", "AddV2") and self._other_constant(node) is not None:
                bias = self._other_constant(node) if bias is None else bias
            name = source
        else:
            raise MalformedError(f"it has more than {MAX_STEPS} operations between image and output")
        if not layers or len(layers) > MAX_LAYERS:
            raise MalformedError(f"it has {len(layers)} layers")
        return layers[::-1]

    def _source(self, node: Node) -> str:
        """The node from which the image comes to ``node``."""
        inputs = [name for name in data_inputs(node) if name in self.dynamic]
        if node.op in (*_PASSED, *_ACTIVATIONS, "Conv2D", "MatMul", "BiasAdd"):
            # A reshaping may also compute its shape from the image's.
            if inputs and inputs[0] == data_inputs(node)[0]:
                return inputs[0]
        elif node.op in ("Add", "AddV2", "Sub", "Mul", "RealDiv"):
            if len(inputs) == 1:
                return inputs[0]
            if node.op in ("Add", "AddV2") and len(inputs) == 2:
                left, right = map(self._unscaled, inputs)
                if left == right:
                    return left
        raise MalformedError(f"the node {node.name[:200]!r} ({node.op[:50]}) is not what a policy has at its place")

    def _unscaled(self, name: str) -> str:
        """Where a summand of the original's rescaling of gradients, (1 - r) * stop_gradient(x) + r * x, comes from."""
        for _ in range(MAX_STEPS):
            node = self.executor.graph.nodes[name]
            if node.op not in ("Mul", *_PASSED):
                break
            name = self._source(node)
        return name

    def _other_constant(self, node: Node) -> np.ndarray | None:
        """The vector that is added to what comes from the image."""
        index = next((k for k, name in enumerate(data_inputs(node)) if name not in self.dynamic), None)
        constant = None if index is None else self._constant(node, index)
        return None if constant is None or constant.ndim == 0 else constant.reshape(-1)

    def _constant(self, node: Node, index: int) -> np.ndarray:
        names = data_inputs(node)
        if len(names) <= index or names[index] in self.dynamic:
            raise MalformedError(f"the weights of {node.name[:200]!r} are not constant")
        array = self.executor.run(names[index])
        if array.dtype.kind != "f":
            raise MalformedError(f"the weights of {node.name[:200]!r} are {array.dtype}")
        return array


def _arranged(layers: list[_Layer], camera: Camera) -> TowerLayers:
    """Sort layers into convolutions, layers per pixel, middleware and head; shapes must follow from one another."""
    height, width, channels = FRAME_HEIGHT, FRAME_WIDTH, camera.num_channels
    convs: list[Convolution] = []
    pixel_dense: list[Dense] = []
    dense: list[Dense] = []
    for index, layer in enumerate(layers):
        kernel = layer.kernel
        bias = np.zeros(kernel.shape[-1:], np.float32) if layer.bias is None else layer.bias
        if bias.shape != kernel.shape[-1:]:
            raise MalformedError(f"layer {index + 1} has {bias.size} biases for a kernel of shape {list(kernel.shape)}")
        if layer.stride:
            size = kernel.shape[0]
            per_pixel = size == 1 and layer.stride == 1 and bool(convs)
            fits = kernel.ndim == 4 and kernel.shape[:3] == (size, size, channels)
            if not fits or dense or (pixel_dense and not per_pixel):
                raise MalformedError(f"layer {index + 1}, a convolution of shape {list(kernel.shape)}, does not fit")
            height, width = (height - size) // layer.stride + 1, (width - size) // layer.stride + 1
            if height < 1 or width < 1:
                raise MalformedError(f"layer {index + 1}, a convolution of {size} pixels, is larger than its image")
            channels = kernel.shape[3]
            if per_pixel:
                pixel_dense.append(Dense(kernel[0, 0], bias))
            else:
                convs.append(Convolution(kernel, bias, layer.stride))
            continue
        rows = kernel.shape[0] if kernel.ndim == 2 else 0
        if not dense and rows == channels and height * width > 1:
            pixel_dense.append(Dense(kernel, bias))
            channels = kernel.shape[1]
        elif rows == (len(dense[-1].bias) if dense else channels * height * width):
            dense.append(Dense(kernel, bias))
        else:
            raise MalformedError(f"layer {index + 1}, a dense layer of shape {list(kernel.shape)}, does not fit")
    if not convs or not dense:
        raise MalformedError("it has no convolutions or no dense layers")
    return TowerLayers(camera.sensor, tuple(convs), tuple(pixel_dense), tuple(dense[:-1]), dense[-1], "identity")


def find_output(graph: Graph) -> str:
    """The node that no other reads: the output of a frozen graph.

    Raises:
        MalformedError: If there are several.
    """
    read = {name.lstrip("^").partition(":")[0] for node in graph.nodes.values() for name in node.inputs}
    ends = [name for name in graph.nodes if name not in read]
    if len(ends) != 1:
        shown = ", ".join(repr(name[:100]) for name in ends[:4])
        raise MalformedError(f"expected one node that no other reads, the policy, found {len(ends)} ({shown})")
    return ends[0]

"""Run a TensorFlow graph in numpy: the few operations that a policy is made of, bounded in time and memory.

This is the judge of import and export. It knows nothing of layers or names, so what it computes does not depend on how
we understood a graph.

Written by hand although OpenVINO runs frozen graphs (measured with 2026.4, on one core), for it is no judge of a
stranger's file:

- The graph of a checkpoint ended the process by a segmentation fault. Nodes in a circle, or 20,000 in a chain, kept it
  busy for more than a minute; 16 MiB of empty nodes took 4.2 GB, and so did a product of two small constants.
- It computes in float32, where policies that are the same differ by 1e-6 to 4e-6: a small mistake would not show.
- It has 180 MB, loads in 0.6 s, and takes twice as long for the images of an import: 0.64 s against 0.27 s, or 3.3 s
  against 1.5 s for a network with layers over pixels.

In the tests it judges what we write for cars.

Source: tensorflow, `core/ops/{array,math,nn}_ops.cc`.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Final

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from hotlap.bounded import MalformedError
from hotlap.export.graph import DTYPES, Graph, Node
from hotlap.export.wire import Budget

# What an image may cost; one of stereo cameras in the largest network takes 9 million and 511 million.
MAX_COMPUTED: Final = 1 << 24  # elements, the windows of convolutions included
MAX_PRODUCTS: Final = 1 << 30  # multiplications

_VARIABLES: Final = ("VariableV2", "Variable", "VarHandleOp")


class Executor:
    """Computes nodes of a graph.

    Args:
        graph: Of a frozen file, or of a checkpoint.
        variable: Gives the value of a checkpoint's variable by the name of its node.
        num_images: How many it may see in its life.
    """

    def __init__(
        self, graph: Graph, variable: Callable[[str], np.ndarray] | None = None, *, num_images: int = 0
    ) -> None:
        self.graph = graph
        self.variable = variable
        self._effort = _Effort(1 + num_images)

    def run(self, output: str, feeds: Mapping[str, np.ndarray] | None = None) -> np.ndarray:
        """Value of the node ``output`` when the placeholders have the values of ``feeds``.

        Raises:
            MalformedError: If the graph cannot be computed, or only with more than a policy needs.
        """
        values: dict[str, np.ndarray] = dict(feeds or {})
        for node in self.sorted(output, known=values):
            inputs = [values[name] for name in data_inputs(node)]
            with np.errstate(all="ignore"):
                values[node.name] = self._compute(node, inputs)
        return values[output]

    def sorted(self, output: str, known: Mapping[str, np.ndarray] | None = None) -> list[Node]:
        """``output`` and all nodes it needs that are not ``known``, each behind those that it reads.

        Raises:
            MalformedError: If one is missing, or they form a circle.
        """
        done = set(known or {})
        order: list[Node] = []
        begun: set[str] = set()
        stack = [output]
        while stack:
            name = stack[-1]
            if name in done:
                stack.pop()
                continue
            if name not in self.graph.nodes:
                raise MalformedError(f"the node {name[:200]!r} is missing")
            node = self.graph.nodes[name]
            if name in begun:
                stack.pop()
                done.add(name)
                order.append(node)
                continue
            begun.add(name)
            for needed in data_inputs(node):
                if needed in begun and needed not in done:
                    raise MalformedError(f"the node {needed[:200]!r} needs its own result")
                stack.append(needed)
        return order

    def _compute(self, node: Node, inputs: Sequence[np.ndarray]) -> np.ndarray:
        if node.op == "Const":
            return node.tensor("value")
        if node.op in _VARIABLES and self.variable is not None:
            return self.variable(node.name)
        operation = _OPERATIONS.get(node.op)
        if operation is None:
            raise MalformedError(f"node {node.name[:200]!r} is a {node.op[:50]!r}, which no policy needs")
        try:
            result = operation(node, inputs, self._effort)
        except MalformedError:
            raise
        except (ValueError, IndexError, TypeError, OverflowError) as error:
            shapes = ", ".join(str(each.shape) for each in inputs)
            raise MalformedError(f"node {node.name[:200]!r} ({node.op}) cannot read shapes {shapes}: {error}") from None
        return np.asarray(result)


def data_inputs(node: Node) -> list[str]:
    """Names of the nodes whose results a node reads.

    Raises:
        MalformedError: If it reads a second result of one; operations of a policy have a single one.
    """
    names = []
    for name in node.inputs:
        if name.startswith("^"):
            continue
        base, _, index = name.partition(":")
        if index not in ("", "0"):
            raise MalformedError(
                f"node {node.name[:200]!r} reads {name[:200]!r}, but no operation of a policy has that"
            )
        names.append(base)
    return names


class _Effort:
    """What may still be computed."""

    def __init__(self, num_images: int) -> None:
        self._elements = Budget(num_images * MAX_COMPUTED, "numbers to compute")
        self._products = Budget(num_images * MAX_PRODUCTS, "multiplications")

    def spend(self, elements: int, products: int = 0) -> None:
        self._elements.spend(elements)
        self._products.spend(products)


Operation = Callable[[Node, Sequence[np.ndarray], _Effort], np.ndarray]


def _unary(function: Callable[[np.ndarray], np.ndarray]) -> Operation:
    def operation(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
        (values,) = inputs
        effort.spend(values.size)
        return function(values)

    return operation


def _binary(function: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> Operation:
    def operation(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
        left, right = inputs
        effort.spend(math.prod(np.broadcast_shapes(left.shape, right.shape)))
        return function(left, right)

    return operation


def _same(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    return inputs[0]


def _softmax(logits: np.ndarray) -> np.ndarray:
    raised = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return raised / raised.sum(axis=-1, keepdims=True)


def _bias_add(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    values, bias = inputs
    if node.text("data_format", "NHWC") != "NHWC" or bias.ndim != 1 or bias.shape != values.shape[-1:]:
        raise ValueError("expected a number for each channel, and channels last")
    effort.spend(values.size)
    return values + bias


def _conv2d(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    images, kernel = map(_fast, inputs)
    stride = conv_stride(node)
    num, height, width, channels = images.shape
    rows, columns, kernel_channels, filters = kernel.shape
    if kernel_channels != channels or not (0 < rows <= height and 0 < columns <= width):
        raise ValueError("the kernel does not fit the image")
    places = num * ((height - rows) // stride + 1) * ((width - columns) // stride + 1)
    window = rows * columns * channels
    effort.spend(places * (window + filters), products=places * window * filters)
    windows = sliding_window_view(images, (rows, columns), axis=(1, 2))[:, ::stride, ::stride]
    return np.tensordot(windows, kernel, axes=((4, 5, 3), (0, 1, 2)))


def conv_stride(node: Node) -> int:
    """Stride of a convolution.

    Raises:
        MalformedError: If it is of another kind than those of a policy.
    """
    strides = node.integers("strides")
    plain = (
        node.text("padding", "") == "VALID"
        and node.text("data_format", "NHWC") == "NHWC"
        and node.integers("dilations") in ([], [1, 1, 1, 1])
        and len(strides) == 4
        and strides == [1, strides[1], strides[1], 1]
        and 1 <= strides[1] <= 64
    )
    if not plain:
        raise MalformedError(f"the convolution {node.name[:200]!r} is padded, dilated, or strides unevenly")
    return strides[1]


def _matmul(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    left, right = map(_fast, inputs)
    if left.ndim != 2 or right.ndim != 2:
        raise ValueError("expected two matrices")
    left = left.T if node.integer("transpose_a", 0) else left
    right = right.T if node.integer("transpose_b", 0) else right
    effort.spend(left.shape[0] * right.shape[1], products=left.size * right.shape[1])
    return left @ right


def _reshape(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    effort.spend(inputs[0].size)  # a view of what is not contiguous becomes a copy
    return inputs[0].reshape(_ints(inputs[1]))


def _strided_slice(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    array, begins, ends, steps = inputs
    if node.integer("ellipsis_mask", 0) or node.integer("new_axis_mask", 0):
        raise ValueError("it has an ellipsis or a new axis")
    no_begin, no_end, single = (node.integer(f"{name}_mask", 0) for name in ("begin", "end", "shrink_axis"))
    index: list[int | slice] = []
    for axis, (begin, end, step) in enumerate(zip(_ints(begins), _ints(ends), _ints(steps), strict=True)):
        if single >> axis & 1:
            index.append(begin)
        else:
            index.append(slice(None if no_begin >> axis & 1 else begin, None if no_end >> axis & 1 else end, step))
    return array[tuple(index)]


def _pack(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    effort.spend(sum(each.size for each in inputs))
    return np.stack(inputs, axis=node.integer("axis", 0))


def _concat(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    effort.spend(sum(each.size for each in inputs[:-1]))
    return np.concatenate(inputs[:-1], axis=_int(inputs[-1]))


def _gather(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    array, indices = inputs[:2]
    if array.ndim != 1 or node.integer("batch_dims", 0) or (len(inputs) > 2 and _int(inputs[2])):
        raise ValueError("only numbers of a list can be gathered")
    effort.spend(indices.size)
    return array[indices]


def _prod(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    axes = tuple(_ints(np.atleast_1d(inputs[1])))
    effort.spend(inputs[0].size)
    return inputs[0].prod(axis=axes, dtype=inputs[0].dtype, keepdims=bool(node.integer("keep_dims", 0)))


def _transpose(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    return inputs[0].transpose(_ints(inputs[1]))


def _expand_dims(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    return np.expand_dims(inputs[0], _int(inputs[1]))


def _squeeze(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    axes = node.integers("squeeze_dims")
    return np.squeeze(inputs[0], tuple(axes) if axes else None)


def _shape(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    return np.array(inputs[0].shape, dtype=DTYPES.get(node.integer("out_type", 3), np.dtype("<i4")))


def _cast(node: Node, inputs: Sequence[np.ndarray], effort: _Effort) -> np.ndarray:
    dtype = DTYPES.get(node.integer("DstT", 0))
    if dtype is None:
        raise ValueError("unknown data type")
    effort.spend(inputs[0].size)
    return inputs[0].astype(dtype)


def _int(array: np.ndarray) -> int:
    return _ints(array.reshape(1))[0]


def _ints(array: np.ndarray) -> list[int]:
    """A short list of integers that says something about shapes."""
    if array.ndim != 1 or array.size > 8 or array.dtype.kind not in "iu":
        raise ValueError("expected a short list of integers")
    return [int(number) for number in array]


def _fast(array: np.ndarray) -> np.ndarray:
    """An array of a type whose products are fast."""
    if array.dtype not in (np.float32, np.float64):
        raise ValueError(f"expected float32, got {array.dtype}")
    return array


_OPERATIONS: dict[str, Operation] = {
    "Identity": _same,
    "StopGradient": _same,
    "ReadVariableOp": _same,
    "Cast": _cast,
    "Add": _binary(np.add),
    "AddV2": _binary(np.add),
    "Sub": _binary(np.subtract),
    "Mul": _binary(np.multiply),
    "RealDiv": _binary(np.divide),
    "Maximum": _binary(np.maximum),
    "Relu": _unary(lambda values: np.maximum(values, values.dtype.type(0))),
    "Tanh": _unary(np.tanh),
    "Softmax": _unary(_softmax),
    "BiasAdd": _bias_add,
    "Conv2D": _conv2d,
    "MatMul": _matmul,
    "Reshape": _reshape,
    "Shape": _shape,
    "StridedSlice": _strided_slice,
    "Pack": _pack,
    "ConcatV2": _concat,
    "Gather": _gather,
    "GatherV2": _gather,
    "Prod": _prod,
    "Transpose": _transpose,
    "ExpandDims": _expand_dims,
    "Squeeze": _squeeze,
}

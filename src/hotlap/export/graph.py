"""TensorFlow's GraphDef: nodes by name, written and read without TensorFlow.

The reader bounds what a stranger's file may cost, and decodes a node's attributes only when someone asks for them.
Tensors are views into the file's bytes.

Source: tensorflow, `core/framework/{graph,node_def,attr_value,tensor,tensor_shape,types}.proto`.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np

from hotlap.bounded import MalformedError
from hotlap.errors import RecordError
from hotlap.export.wire import (
    Budget,
    encode_field,
    encode_varint,
    fields,
    integer,
    integers,
    text,
    view,
)

MAX_BYTES: Final = 320 << 20  # the largest policy of all networks, stereo, has 230 MB
MAX_FIELDS: Final = 500_000  # a checkpoint's whole graph has 40,000
MAX_NODES: Final = 50_000
MAX_ELEMENTS: Final = 1 << 26  # of one tensor; the largest has 57 million
MAX_REPEATED: Final = 1 << 20  # elements of a tensor whose last given value is repeated

DTYPES: Final[dict[int, np.dtype]] = {
    1: np.dtype("<f4"),
    2: np.dtype("<f8"),
    3: np.dtype("<i4"),
    9: np.dtype("<i8"),
    10: np.dtype("?"),
    19: np.dtype("<f2"),
}
"""Numbers of the data types that policies use."""
FLOAT: Final = 1
INT32: Final = 3

# TensorProto's repeated fields of single values: (data type, bytes of a value on the wire; 0: varints).
_VALUE_FIELDS: Final = {5: (1, 4), 6: (2, 8), 7: (3, 0), 10: (9, 0), 11: (10, 0), 13: (19, 0)}


@dataclass(frozen=True)
class Node:
    """An operation.

    Attributes:
        inputs: Names of the nodes it reads, perhaps with ``:k`` behind (output k) or ``^`` before (only runs later).
        attrs: Encoded AttrValue messages by name.
    """

    name: str
    op: str
    inputs: tuple[str, ...] = ()
    attrs: Mapping[str, memoryview | bytes] = field(default_factory=dict)

    def integers(self, name: str) -> list[int]:
        """An attribute that is a list of integers; empty if it is absent."""
        return [
            number
            for list_value in self._values(name, 1)
            for index, value in fields(view(list_value), _small())
            if index == 3
            for number in integers(value, _small())
        ]

    def text(self, name: str, default: str) -> str:
        """An attribute that is text."""
        return next((text(value) for value in self._values(name, 2)), default)

    def integer(self, name: str, default: int) -> int:
        """An attribute that is an integer, a truth value or a data type's number."""
        return next((integer(value) for value in self._values(name, 3, 5, 6)), default)

    def shape(self, name: str) -> tuple[int, ...]:
        """An attribute that is a shape, -1 where a size is unknown."""
        for value in self._values(name, 7):
            return shape_of(view(value), _small())
        raise MalformedError(f"node {self.name!r} lacks the attribute {name!r}")

    def tensor(self, name: str) -> np.ndarray:
        """An attribute that is a tensor: a read-only view of the file's bytes where they hold all of it."""
        for value in self._values(name, 8):
            return decode_tensor(view(value))
        raise MalformedError(f"node {self.name!r} lacks the attribute {name!r}")

    def _values(self, name: str, *kinds: int) -> list[int | memoryview]:
        attr = self.attrs.get(name, b"")
        return [value for index, value in fields(memoryview(attr), _small()) if index in kinds]


@dataclass(frozen=True)
class Graph:
    """Nodes by their names, in the order of the file, and the version of the writer."""

    nodes: Mapping[str, Node]
    producer: int = 0


def read_graph(data: bytes | memoryview, source: str) -> Graph:
    """Read a GraphDef, such as a frozen ``model.pb``.

    Raises:
        RecordError: If it is none, or larger than any policy; names ``source``.
    """
    try:
        if len(data) > MAX_BYTES:
            raise MalformedError(f"it has {len(data) >> 20} MiB, more than the {MAX_BYTES >> 20} MiB of any policy")
        return _graph(memoryview(data), Budget(MAX_FIELDS, "fields"))
    except MalformedError as error:
        raise not_a_graph(source, error) from None


def read_meta_graph(data: bytes | memoryview, source: str) -> Graph:
    """Read the GraphDef inside a MetaGraphDef, a checkpoint's ``.meta`` file; its variables have no values.

    Raises:
        RecordError: If there is none in it.
    """
    try:
        if len(data) > MAX_BYTES:
            raise MalformedError(f"it has {len(data) >> 20} MiB")
        budget = Budget(MAX_FIELDS, "fields")
        for index, value in fields(memoryview(data), budget):
            if index == 2:
                return _graph(view(value), budget)
        raise MalformedError("there is no graph in it")
    except MalformedError as error:
        raise not_a_graph(source, error) from None


def not_a_graph(source: str, error: Exception) -> RecordError:
    """The error for a file that is no usable graph, whatever is wrong."""
    return RecordError(
        f"{source}: this is not a usable TensorFlow graph: {error}. Expected a frozen graph as DeepRacer leaves it "
        "(model_N.pb, agent/model.pb), complete and unchanged; copy it again."
    )


def write_graph(nodes: Sequence[Node], *, producer: int) -> bytes:
    """A GraphDef; equal arguments give equal bytes."""
    return b"".join(
        [*(encode_field(1, _encode_node(node)) for node in nodes), encode_field(4, encode_field(1, producer))]
    )


def decode_tensor(message: memoryview) -> np.ndarray:
    """The array that a TensorProto holds; where fewer values than elements are given, the last is repeated.

    Raises:
        MalformedError: If shape, type and values do not fit, or the tensor is larger than any of a policy.
    """
    budget = Budget(MAX_FIELDS, "values")
    number, content = 0, memoryview(b"")
    shape: tuple[int, ...] = ()
    given: dict[int, list[memoryview]] = {}
    counted: dict[int, list[int]] = {}
    for index, value in fields(message, budget):
        if index == 1:
            number = integer(value)
        elif index == 2:
            shape = shape_of(view(value), budget)
        elif index == 4:
            content = view(value)
        elif index in _VALUE_FIELDS:
            kind, size = _VALUE_FIELDS[index]
            if size:
                given.setdefault(kind, []).append(view(value))
            else:
                counted.setdefault(kind, []).extend(integers(value, budget))
    dtype = DTYPES.get(number)
    if dtype is None:
        raise MalformedError(f"a tensor has the data type number {number}, which no policy needs")
    count = math.prod(shape)
    # An empty array may not have huge sides either: numpy multiplies them all the same.
    if min(shape, default=0) < 0 or math.prod(max(size, 1) for size in shape) > MAX_ELEMENTS:
        raise MalformedError(f"a tensor has the shape {list(shape)[:8]}, more than any policy needs")
    if len(content):
        if len(content) != count * dtype.itemsize:
            raise MalformedError(f"a tensor of shape {list(shape)} and type {dtype} has {len(content)} bytes")
        return np.frombuffer(content, dtype).reshape(shape)
    values = _values(dtype, given.get(number, []), counted.get(number, []))
    if len(values) == count:
        return values.reshape(shape)
    if len(values) > count:
        raise MalformedError(f"a tensor of shape {list(shape)} has {len(values)} values")
    if len(values) <= 1:  # takes no memory, whatever the shape
        return np.broadcast_to(values[0] if len(values) else dtype.type(0), shape)
    if count > MAX_REPEATED:
        raise MalformedError(f"a tensor of shape {list(shape)} has only {len(values)} values")
    return np.concatenate([values, np.full(count - len(values), values[-1])]).reshape(shape)


def _values(dtype: np.dtype, given: list[memoryview], counted: list[int]) -> np.ndarray:
    if dtype.kind == "f" and dtype.itemsize > 2:
        if any(len(each) % dtype.itemsize for each in given):
            raise MalformedError("a tensor's values are cut off")
        return np.frombuffer(b"".join(given), dtype)
    bits = 8 * dtype.itemsize
    wrapped = np.array([value & ((1 << bits) - 1) for value in counted], dtype=f"<u{dtype.itemsize}")
    return wrapped.astype(dtype) if dtype.kind == "b" else wrapped.view(dtype)


def encode_tensor(array: np.ndarray) -> bytes:
    """A TensorProto."""
    number = next(number for number, dtype in DTYPES.items() if dtype == array.dtype)
    content = np.ascontiguousarray(array).tobytes()
    return encode_field(1, number) + encode_field(2, _encode_shape(array.shape)) + encode_field(4, content)


# Attributes for `Node.attrs`.


def attr_text(value: str) -> bytes:
    """An attribute that is text."""
    return encode_field(2, value)


def attr_bool(value: bool) -> bytes:
    """An attribute that is a truth value."""
    return encode_field(5, int(value))


def attr_type(number: int) -> bytes:
    """An attribute that is a data type."""
    return encode_field(6, number)


def attr_shape(shape: Sequence[int]) -> bytes:
    """An attribute that is a shape, -1 where a size is unknown."""
    return encode_field(7, _encode_shape(shape))


def attr_tensor(array: np.ndarray) -> bytes:
    """An attribute that is a tensor."""
    return encode_field(8, encode_tensor(array))


def attr_integers(values: Sequence[int]) -> bytes:
    """An attribute that is a list of integers."""
    return encode_field(1, encode_field(3, b"".join(map(encode_varint, values))))


def _graph(message: memoryview, budget: Budget) -> Graph:
    nodes: dict[str, Node] = {}
    producer = 0
    for index, value in fields(message, budget):
        if index == 1:
            node = _node(view(value), budget)
            if not node.name or not node.op:
                raise MalformedError("a node has no name or no operation")
            if node.name in nodes:
                raise MalformedError(f"two nodes are called {node.name[:200]!r}")
            nodes[node.name] = node
            if len(nodes) > MAX_NODES:
                raise MalformedError(f"it has more than {MAX_NODES} nodes")
        elif index == 4:
            for inner, version in fields(view(value), budget):
                if inner == 1:
                    producer = integer(version)
    if not nodes:
        raise MalformedError("it has no nodes")
    return Graph(nodes, producer)


def _node(message: memoryview, budget: Budget) -> Node:
    name = op = ""
    inputs: list[str] = []
    attrs: dict[str, memoryview] = {}
    for index, value in fields(message, budget):
        if index == 1:
            name = text(value)
        elif index == 2:
            op = text(value)
        elif index == 3:
            inputs.append(text(value))
        elif index == 5:
            key, attr = "", memoryview(b"")
            for inner, content in fields(view(value), budget):
                if inner == 1:
                    key = text(content)
                elif inner == 2:
                    attr = view(content)
            attrs[key] = attr
    return Node(name, op, tuple(inputs), attrs)


def _encode_node(node: Node) -> bytes:
    parts = [encode_field(1, node.name), encode_field(2, node.op)]
    parts += [encode_field(3, name) for name in node.inputs]
    parts += [
        encode_field(5, encode_field(1, key) + encode_field(2, bytes(attr))) for key, attr in sorted(node.attrs.items())
    ]
    return b"".join(parts)


def shape_of(message: memoryview, budget: Budget) -> tuple[int, ...]:
    sizes = []
    for index, dim in fields(message, budget):
        if index == 2:
            size = 0
            for inner, value in fields(view(dim), budget):
                if inner == 1:
                    size = integer(value)
            sizes.append(size)
    if len(sizes) > 8:
        raise MalformedError(f"a shape has {len(sizes)} dimensions")
    return tuple(sizes)


def _encode_shape(shape: Sequence[int]) -> bytes:
    return b"".join(encode_field(2, encode_field(1, size)) for size in shape)


def _small() -> Budget:
    """For an attribute that is not a tensor."""
    return Budget(10_000, "values in an attribute")

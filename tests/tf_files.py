"""Files as the original's trainer leaves them, made without TensorFlow: graphs of its shape, checkpoints, prefixes.

That they are right is checked where TensorFlow is installed (`test_export_tensorflow.py`).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hotlap.checksum import crc32c, masked
from hotlap.export.graph import (
    FLOAT,
    INT32,
    Node,
    attr_integers,
    attr_shape,
    attr_tensor,
    attr_text,
    attr_type,
    write_graph,
)
from hotlap.export.layers import Dense, TowerLayers
from hotlap.export.wire import encode_field, encode_varint

SCOPE = "main_level/agent/main/online"
_INDEX_TYPES = {
    "Shape": ("out_type",),
    "Reshape": ("Tshape",),
    "Transpose": ("Tperm",),
    "StridedSlice": ("Index",),
    "GatherV2": ("Tindices", "Taxis"),
    "Prod": ("Tidx",),
    "ConcatV2": ("Tidx",),
}
_TYPE_NAMES = {"GatherV2": "Tparams"}
MAGIC = bytes.fromhex("57fb808b247547db")


@dataclass
class OriginalGraph:
    """A graph as rl_coach builds it: flattening by computed shapes, rescaled gradients, one copy per head.

    Attributes:
        frozen: Whether variables are constants.
        whole: Nodes whose results are integers.
    """

    frozen: bool
    nodes: list[Node] = field(default_factory=list)
    variables: dict[str, np.ndarray] = field(default_factory=dict)
    whole: set[str] = field(default_factory=set)

    def add(self, name: str, op: str, *inputs: str, **attrs: bytes) -> str:
        """Add a node with the types that TensorFlow wants to have spelled out."""
        whole = self.whole
        kind = attr_type(INT32 if op != "Shape" and inputs and inputs[0] in whole else FLOAT)
        types = {each: attr_type(INT32) for each in _INDEX_TYPES.get(op, ())}
        types |= {} if op in ("Const", "Placeholder", "VariableV2") else {_TYPE_NAMES.get(op, "T"): kind}
        count = {"Pack": len(inputs), "ConcatV2": len(inputs) - 1}.get(op)
        if count is not None:
            types["N"] = encode_field(3, count)
        if op in ("Shape", "Prod", "GatherV2", "ConcatV2") or (op in ("Pack", "StridedSlice") and inputs[0] in whole):
            self.whole.add(name)
        self.nodes.append(Node(name, op, inputs, {**types, **attrs}))
        return name

    def const(self, name: str, value: object, dtype: type = np.float32) -> str:
        if dtype is np.int32:
            self.whole.add(name)
        kind = attr_type(INT32 if dtype is np.int32 else FLOAT)
        return self.add(name, "Const", value=attr_tensor(np.asarray(value, dtype=dtype)), dtype=kind)

    def variable(self, name: str, value: np.ndarray) -> str:
        self.variables[name] = np.asarray(value, dtype=np.float32)
        if self.frozen:
            self.const(name, value)
        else:
            self.add(name, "VariableV2", shape=attr_shape(np.shape(value)), dtype=attr_type(FLOAT))
        return self.add(f"{name}/read", "Identity", name)

    def image(self, layers: TowerLayers) -> str:
        name = f"{SCOPE}/network_0/{layers.sensor}/{layers.sensor}"
        if all(node.name != name for node in self.nodes):
            self.add(name, "Placeholder", shape=attr_shape((-1, 120, 160, layers.num_channels)), dtype=attr_type(FLOAT))
        return name

    def tower(self, layers: TowerLayers, network: str, head: str) -> str:
        """Add a tower; ``head`` is the scope of its last dense layer. Returns the node behind it."""
        scope = f"{SCOPE}/{network}"
        embedder = f"{scope}/{layers.sensor}"
        last = self.add(
            f"{embedder}/truediv", "RealDiv", self.image(layers), self.const(f"{embedder}/truediv/y", 255.0)
        )
        last = self.add(f"{embedder}/sub", "Sub", last, self.const(f"{embedder}/sub/y", 0.0))
        for index, conv in enumerate(layers.convs):
            name = f"{embedder}/Conv2d_{2 * index}"
            kernel = self.variable(f"{name}/kernel", conv.kernel)
            strides = attr_integers((1, conv.stride, conv.stride, 1))
            last = self.add(f"{name}/Conv2D", "Conv2D", last, kernel, strides=strides, padding=attr_text("VALID"))
            last = self.add(f"{name}/BiasAdd", "BiasAdd", last, self.variable(f"{name}/bias", conv.bias))
            last = self.add(f"{embedder}/BatchnormActivationDropout_{2 * index + 1}_activation", "Relu", last)
        for index, dense in enumerate(layers.pixel_dense, start=len(layers.convs)):
            name = f"{embedder}/Dense_{2 * index}"
            last = self.tensordot(name, last, self.variable(f"{name}/kernel", dense.kernel), len(dense.bias))
            last = self.add(f"{name}/BiasAdd", "BiasAdd", last, self.variable(f"{name}/bias", dense.bias))
            last = self.add(f"{embedder}/BatchnormActivationDropout_{2 * index + 1}_activation", "Relu", last)
        last = self.flatten(f"{embedder}/Flatten/flatten", last)
        for index, dense in enumerate(layers.middleware):
            name = f"{scope}/middleware_fc_embedder/Dense_{2 * index}"
            last = self.dense(name, last, dense)
            last = self.add(
                f"{scope}/middleware_fc_embedder/BatchnormActivationDropout_{2 * index + 1}_activation", "Relu", last
            )
        last = self.rescaled(scope, last)
        return self.dense(f"{scope}/{head}", self.first(f"{scope}/{head}/strided_slice", last), layers.head)

    def dense(self, name: str, source: str, layer: Dense) -> str:
        last = self.add(f"{name}/MatMul", "MatMul", source, self.variable(f"{name}/kernel", layer.kernel))
        return self.add(f"{name}/BiasAdd", "BiasAdd", last, self.variable(f"{name}/bias", layer.bias))

    def flatten(self, name: str, source: str) -> str:
        size = self.first(f"{name}/strided_slice", self.add(f"{name}/Shape", "Shape", source))
        shape = self.add(f"{name}/Reshape/shape", "Pack", size, self.const(f"{name}/Reshape/shape/1", -1, np.int32))
        return self.add(f"{name}/Reshape", "Reshape", source, shape)

    def tensordot(self, name: str, source: str, kernel: str, units: int) -> str:
        """A dense layer over the last of four axes, as tf.tensordot spells it."""
        name = f"{name}/Tensordot"
        shape = self.add(f"{name}/Shape", "Shape", source)
        axis = self.const(f"{name}/GatherV2/axis", 0, np.int32)
        free = self.const(f"{name}/free", [0, 1, 2], np.int32)
        outer = self.add(f"{name}/GatherV2", "GatherV2", shape, free, axis)
        inner = self.add(
            f"{name}/GatherV2_1", "GatherV2", shape, self.const(f"{name}/axes", [3], np.int32), f"{name}/GatherV2/axis"
        )
        zero = self.const(f"{name}/Const", [0], np.int32)
        sizes = [self.add(f"{name}/{op}", "Prod", each, zero) for op, each in (("Prod", outer), ("Prod_1", inner))]
        packed = self.add(f"{name}/stack", "Pack", *sizes)
        order = self.const(f"{name}/perm", [0, 1, 2, 3], np.int32)
        flat = self.add(f"{name}/Reshape", "Reshape", self.add(f"{name}/transpose", "Transpose", source, order), packed)
        product = self.add(f"{name}/MatMul", "MatMul", flat, kernel)
        result = self.add(f"{name}/concat_1", "ConcatV2", outer, self.const(f"{name}/Const_2", [units], np.int32), axis)
        return self.add(name, "Reshape", product, result)

    def rescaled(self, scope: str, source: str) -> str:
        """The identity forward: (1 - r) * stop_gradient(x) + r * x."""
        factor = self.variable(f"{scope}/gradients_from_head_0-0_rescalers", np.float32(1.0))
        rest = self.add(f"{scope}/sub", "Sub", self.const(f"{scope}/sub/x", 1.0), factor)
        stopped = self.add(
            f"{scope}/StopGradient", "StopGradient", self.add(f"{scope}/StopGradient/input", "Pack", source)
        )
        one = self.add(f"{scope}/mul", "Mul", rest, stopped)
        other = self.add(f"{scope}/mul_1", "Mul", factor, self.add(f"{scope}/mul_1/y", "Pack", source))
        return self.add(f"{scope}/add", "Add", one, other)

    def first(self, name: str, source: str) -> str:
        ends = [
            self.const(f"{name}/stack{suffix}", [value], np.int32) for suffix, value in (("", 0), ("_1", 1), ("_2", 1))
        ]
        return self.add(name, "StridedSlice", source, *ends, shrink_axis_mask=encode_field(3, 1))

    def policy(self, layers: TowerLayers) -> str:
        discrete = layers.output == "softmax"
        last = self.tower(layers, "network_1", f"ppo_head_0/{'policy_fc' if discrete else 'policy_mean'}")
        return self.add(f"{SCOPE}/network_1/ppo_head_0/policy", "Softmax" if discrete else "Identity", last)

    def value(self, layers: TowerLayers) -> str:
        return self.tower(layers, "network_0", "v_values_head_0/output")

    def content(self) -> bytes:
        return write_graph(self.nodes, producer=27)


def frozen_graph(policy: TowerLayers) -> bytes:
    """``model_N.pb``."""
    graph = OriginalGraph(frozen=True)
    graph.policy(policy)
    return graph.content()


def write_checkpoint(
    folder: Path, name: str, policy: TowerLayers, value: TowerLayers, *, log_std: np.ndarray | None = None
) -> None:
    """``N_Step-S.ckpt.index``, ``.data-00000-of-00001`` and ``.meta``."""
    graph = OriginalGraph(frozen=False)
    graph.policy(policy)
    graph.value(value)
    if log_std is not None:
        graph.variable(f"{SCOPE}/network_1/ppo_head_0/policy_log_std", log_std.reshape(1, -1))
    index, data = checkpoint_files(graph.variables)
    folder.mkdir(parents=True, exist_ok=True)
    (folder / f"{name}.index").write_bytes(index)
    (folder / f"{name}.data-00000-of-00001").write_bytes(data)
    (folder / f"{name}.meta").write_bytes(encode_field(1, encode_field(4, "1.11.0")) + encode_field(2, graph.content()))


def checkpoint_files(variables: dict[str, np.ndarray]) -> tuple[bytes, bytes]:
    """Contents of the ``.index`` and the ``.data`` file."""
    entries = {b"": encode_field(1, 1) + encode_field(3, encode_field(1, 1))}
    data = b""
    for name, array in sorted(variables.items()):
        content = np.ascontiguousarray(array, "<f4").tobytes()
        shape = b"".join(encode_field(2, encode_field(1, size)) for size in array.shape)
        entry = encode_field(1, 1) + encode_field(2, shape) + encode_field(4, len(data)) + encode_field(5, len(content))
        entries[name.encode()] = entry + b"\x35" + masked(crc32c(content)).to_bytes(4, "little")
        data += content
    table = b""
    handles = {}
    names = sorted(entries)
    for part in (names[: len(names) // 2], names[len(names) // 2 :]):  # two blocks
        handles[part[-1]], table = _append(table, {name: entries[name] for name in part})
    unused, table = _append(table, {})
    index, table = _append(table, handles)
    footer = (unused + index).ljust(40, b"\0") + MAGIC
    return table + footer, data


def _append(table: bytes, entries: dict[bytes, bytes]) -> tuple[bytes, bytes]:
    """Handle of a new block, and the table with it."""
    block, restarts, last = b"", [], b""
    for number, (key, value) in enumerate(entries.items()):
        shared = 0
        if number % 4 == 0:
            restarts.append(len(block))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        block += encode_varint(shared) + encode_varint(len(key) - shared) + encode_varint(len(value))
        block += key[shared:] + value
        last = key
    block += b"".join(offset.to_bytes(4, "little") for offset in restarts or [0])
    block += max(1, len(restarts)).to_bytes(4, "little")
    handle = encode_varint(len(table)) + encode_varint(len(block))
    return handle, table + block + b"\0" + masked(crc32c(block + b"\0")).to_bytes(4, "little")

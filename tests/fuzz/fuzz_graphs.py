"""Models of strangers: graphs, checkpoints of TensorFlow, archives and what points to checkpoints in them."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
from fuzz_choices import Choices, mutated
from fuzz_driver import Reader
from fuzz_json import odd_json
from sample_policies import frames
from tf_files import MAGIC, OriginalGraph, checkpoint_files

from hotlap.bounded import MalformedError
from hotlap.checksum import crc32c, masked
from hotlap.export.car_graph import car_graph
from hotlap.export.executor import Executor
from hotlap.export.graph import Graph, Node, not_a_graph, read_graph, read_meta_graph, write_graph
from hotlap.export.layers import Convolution, Dense, TowerLayers
from hotlap.export.source import open_source
from hotlap.export.structure import find_camera, find_output, read_layers
from hotlap.export.tf_checkpoint import TfCheckpoint
from hotlap.export.wire import encode_field, encode_varint

IMAGE = frames(2)[:1]


def small_layers(num_pixel_dense: int = 1) -> TowerLayers:
    """A tower in a few thousand bytes."""
    rng = np.random.default_rng(0)

    def dense(rows: int, columns: int) -> Dense:
        return Dense(rng.normal(0, 1, (rows, columns)).astype(np.float32), np.ones(columns, np.float32))

    def conv(size: int, channels: int, filters: int, stride: int) -> Convolution:
        kernel = rng.normal(0, 1, (size, size, channels, filters)).astype(np.float32)
        return Convolution(kernel, np.zeros(filters, np.float32), stride)

    return TowerLayers(
        "FRONT_FACING_CAMERA",
        (conv(8, 1, 2, 8), conv(5, 2, 3, 5)),  # to 15x20, to 3x4
        tuple(dense(3, 3) for _ in range(num_pixel_dense)),
        (dense(36, 4),),
        dense(4, 3),
        "softmax",
    )


def graphs() -> list[bytes]:
    """As we write them, and as the original does."""
    original = OriginalGraph(frozen=True)
    original.policy(small_layers())
    return [car_graph(small_layers()), original.content()]


def look_into(graph: Graph, output: str, variable: Callable[[str], np.ndarray] | None = None) -> None:
    """All that an import does with a graph before it has a network of ours to compare it with."""
    executor = Executor(graph, variable, num_images=1)
    camera = find_camera(executor, output)
    executor.run(output, camera.feed(IMAGE.repeat(camera.num_channels, axis=1), np.float64))
    layers = read_layers(executor, output)
    assert isinstance(layers.networks, list)
    assert layers.describe()


def read_frozen(folder: Path) -> None:
    graph = read_graph((folder / "model.pb").read_bytes(), "model.pb")
    explained("model.pb", lambda: look_into(graph, find_output(graph)))


def read_meta(folder: Path) -> None:
    graph = read_meta_graph((folder / "3_Step-70.ckpt.meta").read_bytes(), "3_Step-70.ckpt.meta")
    policy = next((name for name in graph.nodes if name.endswith("ppo_head_0/policy")), "")
    variable = VARIABLES.__getitem__ if policy else None
    explained("3_Step-70.ckpt.meta", lambda: look_into(graph, policy, variable))


def explained(name: str, look: Callable[[], None]) -> None:
    """What an import says of a graph that makes no sense."""
    try:
        look()
    except MalformedError as error:
        raise not_a_graph(name, error) from None


class Variables(dict[str, np.ndarray]):
    """Of a checkpoint, which says of a missing one what a checkpoint says."""

    def __missing__(self, name: str) -> np.ndarray:
        raise MalformedError("missing")


def meta_graph() -> tuple[bytes, Variables]:
    graph = OriginalGraph(frozen=False)
    graph.policy(small_layers())
    return encode_field(1, b"") + encode_field(2, graph.content()), Variables(graph.variables)


META, VARIABLES = meta_graph()
GRAPHS = graphs()


def odd_graph(choices: Choices) -> bytes:
    """A well-formed graph that makes no sense: operations, inputs, attributes and weights exchanged."""
    nodes = list(read_graph(choices.of(GRAPHS), "model.pb").nodes.values())
    operations = sorted(
        {node.op for node in nodes} | {"Mul", "Add", "Transpose", "Pack", "Cast", "Squeeze", "ExpandDims"}
    )
    for _ in range(3):
        if not choices:
            break
        index = choices.below(len(nodes))
        node, kind = nodes[index], choices.below(5)
        if kind == 0:
            nodes[index] = replace(node, op=choices.of(operations))
        elif kind == 1:
            inputs = list(node.inputs or (node.name,))
            inputs[choices.below(len(inputs))] = choices.of(nodes).name
            nodes[index] = replace(node, inputs=tuple(inputs[: 1 + choices.below(4)]))
        elif kind == 2:
            nodes[index] = replace(node, attrs=choices.of(nodes).attrs)
        elif kind == 3:
            # One value for all elements: however large the shape, the file is small.
            shape = [choices.of((0, 1, 2, 3, 36, 160, 4000, 1 << 26)) for _ in range(choices.below(5))]
            sizes = b"".join(encode_field(2, encode_field(1, size)) for size in shape)
            value = encode_varint(5 << 3 | 5) + choices.of((b"\0\0\x80\x3f", b"\0\0\xc0\x7f", b"\xff\xff\x7f\x7f"))
            tensor = encode_field(1, 1) + encode_field(2, sizes) + value
            nodes[index] = Node(node.name, "Const", (), {"value": encode_field(8, tensor)})
        else:
            nodes[index] = choices.of(nodes)
    return write_graph(nodes, producer=27)


ARRAYS = {f"a/layer_{index}/kernel": np.full((index + 1, 2), index, np.float32) for index in range(9)}
INDEX, DATA = checkpoint_files(ARRAYS)


def odd_index(choices: Choices) -> bytes:
    """The index of a checkpoint; half of them have checksums that fit what is damaged."""
    if choices.below(2):
        return mutated(INDEX, choices)
    begin = INDEX.find(b"a/layer_0")
    content = mutated(INDEX[: begin + 300], choices, most=2) + (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
    table = content + b"\0" + masked(crc32c(content + b"\0")).to_bytes(4, "little")
    handle = encode_varint(0) + encode_varint(len(content))
    inner = mutated(encode_varint(0) + encode_varint(1) + encode_varint(len(handle)) + b"z" + handle, choices, most=1)
    inner += (0).to_bytes(4, "little") + (1).to_bytes(4, "little")
    place = encode_varint(len(table)) + encode_varint(len(inner))
    table += inner + b"\0" + masked(crc32c(inner + b"\0")).to_bytes(4, "little")
    return table + (encode_varint(0) * 2 + place).ljust(40, b"\0") + MAGIC


def read_checkpoint(folder: Path) -> None:
    """All variables that the index names."""
    name = "3_Step-70.ckpt"
    checkpoint = TfCheckpoint(folder / f"{name}.index", folder / f"{name}.data-00000-of-00001", name)
    for variable in checkpoint.entries:
        explained(name, lambda variable=variable: checkpoint[variable])  # type: ignore[misc]


def archive(kind: int) -> bytes:
    """A plain tar in one of its formats."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w", format=kind) as tar:
        for name in ("agent/model.pb", "model_metadata.json", "x" * 60 + "/" + "y" * 60 + "/reward_function.py"):
            member = tarfile.TarInfo(name)
            member.size = 700
            tar.addfile(member, io.BytesIO(bytes(700)))
    return file.getvalue()[:8192]


ARCHIVES = [archive(kind) for kind in (tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT)]


def odd_archive(choices: Choices) -> bytes:
    """An archive, damaged outside or inside; most have header checksums that fit."""
    sample, how = choices.of(ARCHIVES), choices.below(4)
    if how == 0:
        return mutated(gzip.compress(sample, 1), choices)
    data = bytearray(mutated(sample, choices))
    for start in range(0, len(data) - 511, 512) if how > 1 else ():
        if data[start + 257 : start + 262] == b"ustar":
            data[start + 148 : start + 156] = b" " * 8
            data[start + 148 : start + 156] = b"%06o\0 " % (sum(data[start : start + 512]) & 0o777777)
    return gzip.compress(bytes(data), 1)


def find_model(folder: Path, place: str = "") -> None:
    """Choose among the files of an archive or a folder."""
    for wanted in ("best", "last"):
        with open_source(folder / place, wanted) as (source, which):  # type: ignore[arg-type]  # one of two
            source.find(which)


NAMED = {"best_checkpoint": {"name": "3_Step-70.ckpt", "time_stamp": 1.0}, "last_checkpoint": {"name": "4_Step-9.ckpt"}}
POINTED = b"3_Step-70.ckpt\n"
_BESIDE = {"source/model_3.pb": b"x", "source/model_4.pb": b"x"}

GRAPH_READERS = {
    "graph": Reader(
        "model.pb", read_frozen, GRAPHS, lambda choices: mutated(choices.of(GRAPHS), choices), opens=False, slow=2
    ),
    "odd_graph": Reader("model.pb", read_frozen, GRAPHS, odd_graph, opens=False, slow=2),
    "meta_graph": Reader(
        "3_Step-70.ckpt.meta", read_meta, [META], lambda choices: mutated(META, choices), opens=False, slow=2
    ),
    "tf_index": Reader(
        "3_Step-70.ckpt.index",
        read_checkpoint,
        [INDEX],
        odd_index,
        beside={"3_Step-70.ckpt.data-00000-of-00001": DATA},
        named="3_Step-70.ckpt",
        opens=False,
    ),
    "tf_data": Reader(
        "3_Step-70.ckpt.data-00000-of-00001",
        read_checkpoint,
        [DATA],
        lambda choices: mutated(DATA, choices),
        beside={"3_Step-70.ckpt.index": INDEX},
        named="3_Step-70.ckpt",
        opens=False,
    ),
    "archive": Reader(
        "model.tar.gz",
        lambda folder: find_model(folder, "model.tar.gz"),
        [gzip.compress(each, 1) for each in ARCHIVES],
        odd_archive,
    ),
    "import_index": Reader(
        "source/deepracer_checkpoints.json",
        lambda folder: find_model(folder, "source"),
        [json.dumps(NAMED).encode()],
        odd_json(NAMED),
        beside=_BESIDE,
    ),
    "import_pointer": Reader(
        "source/.coach_checkpoint",
        lambda folder: find_model(folder, "source"),
        [POINTED],
        lambda choices: mutated(POINTED, choices),
        beside=_BESIDE,
    ),
}

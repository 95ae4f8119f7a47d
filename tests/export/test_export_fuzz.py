"""Every reader of strangers' files meets valid files with mistakes in them: only our errors, little memory, an end.

A few in each run; ``HOTLAP_FUZZ_MANY`` (100,000) of them with ``-m slow``.
"""

from __future__ import annotations

import gzip
import io
import json
import shutil
import tarfile
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fuzzing import FEW, MANY, PROGRAMS, Choices, fuzz, mutated
from hypothesis import strategies as st
from sample_policies import frames
from tf_files import MAGIC, OriginalGraph, checkpoint_files

from hotlap.export.agreement import Agreement
from hotlap.export.car_graph import car_graph
from hotlap.export.executor import Executor
from hotlap.export.graph import Graph, Node, read_graph, read_meta_graph, write_graph
from hotlap.export.importing import _metadata
from hotlap.export.layers import Convolution, Dense, TowerLayers
from hotlap.export.source import Source, open_source, wanted_size
from hotlap.export.structure import find_camera, find_output, read_layers
from hotlap.export.tar import unpack
from hotlap.export.tf_checkpoint import TfCheckpoint, crc32c, masked, read_index
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


def attack_graph(content: bytes) -> None:
    graph = read_graph(content, "model.pb")
    look_into(graph, find_output(graph))


def attack_meta_graph(content: bytes) -> None:
    graph = read_meta_graph(content, "0_Step-0.ckpt.meta")
    policy = next((name for name in graph.nodes if name.endswith("ppo_head_0/policy")), "")
    look_into(graph, policy, VARIABLES.__getitem__ if policy else None)


class Variables(dict[str, np.ndarray]):
    """Of a checkpoint, which says of a missing one what a checkpoint says."""

    def __missing__(self, name: str) -> np.ndarray:
        from hotlap.export.wire import MalformedError

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


def attack_index(content: bytes) -> None:
    """The index, and then all variables of a ``.data`` file that is what it is."""
    read_index(content, "index")
    (SCRATCH / "index").write_bytes(content)
    checkpoint = TfCheckpoint(SCRATCH / "index", SCRATCH / "data", "checkpoint")
    for name in checkpoint.entries:
        checkpoint[name]


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


def attack_archive(content: bytes) -> None:
    """Unpacking, and then the choice among what came out."""
    place, target = SCRATCH / "archive.tar.gz", SCRATCH / "unpacked"
    place.write_bytes(content)
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir()
    for path in unpack(place, target, wanted_size).values():
        assert path.parent == target
    with open_source(place, "best") as (source, which):
        source.find(which)


METADATA = {
    "action_space": [{"steering_angle": -30, "speed": 1.5, "index": 0}, {"steering_angle": 30.0, "speed": 2}],
    "sensor": ["FRONT_FACING_CAMERA"],
    "neural_network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
    "training_algorithm": "clipped_ppo",
    "action_space_type": "discrete",
    "lidar_config": {"num_sectors": 8},
    "version": "5",
}
JSON = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=8)),
    lambda inner: st.one_of(st.lists(inner, max_size=4), st.dictionaries(st.text(max_size=8), inner, max_size=4)),
    max_leaves=8,
)
METADATA_TEXT = json.dumps(METADATA).encode()
ODD_VALUES = st.dictionaries(st.sampled_from(sorted(METADATA)), JSON, min_size=1, max_size=3)
ODD_METADATA = st.one_of(
    PROGRAMS.map(lambda choices: mutated(METADATA_TEXT, choices)),
    ODD_VALUES.map(lambda values: json.dumps({**METADATA, **values}).encode()),
)


def attack_metadata(content: bytes) -> None:
    _metadata(content, "model_metadata.json")


NAMED = {"best_checkpoint": {"name": "3_Step-70.ckpt", "time_stamp": 1.0}, "last_checkpoint": {"name": "4_Step-9.ckpt"}}
NAMED_TEXT = json.dumps(NAMED).encode()


def odd_pointers(choices: Choices) -> tuple[bytes, bytes]:
    """An index of checkpoints and a pointer to one."""
    return mutated(NAMED_TEXT, choices, most=3), mutated(b"3_Step-70.ckpt\n", choices)


def attack_pointers(files: tuple[bytes, bytes]) -> None:
    names = ("deepracer_checkpoints.json", ".coach_checkpoint")
    for name, content in zip(names, files, strict=True):
        (SCRATCH / name).write_bytes(content)
    paths = {name: SCRATCH / name for name in (*names, "model_3.pb", "model_4.pb")}
    for which in ("best", "last"):
        assert Source(SCRATCH, paths).find(which).name.number in (3, 4)  # type: ignore[arg-type]


READERS: dict[str, tuple[st.SearchStrategy[Any], Callable[[Any], None]]] = {
    "graph": (PROGRAMS.map(lambda choices: mutated(choices.of(GRAPHS), choices)), attack_graph),
    "odd_graph": (PROGRAMS.map(odd_graph), attack_graph),
    "meta_graph": (PROGRAMS.map(lambda choices: mutated(META, choices)), attack_meta_graph),
    "checkpoint_index": (PROGRAMS.map(odd_index), attack_index),
    "archive": (PROGRAMS.map(odd_archive), attack_archive),
    "metadata": (ODD_METADATA, attack_metadata),
    "pointers": (PROGRAMS.map(odd_pointers), attack_pointers),
}
SCRATCH = Path()


@pytest.fixture(autouse=True)
def scratch(monkeypatch: pytest.MonkeyPatch) -> Any:
    """A folder in memory where there is one: 100,000 files are many for a disk."""
    memory = Path("/dev/shm")
    with tempfile.TemporaryDirectory(dir=memory if memory.is_dir() else None) as folder:
        monkeypatch.setitem(globals(), "SCRATCH", Path(folder))
        (Path(folder) / "data").write_bytes(DATA)
        yield


def test_samples_are_read():
    """Before they are damaged."""
    for content in GRAPHS:
        attack_graph(content)
    attack_meta_graph(META)
    attack_metadata(json.dumps(METADATA).encode())
    assert not Agreement(float("nan"), 1).holds


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS)
def test_few_damaged_files(reader: str):
    """Some are refused; none does anything else than being read or refused."""
    inputs, attack = READERS[reader]
    assert sum(fuzz(inputs, attack, FEW).values()) >= FEW


@pytest.mark.slow
@pytest.mark.timeout(3600)
@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("reader", READERS)
def test_many_damaged_files(reader: str):
    inputs, attack = READERS[reader]
    counts = fuzz(inputs, attack, MANY, weigh=False)
    print(f"\n{reader}: {counts}")
    assert sum(counts.values()) >= MANY

"""Files made to harm: refused with the reason, at once, and with nothing written outside."""

from __future__ import annotations

import gzip
import io
import os
import tarfile
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sample_policies import make_policy

from hotlap.archives import tar
from hotlap.archives.archive import unpack
from hotlap.bounded import MalformedError
from hotlap.checksum import crc32c
from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.errors import RecordError
from hotlap.export.car_graph import car_graph
from hotlap.export.executor import Executor
from hotlap.export.graph import (
    FLOAT,
    Graph,
    Node,
    attr_integers,
    attr_tensor,
    attr_text,
    decode_tensor,
    encode_tensor,
    read_graph,
)
from hotlap.export.importing import import_model
from hotlap.export.layers import layers_of
from hotlap.export.source import open_source, wanted_size
from hotlap.export.structure import find_camera, find_output
from hotlap.export.wire import encode_field, encode_varint, integer, varint
from hotlap.rl.specs import DiscreteActions


def everything(name: str) -> int:
    return 1 << 20


def archive(folder: Path, *members: tuple[tarfile.TarInfo, bytes], kind: int = tarfile.PAX_FORMAT) -> Path:
    path = folder / "archive.tar.gz"
    with tarfile.open(path, "w:gz", format=kind) as file:
        for info, content in members:
            info.size = len(content)
            file.addfile(info, io.BytesIO(content))
    return path


def member(name: str, content: bytes = b"content", **changes: object) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    for key, value in changes.items():
        setattr(info, key, value)
    return info, content


@pytest.fixture
def target(tmp_path: Path) -> Path:
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


@pytest.mark.parametrize("kind", [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_ordinary_archives_are_unpacked_as_by_tarfile(tmp_path: Path, target: Path, kind: int):
    """All three formats, long names and folders included."""
    rng = np.random.default_rng(0)
    names = ["a", "./b/c.txt", "deep/" * 9 + "d" * 90, "e" * 100, "é" * 40]
    if kind != tarfile.USTAR_FORMAT:
        names.append("f" * 180 + "/" + "g" * 180)
    members = [member(name, rng.bytes(300 * index)) for index, name in enumerate(names)]
    path = archive(tmp_path, member("folder", b"", type=tarfile.DIRTYPE), *members, kind=kind)
    found = unpack(path, target, everything)
    with tarfile.open(path) as file:
        expected = {info.name.removeprefix("./"): file.extractfile(info).read() for info in file if info.isfile()}  # type: ignore[union-attr]
    assert {name: place.read_bytes() for name, place in found.items()} == expected


@pytest.mark.parametrize(
    ("bad", "reason"),
    [
        (member("../outside"), "leads outside"),
        (member("/etc/passwd"), "leads outside"),
        (member("agent/../../outside"), "leads outside"),
        (member("C:\\model.pb"), "leads outside"),
        (member("link", b"", type=tarfile.SYMTYPE, linkname="/etc/passwd"), "a link or a device"),
        (member("link", b"", type=tarfile.LNKTYPE, linkname="a"), "a link or a device"),
        (member("null", b"", type=tarfile.CHRTYPE), "a link or a device"),
        (member("pipe", b"", type=tarfile.FIFOTYPE), "a link or a device"),
        (member("large", bytes((1 << 20) + 1)), "more than the 1048576"),
        (member("first"), "twice"),
    ],
)
def test_archives_that_reach_out(tmp_path: Path, target: Path, bad: tuple[tarfile.TarInfo, bytes], reason: str):
    """Whatever a path in an archive says, files are written under numbers in one folder."""
    path = archive(tmp_path, member("first"), bad)
    with pytest.raises(MalformedError, match=reason):
        unpack(path, target, everything)
    assert {entry.name for entry in tmp_path.rglob("*")} <= {"archive.tar.gz", "target", "0"}


def test_negative_size_does_not_hang(tmp_path: Path, target: Path):
    """Python 3.11.7's tarfile reads this archive forever."""
    with tarfile.open(tmp_path / "plain.tar", "w", format=tarfile.USTAR_FORMAT) as file:
        file.addfile(tarfile.TarInfo("a"))
        file.addfile(tarfile.TarInfo("b"))
    data = bytearray((tmp_path / "plain.tar").read_bytes())
    data[512 + 124 : 512 + 136] = b"\xff" * 8 + (2**32 - 512).to_bytes(4, "big")
    data[512 + 148 : 512 + 156] = b" " * 8
    data[512 + 148 : 512 + 156] = b"%06o\0 " % sum(data[512:1024])
    path = tmp_path / "negative.tar.gz"
    path.write_bytes(gzip.compress(bytes(data)))
    with pytest.raises(MalformedError, match="too large"):
        unpack(path, target, everything)


def test_bomb_is_stopped(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch):
    """Also where the swollen member is not wanted, and where it is a header."""
    monkeypatch.setattr(tar, "MAX_UNPACKED", 4 << 20)
    path = archive(tmp_path, member("notes.txt", bytes(5 << 20)), member("model.pb"))
    assert path.stat().st_size < 1 << 14
    with pytest.raises(MalformedError, match="unpacks to more than 4 MiB"):
        unpack(path, target, lambda name: 100 if name == "model.pb" else None)
    path = archive(tmp_path, member("a", pax_headers={"comment": "x" * 70_000}))
    with pytest.raises(MalformedError, match="a header in it has"):
        unpack(path, target, everything)


def test_endless_members(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(tar, "MAX_MEMBERS", 50)
    path = archive(tmp_path, *(member(f"{index}", b"") for index in range(60)))
    with pytest.raises(MalformedError, match="more than 50 members"):
        unpack(path, target, everything)


def test_archives_of_several_zips(tmp_path: Path, target: Path, monkeypatch: pytest.MonkeyPatch):
    """Read like one, as gzip does, but not however many."""
    path = archive(tmp_path, member("first", b"1" * 9999))
    plain = gzip.decompress(path.read_bytes())
    path.write_bytes(b"".join(gzip.compress(plain[start : start + 700]) for start in range(0, len(plain), 700)))
    assert unpack(path, target, everything)["first"].read_bytes() == b"1" * 9999
    monkeypatch.setattr(tar, "MAX_GZIP_MEMBERS", 50)
    path.write_bytes(gzip.compress(b"") * 60 + gzip.compress(plain))
    with pytest.raises(MalformedError, match="more than 50 gzip files"):
        unpack(path, target, everything)


@pytest.mark.parametrize(
    "content", [b"", b"no gzip at all", gzip.compress(b"no tar inside" * 99, mtime=0), b"\x1f\x8b\x08\0"]
)
def test_no_archive_at_all(tmp_path: Path, target: Path, content: bytes):
    (tmp_path / "x.tar.gz").write_bytes(content)
    with pytest.raises(MalformedError):
        unpack(tmp_path / "x.tar.gz", target, everything)


def test_archive_cut_short(tmp_path: Path, target: Path):
    path = archive(tmp_path, member("model.pb", os.urandom(5000)))
    path.write_bytes(path.read_bytes()[:2000])
    with pytest.raises(MalformedError):
        unpack(path, target, everything)


def test_wanted_files_have_limits():
    """Only names of a model; hidden twins of macOS and everything else stay in the archive."""
    assert wanted_size("agent/model.pb") == 320 << 20
    assert wanted_size("model/11_Step-38428.ckpt.index") == 4 << 20
    for name in ("agent/._model.pb", "checkpoint", "a.npy", "weights.pkl", "11_Step-38428.ckpt", "model.pb.exe"):
        assert wanted_size(name) is None


def test_link_out_of_a_folder_is_not_followed(tmp_path: Path):
    """A downloaded folder must not make us copy what lies elsewhere."""
    secret = tmp_path / "secret"
    secret.write_text("key")
    source = tmp_path / "model"
    source.mkdir()
    (source / "model_3.pb").write_bytes(b"x")
    (source / "reward_function.py").symlink_to(secret)
    with open_source(source, "best") as (found, _):
        assert set(found.files) == {"model_3.pb"}


def test_countless_fields_are_not_read_to_the_end():
    """Of the file, of a node, of a packed list."""
    many = 1 << 20
    inputs = encode_field(1, "a") + encode_field(2, "b") + b"\x1a\x00" * many
    for content in (b"\x0a\x00" * many, b"\x38\x01" * many, encode_field(1, inputs)):
        with pytest.raises(RecordError, match=r"more fields than any|no name or no operation"):
            read_graph(content, "model.pb")
    with pytest.raises(MalformedError, match="more values than any"):
        decode_tensor(memoryview(encode_field(1, 3) + encode_field(7, b"\1" * many)))


def test_graph_of_many_nodes_takes_little_memory():
    """Protobuf's own classes make fifty times as much of small nodes, however many; here there is an end to it."""
    content = b"".join(encode_field(1, encode_field(1, f"{n}") + encode_field(2, "b")) for n in range(60_000))
    tracemalloc.start()
    try:
        with pytest.raises(RecordError, match="more than 50000 nodes"):
            read_graph(content, "model.pb")
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 60 << 20


def chain(*nodes: Node) -> Executor:
    return Executor(Graph({node.name: node for node in nodes}), num_images=1)


def const(name: str, array: np.ndarray) -> Node:
    return Node(name, "Const", (), {"value": attr_tensor(array)})


def splat(name: str, *shape: int) -> Node:
    """A constant whose one value stands for all."""
    sizes = b"".join(encode_field(2, encode_field(1, size)) for size in shape)
    one = encode_field(5, b"\0\0\x80\x3f")
    return Node(name, "Const", (), {"value": encode_field(8, encode_field(1, 1) + encode_field(2, sizes) + one)})


@pytest.mark.parametrize(
    ("executor", "reason"),
    [
        (chain(splat("a", 1 << 13, 1), splat("b", 1, 1 << 13), Node("x", "Mul", ("a", "b"))), "numbers to compute"),
        (chain(splat("a", 1 << 13, 1 << 13), Node("x", "Relu", ("a",))), "numbers to compute"),
        (chain(splat("a", 1 << 10, 1 << 16), splat("b", 1 << 16, 100), Node("x", "MatMul", ("a", "b"))), "multipl"),
        (chain(splat("x", 1 << 20, 1 << 20)), "more than any policy needs"),
        (chain(splat("x", 1 << 26, 1 << 26, 0)), "more than any policy needs"),
        (chain(Node("x", "Relu", ("y",)), Node("y", "Relu", ("x",))), "needs its own result"),
        (chain(Node("x", "Relu", ("x",))), "needs its own result"),
        (chain(Node("x", "Relu", ("y",))), "is missing"),
        (chain(Node("x", "Relu")), "cannot read"),
        (chain(Node("x", "PyFunc")), "which no policy needs"),
        (chain(Node("x", "ReadFile")), "which no policy needs"),
        (chain(Node("x", "Placeholder")), "which no policy needs"),
        (chain(Node("x", "VariableV2")), "which no policy needs"),
        (chain(splat("a", 2), Node("x", "Relu", ("a:1",))), "reads 'a:1'"),
        (chain(splat("a", 2), splat("b", 3), Node("x", "Add", ("a", "b"))), r"cannot read shapes \(2,\), \(3,\)"),
    ],
)
def test_graphs_that_ask_too_much(executor: Executor, reason: str):
    """Too large, circular, incomplete, or with operations that read files and run programs."""
    with pytest.raises(MalformedError, match=reason):
        executor.run("x")


def test_long_chain_is_no_recursion():
    nodes = [splat("0", 2), *(Node(f"{index}", "Identity", (f"{index - 1}",)) for index in range(1, 20_000))]
    assert chain(*nodes).run("19999").tolist() == [1.0, 1.0]


def test_padded_convolution_is_refused():
    """Not computed wrongly."""
    attrs = {"strides": attr_integers((1, 1, 1, 1)), "padding": attr_text("SAME")}
    executor = chain(splat("a", 1, 5, 5, 1), splat("k", 3, 3, 1, 1), Node("x", "Conv2D", ("a", "k"), attrs))
    with pytest.raises(MalformedError, match="is padded"):
        executor.run("x")


def test_operations_on_shapes():
    """Against numpy, on a case by hand each."""
    array = np.arange(24, dtype=np.float32).reshape(2, 3, 4)

    def run(op: str, *inputs: np.ndarray, **attrs: bytes) -> np.ndarray:
        nodes = [const(f"{index}", each) for index, each in enumerate(inputs)]
        return chain(*nodes, Node("x", op, tuple(node.name for node in nodes), attrs)).run("x")

    def ints(*values: int) -> np.ndarray:
        return np.array(values, np.int32)

    def mask(value: int) -> bytes:
        return encode_field(3, value)

    np.testing.assert_array_equal(
        run("StridedSlice", array, ints(1), ints(2), ints(1), shrink_axis_mask=mask(1)), array[1]
    )
    np.testing.assert_array_equal(
        run("StridedSlice", array, ints(1, 0), ints(0, 2), ints(-1, 1), begin_mask=mask(2), end_mask=mask(1)),
        array[1::-1, :2],
    )
    np.testing.assert_array_equal(run("Transpose", array, ints(2, 0, 1)), array.transpose(2, 0, 1))
    np.testing.assert_array_equal(run("ExpandDims", array, np.array(-1, np.int32)), array[..., None])
    np.testing.assert_array_equal(run("Squeeze", array[None, :, :1], squeeze_dims=attr_integers((0, 2))), array[:, 0])
    np.testing.assert_array_equal(run("Pack", array, array, axis=mask(1)), np.stack([array, array], axis=1))
    np.testing.assert_array_equal(run("ConcatV2", array, array, ints(2)[0]), np.concatenate([array, array], axis=2))
    np.testing.assert_array_equal(run("GatherV2", ints(5, 6, 7), ints(2, 0), np.array(0, np.int32)), [7, 5])
    np.testing.assert_array_equal(run("Prod", ints(2, 3, 4), ints(0)), 24)
    np.testing.assert_array_equal(run("Shape", array), [2, 3, 4])
    np.testing.assert_array_equal(run("Reshape", array, ints(-1, 6)), array.reshape(-1, 6))
    np.testing.assert_array_equal(
        run("MatMul", array[0], array[1], transpose_b=encode_field(5, 1)), array[0] @ array[1].T
    )
    assert run("Cast", array, DstT=encode_field(6, 3)).dtype == np.int32


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<i4", "<i8", "?", "<f2"])
def test_tensors_come_back(dtype: str):
    array = np.array([[1, 0, 3], [0, 5, 6]]).astype(dtype)
    again = decode_tensor(memoryview(encode_tensor(array)))
    np.testing.assert_array_equal(again, array)
    assert again.dtype == array.dtype


def test_values_one_by_one():
    """As TensorFlow writes small constants: packed or not, negative, in halves, the last one repeated."""
    shape = encode_field(2, encode_field(2, encode_field(1, 3)))

    def decoded(number: int, *parts: bytes) -> list[float]:
        return decode_tensor(memoryview(encode_field(1, number) + shape + b"".join(parts))).tolist()

    assert decoded(FLOAT, encode_field(5, np.float32([1, 2, 3]).tobytes())) == [1, 2, 3]
    assert decoded(FLOAT, b"\x2d" + np.float32(1).tobytes(), b"\x2d" + np.float32(7).tobytes()) == [1, 7, 7]
    assert decoded(3, encode_field(7, encode_varint(5) + encode_varint(-2))) == [5, -2, -2]
    assert decoded(9, encode_field(10, -1)) == [-1, -1, -1]
    assert decoded(19, encode_field(13, int(np.float16(1.5).view(np.uint16)))) == [1.5, 1.5, 1.5]
    assert decoded(10, encode_field(11, 1)) == [True, True, True]
    assert decoded(FLOAT) == [0, 0, 0]
    with pytest.raises(MalformedError, match="has 4 values"):
        decoded(3, encode_field(7, b"\1\1\1\1"))
    with pytest.raises(MalformedError, match="data type number 7"):
        decoded(7)
    with pytest.raises(MalformedError, match="has 5 bytes"):
        decoded(FLOAT, encode_field(4, bytes(5)))


@given(st.integers(-(2**63), 2**63 - 1))
def test_numbers_come_back(value: int):
    encoded = encode_varint(value)
    assert 1 <= len(encoded) <= 10
    number, end = varint(memoryview(encoded), 0)
    assert (integer(number), end) == (value, len(encoded))


@pytest.mark.parametrize("size", [0, 1, 9, 4095, 4096, 8191, 8192, 12345, 70000])
def test_checksum_is_castagnoli(size: int):
    """Against the definition, bit by bit, whether computed in pieces or not; and the published check value."""
    data = np.random.default_rng(size).bytes(size)
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    assert crc32c(data) == crc ^ 0xFFFFFFFF
    assert crc32c(b"123456789") == 0xE3069283


def test_graph_with_two_ends_or_two_images():
    graph = read_graph(car_graph(layers_of(make_policy(SHALLOW, DiscreteActions(3)))), "model.pb")
    output = find_output(graph)
    placeholder = next(node for node in graph.nodes.values() if node.op == "Placeholder")
    two_ends = Graph({**graph.nodes, "end": Node("end", "Relu", (output,)), "other": Node("other", "Relu", (output,))})
    with pytest.raises(MalformedError, match=r"one node that no other reads.*found 2"):
        find_output(two_ends)
    second = Node("second", "Placeholder", (), placeholder.attrs)
    two_images = Graph({**graph.nodes, "second": second, "end": Node("end", "Add", (output, "second"))})
    with pytest.raises(MalformedError, match=r"expected one placeholder.*'second'"):
        find_camera(Executor(two_images), "end")


@pytest.mark.parametrize("content", [b"\x80\x04\x95pickle", b"a text\n" * 50, b"", bytes(5000)])
def test_file_that_is_no_graph(tmp_path: Path, content: bytes):
    """Named as one."""
    (tmp_path / "model.pb").write_bytes(content)
    (tmp_path / "model_metadata.json").write_text(
        '{"action_space": [{"steering_angle": 1, "speed": 1}], "version": "5"}'
    )
    (tmp_path / "model_metadata.json").write_text(
        '{"action_space": [{"steering_angle": 1, "speed": 1}], "sensor": ["FRONT_FACING_CAMERA"]}'
    )
    with pytest.raises(RecordError, match=r"model\.pb: this is not a usable TensorFlow graph.*copy it again"):
        import_model(tmp_path / "model.pb", tmp_path / "new")

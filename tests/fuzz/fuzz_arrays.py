"""Files of numbers: routes, weights and camera frames, with headers that lie and numbers that make no sense."""

from __future__ import annotations

import io
import json
import struct
import zlib
from collections.abc import Callable

import numpy as np
from fuzz_choices import Choices, mutated, sometimes_mutated
from fuzz_json import odd_json
from PIL import Image

NUMBERS = (0.0, -0.0, 1e-9, 0.05, 1e3, 1e9, 1e300, np.nan, np.inf, -np.inf)
KINDS = ("<f8", "<f4", ">f8", "<i4", "|u1", "<f2", "|b1", "<U6", "|O", "<c16", "|V8", "<M8[s]", "|S0", "<f16")
SHAPES = (
    "(2, 6)",
    "(6, 2)",
    "(12,)",
    "()",
    "(0, 6)",
    "(-1, 6)",
    "(1, 6)",
    "(4999, 6)",
    "(5001, 6)",
    "(1 << 40, 6)",
    "(1099511627776, 6)",
    "(9223372036854775807, 6)",
    "(" + "9" * 5000 + ", 6)",
    "(2.0, 6)",
    "(True, 6)",
    "('a', 6)",
    "[2, 6]",
    "(4294967296, 4294967296)",
    "(" + "1, " * 70 + ")",
    "-" * 3000 + "1",
    "(" * 300,
    "None",
)


def odd_route(rows: np.ndarray) -> Callable[[Choices], bytes]:
    """A maker of route files like one of ``rows`` (N, 6) [m]."""
    whole = io.BytesIO()
    np.save(whole, rows)

    def make(choices: Choices) -> bytes:
        how = choices.below(4)
        if how == 0:
            return mutated(whole.getvalue(), choices)
        if how == 1:
            return sometimes_mutated(_array_file(choices, rows), choices)
        changed = rows.copy()
        for _ in range(1 + choices.below(3)):
            if not choices or not len(changed):
                break
            with np.errstate(all="ignore"):
                changed = _edited(changed, choices)
        file = io.BytesIO()
        with np.errstate(all="ignore"):
            np.save(file, changed.astype(choices.of(("<f8", "<f8", "<f4", ">f8", "<i8"))))
        return file.getvalue()

    return make


def _array_file(choices: Choices, rows: np.ndarray) -> bytes:
    """A header of any kind before the rows."""
    kind = repr(choices.of(KINDS)) if choices.below(4) else choices.of(("[('a', '<f8')]", "('<f8', (2,))", "1", "{}"))
    order = choices.of(("False", "False", "True", "1", "[]"))
    text = f"{{'descr': {kind}, 'fortran_order': {order}, 'shape': {choices.of(SHAPES)}, }}\n".encode()
    if choices.below(8) == 1:
        text += b" " * choices.of((9_000, 60_000))
    version = choices.of((1, 1, 1, 2, 3, 0, 255))
    length = len(text) + choices.of((0, 0, 0, -1, 1, 100))
    size = length.to_bytes(2, "little") if version == 1 else length.to_bytes(4, "little")
    return b"\x93NUMPY" + bytes([version, choices.of((0, 0, 0, 1))]) + size + text + rows.tobytes()


def _edited(rows: np.ndarray, choices: Choices) -> np.ndarray:
    """The rows, some of them changed."""
    row, column, kind = choices.below(len(rows)), choices.below(6), choices.below(10)
    if kind <= 1:
        rows[row, column] = choices.of(NUMBERS)
    elif kind == 2:
        rows[row] = rows[choices.below(len(rows))]
    elif kind == 3:
        rows = rows * choices.of((0.0, 1e-6, 0.01, -1.0, 10.0, 1e200))
    elif kind == 4:
        rows = rows[: 1 + row]
    elif kind == 5:
        rows = rows[:: 1 + choices.below(60)]
    elif kind == 6:
        rows = np.concatenate([rows, rows[row:]])
    elif kind == 7:
        rows = rows[:, [0, 1, 4, 5, 2, 3]] if choices.below(2) else rows[:, [2, 3, 0, 1, 4, 5]]
    elif kind == 8:
        rows[row:, :2] = rows[row:, 2:4]
    else:
        rows = rows[::-1] if choices.below(2) else np.roll(rows, row, axis=0)
    return rows.copy()


def weights_file(metadata: object, *, header: bytes | None = None) -> bytes:
    """A checkpoint of two small tensors, with this ``metadata``, or with this header."""
    first, second = np.arange(6, dtype=np.float32).tobytes(), b"\1\0"
    crc = zlib.crc32(second, zlib.crc32(b"b", zlib.crc32(first, zlib.crc32(b"a"))))
    own = json.dumps({"format": 1, "crc32": crc, "metadata": metadata})
    tensors = {
        "__metadata__": {"hotlap": own},
        "a": {"dtype": "F32", "shape": [2, 3], "data_offsets": [0, 24]},
        "b": {"dtype": "BOOL", "shape": [2], "data_offsets": [24, 26]},
    }
    text = json.dumps(tensors).encode() if header is None else header
    return len(text).to_bytes(8, "little") + text + first + second


def odd_weights(choices: Choices) -> bytes:
    """A checkpoint with a damaged header, damaged metadata, or damaged bytes."""
    sample = weights_file(METADATA)
    length = int.from_bytes(sample[:8], "little")
    how = choices.below(4)
    if how == 0:
        return mutated(sample, choices)
    if how == 1:
        header = odd_json(json.loads(sample[8 : 8 + length]))(choices)
        return sometimes_mutated(weights_file(None, header=header), choices)
    if how == 2:
        tensors = json.loads(sample[8 : 8 + length])
        own = odd_json(json.loads(tensors["__metadata__"]["hotlap"]))(choices)
        tensors["__metadata__"]["hotlap"] = own.decode(errors="replace")
        return weights_file(None, header=json.dumps(tensors).encode())
    lie = choices.of((0, 1, length - 1, length + 1, 1 << 23, 1 << 31, (1 << 64) - 1))
    return lie.to_bytes(8, "little") + sample[8:]


METADATA = {
    "network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
    "sensors": ["FRONT_FACING_CAMERA"],
    "shared_encoder": False,
    "seed": 3,
}


def frame() -> bytes:
    """A small camera frame."""
    file = io.BytesIO()
    pixels = np.arange(12 * 16 * 3, dtype=np.uint8).reshape(12, 16, 3)
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def odd_frame(choices: Choices) -> bytes:
    """A frame with damaged chunks, most with checksums that fit."""
    sample = frame()
    if choices.below(3) == 0:
        return mutated(sample, choices)
    chunks = [(sample[at + 4 : at + 8], sample[at + 8 : at + 8 + size]) for at, size in _chunks(sample)]
    strangers = (b"tEXt", b"zTXt", b"iTXt", b"PLTE", b"tRNS", b"acTL", b"fcTL", b"iCCP", b"eXIf", b"IDAT")
    for _ in range(1 + choices.below(3)):
        index = choices.below(len(chunks))
        kind, content = chunks[index]
        how = choices.below(4)
        if how == 0:
            chunks[index] = kind, mutated(content, choices, most=2)
        elif how == 1:
            chunks.insert(index, (choices.of(strangers), mutated(content, choices, most=2)))
        elif how == 2 and kind == b"IHDR":
            sizes = [choices.of((0, 1, 16, 1 << 12, 1 << 16, (1 << 31) - 1)) for _ in range(2)]
            chunks[index] = kind, struct.pack(">II", *sizes) + content[8:]
        else:
            chunks[index] = choices.of(strangers), content
    body = b"".join(
        struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))
        for kind, content in chunks
    )
    return sample[:8] + body


def _chunks(image: bytes) -> list[tuple[int, int]]:
    """Where the chunks of a PNG file begin, and their sizes."""
    found, at = [], 8
    while at < len(image):
        size = int.from_bytes(image[at : at + 4], "big")
        found.append((at, size))
        at += size + 12
    return found

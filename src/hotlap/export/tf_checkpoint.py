"""Read TensorFlow 1 checkpoints without TensorFlow: an index of variables, and their raw values.

The ``.index`` file is an uncompressed table of LevelDB's: blocks of keys with shared prefixes, an index of the blocks,
and a footer. Its values say where in the ``.data`` file a variable lies. Every value is checked against the checksum
that was written with it.

Source: tensorflow, `core/lib/io/{format,block}.cc`, `core/protobuf/tensor_bundle.proto`; LevelDB,
`doc/table_format.md`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np

from hotlap.bounded import MalformedError
from hotlap.checksum import crc32c, masked
from hotlap.errors import RecordError
from hotlap.export.graph import DTYPES, MAX_ELEMENTS, shape_of
from hotlap.export.wire import Budget, fields, integer, varint, view

MAX_INDEX_BYTES: Final = 4 << 20  # the original's has a kilobyte
_MAX_FIELDS: Final = 500_000
_FOOTER: Final = 48
_MAGIC: Final = bytes.fromhex("57fb808b247547db")
_TRAILER: Final = 5  # of a block: kind of compression, checksum


@dataclass(frozen=True)
class Entry:
    """Where a variable lies in the ``.data`` file."""

    dtype: np.dtype | None
    """None: of a type that no policy has."""
    shape: tuple[int, ...]
    offset: int
    size: int
    """Bytes."""
    crc: int


class TfCheckpoint:
    """A checkpoint's variables.

    Args:
        index: The ``.index`` file.
        data: The one ``.data-00000-of-00001`` file.
        source: What messages call the checkpoint.

    Raises:
        RecordError: If the index is damaged, or describes a checkpoint in several parts.
    """

    def __init__(self, index: Path, data: Path, source: str) -> None:
        self.data = data
        self.source = source
        with index.open("rb") as file:
            content = file.read(MAX_INDEX_BYTES + 1)
        self.entries = read_index(content, f"{source}.index")
        self._values: dict[str, np.ndarray] = {}

    def __getitem__(self, name: str) -> np.ndarray:
        """Value of a variable.

        Raises:
            MalformedError: If there is none of that name, or it is damaged.
        """
        if name not in self._values:
            self._values[name] = self._read(name)
        return self._values[name]

    def _read(self, name: str) -> np.ndarray:
        entry = self.entries.get(name)
        if entry is None or entry.dtype is None:
            raise MalformedError(f"the checkpoint {self.source} has no numbers for the variable {name[:200]!r}")
        with self.data.open("rb") as file:
            file.seek(entry.offset)
            content = file.read(entry.size)
        if len(content) != entry.size or masked(crc32c(content)) != entry.crc:
            raise MalformedError(f"the variable {name[:200]!r} in {self.source} is damaged or cut short")
        return np.frombuffer(content, entry.dtype).reshape(entry.shape)


def read_index(content: bytes, source: str) -> dict[str, Entry]:
    """The variables of an ``.index`` file, by their names.

    Raises:
        RecordError: If it is damaged, or describes a checkpoint in several parts; names ``source``.
    """
    try:
        if len(content) > MAX_INDEX_BYTES:
            raise MalformedError(f"it is larger than {MAX_INDEX_BYTES >> 20} MiB")
        return _entries(memoryview(content))
    except MalformedError as error:
        raise RecordError(
            f"{source}: this is not the index of a TensorFlow checkpoint: {error}. Expected N_Step-S.ckpt.index as "
            "DeepRacer leaves it, with N_Step-S.ckpt.data-00000-of-00001 beside it; copy both again."
        ) from None


def _entries(table: memoryview) -> dict[str, Entry]:
    if len(table) < _FOOTER or bytes(table[-len(_MAGIC) :]) != _MAGIC:
        raise MalformedError("its end is not that of a table")
    budget = Budget(_MAX_FIELDS, "fields")
    footer = table[-_FOOTER:]
    position = 0
    for _ in range(2):  # past the handle of a block that is not used
        _, position = varint(footer, position)
    entries: dict[str, Entry] = {}
    header_seen = False
    for _, block in _block(table, footer[position:], budget):
        for key, value in _block(table, block, budget):
            if not key:
                _check_header(value, budget)
                header_seen = True
            else:
                try:
                    name = key.decode()
                except UnicodeDecodeError:
                    raise MalformedError("a variable's name is not UTF-8 text") from None
                entries[name] = _entry(value, budget)
    if not header_seen:
        raise MalformedError("it has no header")
    return entries


def _block(table: memoryview, handle: memoryview, budget: Budget) -> Iterator[tuple[bytes, memoryview]]:
    """Keys and values of the block that a handle points at."""
    offset, position = varint(handle, 0)
    size, _ = varint(handle, position)
    if offset + size + _TRAILER > len(table):
        raise MalformedError("a block lies outside of it")
    block, trailer = table[offset : offset + size], table[offset + size : offset + size + _TRAILER]
    if trailer[0] != 0:
        raise MalformedError("it is compressed, which TensorFlow's checkpoints are not")
    if masked(crc32c(bytes(block) + bytes(trailer[:1]))) != int.from_bytes(trailer[1:], "little"):
        raise MalformedError("a block in it does not match its checksum")
    num_restarts = int.from_bytes(block[-4:], "little")
    end = len(block) - 4 - 4 * num_restarts
    if len(block) < 4 or end < 0:
        raise MalformedError("a block in it is damaged")
    key, position = b"", 0
    while position < end:
        budget.spend()
        shared, position = varint(block, position)
        unshared, position = varint(block, position)
        length, position = varint(block, position)
        if shared > len(key) or position + unshared + length > end or shared + unshared > 4096:
            raise MalformedError("a block in it is damaged")
        key = key[:shared] + bytes(block[position : position + unshared])
        position += unshared
        yield key, block[position : position + length]
        position += length


def _check_header(message: memoryview, budget: Budget) -> None:
    values = {number: value for number, value in fields(message, budget) if number in (1, 2)}
    if integer(values.get(1, 0)) != 1 or integer(values.get(2, 0)) != 0:
        raise MalformedError("its checkpoint is in several parts, or of a big-endian machine")


def _entry(message: memoryview, budget: Budget) -> Entry:
    numbers = {1: 0, 3: 0, 4: 0, 5: 0}
    shape: tuple[int, ...] = ()
    crc = 0
    for number, value in fields(message, budget):
        if number in numbers:
            numbers[number] = integer(value)
        elif number == 2:
            shape = shape_of(view(value), budget)
        elif number == 6:
            crc = int.from_bytes(view(value), "little")
        elif number == 7:
            raise MalformedError("a variable in it is divided into slices")
    dtype = DTYPES.get(numbers[1])
    if numbers[3] != 0 or numbers[4] < 0 or numbers[5] < 0 or min(shape, default=0) < 0:
        raise MalformedError("a variable in it has an impossible place")
    too_large = math.prod(max(size, 1) for size in shape) > MAX_ELEMENTS
    if dtype is not None and (too_large or math.prod(shape) * dtype.itemsize != numbers[5]):
        raise MalformedError(f"a variable of shape {list(shape)} has {numbers[5]} bytes")
    return Entry(dtype, shape, numbers[4], numbers[5], crc)

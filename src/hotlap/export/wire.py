"""The wire format of protobuf messages, as far as TensorFlow's graphs and checkpoints use it.

Written by hand although tensorboard brings protobuf classes of a graph (measured with tensorboard 2.21, protobuf 7.36):

- They read a stranger's file without bounds: 16 MiB of empty nodes became 897 MiB of objects, 64 MiB became 3.6 GiB.
  A limit needs a look at the wire before they are let loose, which is this reader.
- A checkpoint's index has no class in any package but TensorFlow, so a reader is needed anyway. The writer is 20 lines.
- They would cost 80 MB beside numpy and 30 to 60 ms at import; these lines cost nothing.

The tests compare with those classes where they are installed, and with OpenVINO and TensorFlow.

Source: https://protobuf.dev/programming-guides/encoding
"""

from __future__ import annotations

from collections.abc import Iterator

from hotlap.bounded import MalformedError

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5

Value = int | memoryview
"""Of a field: an integer (varint), or the bytes of anything else."""


class Budget:
    """How much a stranger's file may still make us do."""

    def __init__(self, amount: int, what: str) -> None:
        self.left = amount
        self.what = what

    def spend(self, amount: int = 1) -> None:
        self.left -= amount
        if self.left < 0:
            raise MalformedError(f"it has more {self.what} than any such file needs")


def fields(message: memoryview, budget: Budget) -> Iterator[tuple[int, Value]]:
    """Number and value of each field of a message, in their order in the file.

    Raises:
        MalformedError: If the bytes are no message, or the budget of fields is spent.
    """
    position = 0
    while position < len(message):
        budget.spend()
        key, position = varint(message, position)
        kind = key & 7
        if kind == VARINT:
            value, position = varint(message, position)
            yield key >> 3, value
            continue
        if kind == BYTES:
            length, position = varint(message, position)
        elif kind in (FIXED32, FIXED64):
            length = 4 if kind == FIXED32 else 8
        else:
            raise MalformedError(f"a field has the unknown wire type {kind}")
        if length > len(message) - position:
            raise MalformedError("it ends in the middle of a field")
        yield key >> 3, message[position : position + length]
        position += length


def varint(data: memoryview, position: int) -> tuple[int, int]:
    """An unsigned integer of 64 bits at ``position``, and the position behind it."""
    value = 0
    for index in range(10):
        if position + index >= len(data):
            raise MalformedError("it ends in the middle of a number")
        byte = data[position + index]
        value |= (byte & 0x7F) << (7 * index)
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, position + index + 1
    raise MalformedError("a number has more than 64 bits")


def view(value: Value) -> memoryview:
    """A field that must hold bytes."""
    if isinstance(value, int):
        raise MalformedError("a field holds a number where bytes were expected")
    return value


def text(value: Value) -> str:
    """A field that must hold UTF-8 text."""
    try:
        return bytes(view(value)).decode()
    except UnicodeDecodeError:
        raise MalformedError("a name is not UTF-8 text") from None


def integer(value: Value) -> int:
    """A field that must hold a signed integer."""
    if not isinstance(value, int):
        raise MalformedError("a field holds bytes where a number was expected")
    return value - (1 << 64) if value >> 63 else value


def integers(value: Value, budget: Budget) -> Iterator[int]:
    """One element of a repeated field of signed integers, or all of them packed."""
    if isinstance(value, int):
        yield integer(value)
        return
    position = 0
    while position < len(value):
        budget.spend()
        number, position = varint(value, position)
        yield integer(number)


def encode_varint(value: int) -> bytes:
    """An integer of 64 bits; negative ones in two's complement."""
    value &= 0xFFFF_FFFF_FFFF_FFFF
    encoded = bytearray()
    while value >= 0x80:
        encoded.append(value & 0x7F | 0x80)
        value >>= 7
    encoded.append(value)
    return bytes(encoded)


def encode_field(number: int, value: int | bytes | str) -> bytes:
    """A field of a message: an integer, bytes (also those of a message), or text."""
    if isinstance(value, int):
        return encode_varint(number << 3 | VARINT) + encode_varint(value)
    content = value.encode() if isinstance(value, str) else value
    return encode_varint(number << 3 | BYTES) + encode_varint(len(content)) + content

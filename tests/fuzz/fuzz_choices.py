"""Decisions taken from random bytes, and edits of bytes that take them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

Item = TypeVar("Item")

LONGEST = 120  # bytes of a program

_TELLING = (b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"\xff" * 4, b"\xff" * 9 + b"\1", b"\0" * 8, b"7" * 11)


class Choices:
    """Decisions taken from a program of bytes, which hypothesis draws and shrinks faster than many numbers.

    When it is used up every decision is the first one, so that the edits of a short program are few.
    """

    def __init__(self, program: bytes) -> None:
        self.left = program

    def __bool__(self) -> bool:
        return bool(self.left)

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1."""
        size = 1 if limit <= 256 else 3
        taken, self.left = self.left[:size], self.left[size:]
        return int.from_bytes(taken, "little") % limit

    def of(self, values: Sequence[Item]) -> Item:
        """One of ``values``."""
        return values[self.below(len(values))]

    def bytes(self) -> bytes:
        """A few bytes that readers stumble over, or any."""
        if self.below(2):
            return self.of(_TELLING)
        size = 1 + self.below(8)
        taken, self.left = self.left[:size], self.left[size:]
        return taken


def mutated(sample: bytes, choices: Choices, *, most: int = 6) -> bytes:
    """``sample`` after some edits of its bytes."""
    data = bytearray(sample)
    for _ in range(1 + choices.below(most) if most else 0):
        if not choices:
            break
        at = choices.below(len(data) + 1)
        kind = choices.below(6)
        if kind == 0:
            content = choices.bytes()
            data[at : at + len(content)] = content
        elif kind == 1:
            data[at:at] = choices.bytes()
        elif kind == 2:
            del data[at : at + 1 + choices.below(32)]
        elif kind == 3:
            data[at:at] = data[at : at + 1 + choices.below(64)] * 2
        elif kind == 4 and at < len(data):
            data[at] ^= 1 << choices.below(8)
        elif kind == 5 and choices.below(4) == 0:
            del data[at:]
    return bytes(data)


def sometimes_mutated(content: bytes, choices: Choices) -> bytes:
    """``content``, of which a third is damaged on top of what its grammar did to it."""
    return mutated(content, choices, most=3) if choices.below(3) == 1 else content

"""Valid files with mistakes in them, and a runner that lets a reader meet many of them."""

from __future__ import annotations

import os
import sys
import tracemalloc
from collections.abc import Callable, Sequence
from typing import Any

import psutil
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from hotlap.errors import HotlapError
from hotlap.export.wire import MalformedError

FEW = int(os.environ.get("HOTLAP_FUZZ_FEW", "150"))
MANY = int(os.environ.get("HOTLAP_FUZZ_MANY", "100000"))
MAX_PEAK = 400 << 20  # bytes; the samples have a few thousand

_TELLING = (b"\0", b"\1", b"\x7f", b"\x80", b"\xff", b"\xff" * 4, b"\xff" * 9 + b"\1", b"\0" * 8, b"7" * 11)


class Choices:
    """Decisions taken from random bytes; hypothesis draws one string faster than many numbers, and shrinks it."""

    def __init__(self, program: bytes) -> None:
        self.left = program

    def __bool__(self) -> bool:
        return bool(self.left)

    def below(self, limit: int) -> int:
        """A number from 0 to ``limit`` - 1."""
        size = 1 if limit <= 256 else 3
        taken, self.left = self.left[:size], self.left[size:]
        return int.from_bytes(taken, "little") % limit

    def of(self, values: Sequence[Any]) -> Any:
        """One of ``values``."""
        return values[self.below(len(values))]

    def bytes(self) -> bytes:
        """A few bytes that readers stumble over, or any."""
        if self.below(2):
            return self.of(_TELLING)
        size = 1 + self.below(8)
        taken, self.left = self.left[:size], self.left[size:]
        return taken


PROGRAMS = st.binary(min_size=4, max_size=40).map(Choices)


def mutated(sample: bytes, choices: Choices, *, most: int = 6) -> bytes:
    """``sample`` after some edits."""
    data = bytearray(sample)
    for _ in range(most):
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


def fuzz(
    inputs: st.SearchStrategy[Any], attack: Callable[[Any], None], num_examples: int, *, weigh: bool = True
) -> dict[str, int]:
    """Let ``attack`` read ``num_examples`` inputs.

    Whatever is raised but our own errors goes through; an input that takes forever meets the time limit of the test.

    Args:
        inputs: What it reads.
        attack: Reads.
        num_examples: How many.
        weigh: Measure what each input takes of memory, which makes it several times slower; otherwise the process as
            a whole must not grow by more.

    Returns:
        How many were read and how many refused.
    """
    counts = {"read": 0, "refused": 0}
    before = _most_memory()

    @settings(
        max_examples=num_examples,
        deadline=None,
        database=None,
        phases=(Phase.generate, Phase.shrink),
        suppress_health_check=list(HealthCheck),
    )
    @given(inputs)
    def meet(value: Any) -> None:
        tracemalloc.reset_peak()
        try:
            attack(value)
            counts["read"] += 1
        except (HotlapError, MalformedError):
            counts["refused"] += 1
        peak = tracemalloc.get_traced_memory()[1]
        assert peak < MAX_PEAK, f"{peak >> 20} MiB at once"

    if weigh:
        tracemalloc.start()
    try:
        meet()
    finally:
        tracemalloc.stop()
    grown = _most_memory() - before
    assert weigh or grown < MAX_PEAK, f"{grown >> 20} MiB more"
    return counts


def _most_memory() -> int:
    """Bytes that this process has ever had; where the system does not say, what it has now."""
    if sys.platform == "linux":
        import resource

        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss << 10
    return psutil.Process().memory_info().rss

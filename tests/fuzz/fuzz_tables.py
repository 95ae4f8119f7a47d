"""Traces and other tables as CSV: cells that are no numbers or numbers beyond all, columns gone, doubled or moved."""

from __future__ import annotations

import gzip
from collections.abc import Callable

from fuzz_choices import Choices, mutated, sometimes_mutated

CELLS = (
    "",
    "nan",
    "inf",
    "-1",
    "1e999",
    "1e15",
    "-1e18",
    "9" * 400,
    "0x10",
    "1_0",
    "\u0663",
    "True",
    "in_progress",
    "prepare",
    '"',
    '"a,b"',
    '"a\nb"',
    "[1.5, 2.0]",
    "[-21.59",
    "\0",
    "\x1b[31m",
    "\r",
    "\u2028",
    "../../etc/passwd",
    "a" * 3000,
    "b" * 140_000,
)


def odd_table(sample: bytes) -> Callable[[Choices], bytes]:
    """A maker of files like ``sample``."""

    def make(choices: Choices) -> bytes:
        if choices.below(4) == 3:
            return mutated(sample, choices)
        rows = [line.split(",") for line in sample.decode().splitlines()]
        for _ in range(1 + choices.below(3)):
            if not choices or not rows:
                break
            _edit(rows, choices)
        end = choices.of(("\n", "\n", "\n", "\r\n", "\r", "\n\n"))
        text = choices.of(("", "", "", "\ufeff")) + end.join(map(",".join, rows)) + end
        return sometimes_mutated(text.encode("utf-8", "surrogatepass"), choices)

    return make


def zipped(make: Callable[[Choices], bytes]) -> Callable[[Choices], bytes]:
    """A maker of the same files in gzip, which may be damaged as well."""

    def make_zipped(choices: Choices) -> bytes:
        return sometimes_mutated(gzip.compress(make(choices), 1), choices)

    return make_zipped


def _edit(rows: list[list[str]], choices: Choices) -> None:
    """Change a cell, a row or a column."""
    row, kind = choices.below(len(rows)), choices.below(8)
    column = choices.below(max(len(rows[row]), 1))
    if kind <= 2 and rows[row]:
        rows[row][column] = choices.of(CELLS)
    elif kind == 3:
        del rows[row][column : column + 1]
    elif kind == 4:
        rows[row].insert(column, choices.of((rows[0][column % len(rows[0])] if rows[0] else "", *CELLS)))
    elif kind == 5:
        for each in rows:
            if column < len(each):
                each[column] = choices.of(CELLS) if choices.below(2) and each is not rows[0] else each[column]
    elif kind == 6:
        rows[row:row] = [list(each) for each in rows[: 1 + choices.below(4)]]
    elif choices.below(2):
        for each in rows:
            del each[column : column + 1]
    else:
        rows[row] = rows[row] * (1 + choices.below(200))

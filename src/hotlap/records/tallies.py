"""What all evaluation laps of a checkpoint have brought so far; later laps add up.

The file ``metrics/checkpoints.jsonl`` is our own. Whenever a checkpoint has driven, a line with its tally is added; its
last line counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import Field, FiniteFloat, StringConstraints

from hotlap.records.events import IterationRecord
from hotlap.records.log_file import RecordLog, read_lines
from hotlap.records.store import Store
from hotlap.records.typed_json import parse_record

TALLIES = "metrics/checkpoints.jsonl"
MAX_LINE = 1 << 18  # bytes; twenty thousand clean laps need half of it

_Count = Annotated[int, Field(ge=0, lt=1 << 53)]


@dataclass(frozen=True)
class Moments:
    """Sums over laps, from which a mean and its error follow."""

    total: FiniteFloat = 0.0
    squares: FiniteFloat = 0.0

    def plus(self, values: Sequence[float]) -> Moments:
        """With further values."""
        return Moments(
            math.fsum((self.total, *values)), math.fsum((self.squares, *(value * value for value in values)))
        )


@dataclass(frozen=True)
class Tally:
    """The evaluation laps of one checkpoint."""

    checkpoint: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}_Step-[0-9]{1,18}\.ckpt$")]
    """As in the index, ``{N}_Step-{S}.ckpt``."""

    num_sets: _Count = 0
    """Sets of cars that it has driven: 0, 1, … up to this number, the same for every checkpoint."""

    num_laps: _Count = 0
    clean_laps: _Count = 0

    clean_times_ms: tuple[_Count, ...] = ()
    """Times of the clean laps."""

    progress: Moments = Moments()
    """Of the progress at the end [%]."""
    reward: Moments = Moments()
    """Of the sum of rewards."""
    laptime: Moments = Moments()
    """Of the lap time [ms], 999,999 for a lap that was not finished."""

    def __post_init__(self) -> None:
        if self.clean_laps > self.num_laps:
            raise ValueError(f"{self.clean_laps} of {self.num_laps} laps cannot be clean")

    @property
    def clean_rate(self) -> float:
        """Share of clean laps, 0-1."""
        return self.clean_laps / self.num_laps if self.num_laps else 0.0

    def mean(self, moments: Moments) -> float:
        """Of one of the sums."""
        return moments.total / self.num_laps if self.num_laps else 0.0


@dataclass(frozen=True)
class _Line:
    iteration: _Count
    tally: Tally


class TallyLog(RecordLog[_Line]):
    """The file of a training.

    Args:
        store: Where the model lies.
        num_iterations: Keep what was driven in so many iterations and drop the rest; 0 begins anew, None changes
            nothing, which is for readers.
        kept: Bytes of the lines that stay, if that is known: then none of them is read.
    """

    KEY = TALLIES

    def __init__(self, store: Store, *, num_iterations: int | None = None, kept: int | None = None) -> None:
        super().__init__(store, num_iterations, lambda line: line.iteration < (num_iterations or 0), kept)

    def of_best(self, records: Sequence[IterationRecord]) -> Tally | None:
        """That of the best checkpoint, by the last mark in the records; None if it is not known.

        Raises:
            RecordError: If the file cannot be read, or is none.
        """
        best = next((record.checkpoint for record in reversed(records) if record.is_best), None)
        return self.read().get(best) if best else None

    def append(self, tallies: Sequence[Tally], iteration: int) -> None:
        """Add what checkpoints have driven until now.

        Raises:
            RecordError: If it could not be written.
        """
        self._add([_Line(iteration, tally) for tally in tallies])

    def read(self) -> dict[str, Tally]:
        """The last tally of each checkpoint, by its name; empty if there is no file.

        Raises:
            RecordError: If it cannot be read, or is none.
        """
        return last_tallies(self._records())

    @staticmethod
    def _parse(data: bytes) -> list[_Line]:
        return parse_tallies(data)

    @staticmethod
    def _line(record: _Line) -> str:
        return json.dumps(asdict(record))


def parse_tallies(data: bytes) -> list[_Line]:
    """All whole lines of such a file, in order.

    Raises:
        RecordError: If so many are damaged that it is none.
    """
    return read_lines(data, TALLIES, lambda line: parse_record(_Line, line), longest=MAX_LINE)


def last_tallies(lines: Iterable[_Line]) -> dict[str, Tally]:
    """The last tally of each checkpoint, by its name."""
    return {line.tally.checkpoint: line.tally for line in lines}

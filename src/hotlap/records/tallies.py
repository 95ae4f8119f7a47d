"""What all evaluation laps of a checkpoint have brought so far; later laps add up.

The file ``metrics/checkpoints.jsonl`` is our own. Whenever a checkpoint has driven, a line with its tally is added; its
last line counts.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Annotated

from pydantic import FiniteFloat, NonNegativeInt, StringConstraints

from hotlap.records.store import Store
from hotlap.records.typed_json import parse_record

TALLIES = "metrics/checkpoints.jsonl"
MAX_BYTES = 64 << 20  # of the file; a line has less than 2 KB


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

    num_sets: NonNegativeInt = 0
    """Sets of cars that it has driven: 0, 1, … up to this number, the same for every checkpoint."""

    num_laps: NonNegativeInt = 0
    clean_laps: NonNegativeInt = 0

    clean_times_ms: tuple[NonNegativeInt, ...] = ()
    """Times of the clean laps."""

    progress: Moments = Moments()
    """Of the progress at the end [%]."""
    reward: Moments = Moments()
    """Of the sum of rewards."""
    laptime: Moments = Moments()
    """Of the lap time [ms], 999,999 for a lap that was not finished."""

    @property
    def clean_rate(self) -> float:
        """Share of clean laps, 0-1."""
        return self.clean_laps / self.num_laps if self.num_laps else 0.0

    def mean(self, moments: Moments) -> float:
        """Of one of the sums."""
        return moments.total / self.num_laps if self.num_laps else 0.0


@dataclass(frozen=True)
class _Line:
    iteration: NonNegativeInt
    tally: Tally


class TallyLog:
    """The file of a training.

    Args:
        store: Where the model lies.
        num_iterations: Keep what was driven in so many iterations and drop the rest; 0 begins anew, None changes
            nothing, which is for readers.
    """

    def __init__(self, store: Store, *, num_iterations: int | None = None) -> None:
        self.store = store
        if num_iterations is not None:
            lines = [line for line in self._lines() if line.iteration < num_iterations]
            store.put(TALLIES, "".join(_text(line) for line in lines).encode())

    def append(self, tallies: Sequence[Tally], iteration: int) -> None:
        """Add what checkpoints have driven until now.

        Raises:
            RecordError: If it could not be written.
        """
        self.store.append(TALLIES, "".join(_text(_Line(iteration, tally)) for tally in tallies).encode())

    def read(self) -> dict[str, Tally]:
        """The last tally of each checkpoint, by its name."""
        return {line.tally.checkpoint: line.tally for line in self._lines()}

    def _lines(self) -> list[_Line]:
        if not self.store.exists(TALLIES):
            return []
        lines = []
        for text in self.store.get(TALLIES)[:MAX_BYTES].decode(errors="replace").splitlines():
            try:
                lines.append(parse_record(_Line, text))
            except ValueError:  # torn by a kill
                continue
        return lines


def _text(line: _Line) -> str:
    return json.dumps(asdict(line)) + "\n"

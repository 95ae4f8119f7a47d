"""One JSON line per episode: the training episodes of an iteration, then the laps of its evaluation.

The file ``metrics/episodes.jsonl`` is our own, beside the layout of the original. The lines of an iteration's training
episodes are added together, as are those of its evaluation, each beside the traces and metrics of the same episodes. A
training that resumes drops what came after its checkpoint before it goes on.
"""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Literal

from hotlap.records.log_file import RecordLog, read_lines
from hotlap.records.store import Store
from hotlap.records.typed_json import Measured, parse_record

EPISODES = "metrics/episodes.jsonl"
MAX_LINE = 1 << 12  # bytes

Phase = Literal["training", "evaluation"]


@dataclass(frozen=True)
class EpisodeRecord:
    """One line of the file."""

    iteration: int
    """From 0. Laps of an evaluation belong to the iteration that made the checkpoint which drives them."""

    phase: Phase

    episode: int
    """Number in the whole training, from 0; in an evaluation the number of the lap, from 0."""

    worker: int
    """From 0."""

    track: str

    reverse: bool
    """Whether it was driven against the row order of the route."""

    start: float
    """Start position, as fraction of the lap."""

    seed: int
    """From which everything random in it follows."""

    steps: int
    """Control steps, that of the start included."""

    reward: Measured
    """Sum of rewards."""

    progress: Measured
    """At the end [%]."""

    status: str
    """Of the last step, as in traces: ``lap_complete``, ``off_track``, ``crashed``, …"""

    start_s: float
    """Simulation clock at the start [s]."""

    sim_s: float
    """Simulated time that it took [s]."""

    lap_time_s: float | None = None
    """Time of the lap, if it was completed [s]."""

    def to_line(self) -> str:
        """One line of JSON; a number that is not finite becomes null."""
        values = {
            name: None if isinstance(value, float) and not math.isfinite(value) else value
            for name, value in asdict(self).items()
        }
        return json.dumps(values, allow_nan=False)

    @classmethod
    def from_line(cls, line: str) -> EpisodeRecord:
        """Read a line; fields that a newer version added are ignored. Raises ValueError if it is none."""
        return parse_record(cls, line)


class EpisodeLog(RecordLog[EpisodeRecord]):
    """The file of a training's episodes.

    Args:
        store: Where the model lies.
        num_trained: Continue a training with the training episodes of so many iterations, dropping later ones.
            0 begins anew; None neither drops nor clears, which is for readers.
        num_evaluated: The same for evaluations.
        kept: Bytes of the lines that stay, if that is known: then none of them is read.
    """

    KEY = EPISODES

    def __init__(
        self, store: Store, *, num_trained: int | None = None, num_evaluated: int = 0, kept: int | None = None
    ) -> None:
        ends = {"training": num_trained or 0, "evaluation": num_evaluated}
        super().__init__(store, num_trained, lambda record: record.iteration < ends[record.phase], kept)

    def append(self, records: Sequence[EpisodeRecord]) -> None:
        """Add a line each, all together.

        Raises:
            RecordError: If they could not be written.
        """
        self._add(records)

    def read(self) -> list[EpisodeRecord]:
        """All whole lines, in order; empty if there is no file.

        Raises:
            RecordError: If it cannot be read, or is none.
        """
        return self._records()

    @staticmethod
    def _parse(data: bytes) -> list[EpisodeRecord]:
        return parse_episodes(data)

    @staticmethod
    def _line(record: EpisodeRecord) -> str:
        return record.to_line()


def parse_episodes(data: bytes) -> list[EpisodeRecord]:
    """All whole lines of an episodes file, in order.

    Raises:
        RecordError: If so many are damaged that it is none.
    """
    return read_lines(data, EPISODES, EpisodeRecord.from_line, longest=MAX_LINE)

"""One JSON line per iteration: everything a curve, a page or a progress bar shows about a training.

The file ``metrics/progress.jsonl`` is our own, beside the layout of the original. Lines are only ever added, so it can
be followed while the training runs; a line that a kill tore is dropped when the file is read or continued.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from hotlap.records.log_file import RecordLog, read_lines
from hotlap.records.store import Store
from hotlap.records.typed_json import Measured, parse_record

PROGRESS = "metrics/progress.jsonl"
MAX_LINE = 1 << 18  # bytes; a thousand workers need most of it


@dataclass(frozen=True)
class EvaluationSummary:
    """The evaluation that follows an update."""

    num_laps: int
    """Attempts, all from rest and each ended by the first mistake."""

    completion_mean: Measured
    """Mean progress at the end [%]."""

    clean_rate: Measured
    """Share of laps completed without a mistake, 0-1."""

    reward_mean: Measured
    """Mean sum of rewards."""

    lap_time_median_s: float | None = None
    """Median time of the complete laps [s]. None: there was none."""

    lap_time_best_s: float | None = None
    """Fastest complete lap [s]."""


@dataclass(frozen=True)
class WorkerSummary:
    """The episodes that one of several workers played in an iteration."""

    worker: int
    """From 0."""

    track: str
    """Where it drives."""

    num_episodes: int
    num_steps: int

    reward_mean: float | None
    """Mean sum of rewards of an episode. None: it played none, like the next."""

    completion_mean: float | None
    """Mean progress at the end of an episode [%]."""

    laps_completed: int


@dataclass(frozen=True)
class IterationRecord:
    """One line of the file. Totals count from the beginning of the training, over all resumes."""

    iteration: int
    """From 0, as in the names of traces; for people see `number`."""

    checkpoint: str
    """Name of the checkpoint that this iteration made, ``{N}_Step-{S}.ckpt``."""

    total_episodes: int
    total_steps: int

    elapsed_s: Measured
    """Wall-clock spent training so far [s]."""

    num_episodes: int
    """Episodes of this iteration; the next four are over them."""

    num_steps: int

    reward_mean: Measured
    """Mean sum of rewards of an episode."""

    completion_mean: Measured
    """Mean progress at the end of an episode [%]."""

    laps_completed: int

    lap_time_best_s: float | None = None
    """Fastest complete lap of a training episode, counted from its start position [s]."""

    evaluation: EvaluationSummary | None = None
    """None if this iteration was not evaluated."""

    is_best: bool = False
    """Whether its checkpoint became the best; a later one may have, and the run-off at the end may choose an earlier
    one: `with_best`."""

    losses: dict[str, Measured] = field(default_factory=dict)
    """By name, means over the update; what a training's learner measures (`hotlap.rl.learner.Learner.metrics`)."""

    stages_s: dict[str, Measured] = field(default_factory=dict)
    """Wall-clock of each stage by name: collect, update, checkpoint, evaluate, record [s].

    Where episodes are played beside the update, collect and evaluate are what the trainer waited for them."""

    workers: list[WorkerSummary] = field(default_factory=list)
    """By worker, where there are several."""

    @property
    def number(self) -> int:
        """By which people know this iteration: that of the checkpoint it made."""
        number = self.checkpoint.partition("_Step-")[0]
        return int(number) if re.fullmatch("[0-9]{1,9}", number) else self.iteration + 1

    def to_line(self) -> str:
        """One line of JSON; a number that is not finite becomes null."""
        return json.dumps(_finite(asdict(self)), allow_nan=False)

    @classmethod
    def from_line(cls, line: str) -> IterationRecord:
        """Read a line; fields that a newer version added are ignored. Raises ValueError if it is none."""
        return parse_record(cls, line)

    @classmethod
    def from_json(cls, data: Any) -> IterationRecord:
        """The record of what `dataclasses.asdict` made of one; see `from_line`."""
        return cls.from_line(json.dumps(data))


class ProgressLog(RecordLog[IterationRecord]):
    """The progress file of a training.

    Args:
        store: Where the model lies.
        num_iterations: Continue a training with this many finished iterations, dropping lines after them. 0 begins
            anew; None neither drops nor clears, which is for readers.
        kept: Bytes of the lines that stay, if that is known: then none of them is read.
    """

    KEY = PROGRESS

    def __init__(self, store: Store, *, num_iterations: int | None = None, kept: int | None = None) -> None:
        super().__init__(store, num_iterations, lambda record: record.iteration < (num_iterations or 0), kept)

    def append(self, record: IterationRecord) -> None:
        """Add one line.

        Raises:
            RecordError: If it could not be written.
        """
        self._add([record])

    def read(self) -> list[IterationRecord]:
        """All whole lines, in order; empty if there is no file.

        Raises:
            RecordError: If it cannot be read, or is none.
        """
        return self._records()

    @staticmethod
    def _parse(data: bytes) -> list[IterationRecord]:
        return parse_progress(data)

    @staticmethod
    def _line(record: IterationRecord) -> str:
        return record.to_line()


def parse_progress(data: bytes) -> list[IterationRecord]:
    """All whole lines of a progress file, in order.

    Raises:
        RecordError: If so many are damaged that it is none.
    """
    return read_lines(data, PROGRESS, IterationRecord.from_line, longest=MAX_LINE)


def with_best(records: Sequence[IterationRecord], best: str | None) -> list[IterationRecord]:
    """The records with the last mark of a best one at the checkpoint that is the best, as the index names it.

    Without an index, or if no record is of that checkpoint, they stay as they are.
    """
    chosen = [place for place, record in enumerate(records) if record.checkpoint == best]
    if not chosen:
        return list(records)
    return [
        replace(record, is_best=place == chosen[-1] or (record.is_best and place < chosen[-1]))
        for place, record in enumerate(records)
    ]


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _finite(each) for name, each in value.items()}
    if isinstance(value, list):
        return [_finite(each) for each in value]
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value

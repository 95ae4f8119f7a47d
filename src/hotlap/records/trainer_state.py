"""What a training run must know, beside its weights, to go on as if it had never stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Annotated, Any

from pydantic import FiniteFloat, NonNegativeInt, StringConstraints

from hotlap.bounded import load_json
from hotlap.errors import RecordError
from hotlap.records.events import IterationRecord
from hotlap.records.tallies import Tally
from hotlap.records.typed_json import parse_record

STATE_FORMAT = 2


@dataclass(frozen=True)
class BestCheckpoint:
    """The best checkpoint so far and what made it the best."""

    name: Annotated[str, StringConstraints(pattern=r"^[0-9]{1,18}_Step-[0-9]{1,18}\.ckpt$")]
    """As in the index, ``{N}_Step-{S}.ckpt``."""

    metric: float
    """Mean of the selection metric over its evaluation: percent, reward or milliseconds."""

    clean_rate: float
    """Share of clean laps in its evaluation, 0-1: decides between equal metrics."""

    lap_time_ms: float | None
    """Median lap time of its clean laps: decides between equal clean rates. None: no clean lap."""


@dataclass(frozen=True)
class TrainerState:
    """The state after the update that made a checkpoint; stored under that checkpoint's number.

    It is written before the weights are, and only weights make a checkpoint: a kill between the two writes leaves the
    previous checkpoint with its own state, and one file that nobody reads.
    """

    iteration: NonNegativeInt
    """Number of finished iterations; equal to the checkpoint's number unless the model was cloned."""

    total_steps: NonNegativeInt
    """Environment steps trained on so far."""

    num_episodes: NonNegativeInt
    """Training episodes so far; the next episode gets this number."""

    elapsed_s: FiniteFloat
    """Wall-clock spent training so far, over all resumes [s]."""

    sim_time: FiniteFloat
    """Simulation clock at the end of the last episode [s]."""

    seed: NonNegativeInt
    """The job's seed, from which each episode's own seed is made."""

    worker_episodes: tuple[NonNegativeInt, ...] = ()
    """Training episodes of each worker so far, which are the records in its metrics file; on resume later ones are
    dropped."""

    best: BestCheckpoint | None = None
    """None until the first evaluation."""

    extra: dict[str, Any] = field(default_factory=dict)
    """Whatever else the trainer needs, such as generator states; JSON values."""

    def episodes_of(self, worker: int) -> int:
        """Training episodes of a worker so far."""
        return self.worker_episodes[worker] if worker < len(self.worker_episodes) else 0

    def to_json(self) -> bytes:
        """The file's bytes; equal states give equal bytes."""
        return (json.dumps({"format": STATE_FORMAT, **asdict(self)}, indent=2, sort_keys=True) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes, *, source: str = "trainer state") -> TrainerState:
        """Read a state back.

        Raises:
            RecordError: If it is damaged or of another format; ``source`` is named in the message.
        """
        way_out = "Resume from another checkpoint, or start the training anew with --wipe."
        try:
            values = load_json(data)
            found = values.pop("format")
            if found == 1:  # there was one worker
                values["worker_episodes"] = [values.pop("num_metric_records")]
                found = STATE_FORMAT
            if found != STATE_FORMAT:
                raise RecordError(
                    f"{source} has format {ascii(found)[:60]}, this version of hotlap reads format {STATE_FORMAT}. "
                    f"{way_out}"
                )
            missing = {each.name for each in fields(cls)} - set(values) - {"best"}
            if missing:
                raise ValueError(f"it lacks {', '.join(sorted(missing))}")
            parse_record(_Extra, json.dumps(values["extra"]))
            return parse_record(cls, json.dumps(values))
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise RecordError(
                f"{source} is damaged ({error}); it should hold the state of a trainer. {way_out}"
            ) from error


@dataclass(frozen=True)
class _FirstLap:
    steps: NonNegativeInt
    elapsed_s: FiniteFloat


@dataclass(frozen=True)
class _Extra:
    """The types of what the trainer leaves in ``extra``, as far as it computes with it."""

    first_checkpoint: NonNegativeInt = 0
    goal_evaluations: NonNegativeInt = 0
    bad_evaluations: NonNegativeInt = 0
    best_completion: FiniteFloat = 0.0
    reward_mean: FiniteFloat | None = None
    log_bytes: dict[str, NonNegativeInt] = field(default_factory=dict)
    files: dict[str, str] = field(default_factory=dict)
    tallies: tuple[Tally, ...] = ()
    first_lap: _FirstLap | None = None
    record: IterationRecord | None = None
    closed: bool = False
    back_to: str | None = None
    run_off: tuple[Tally, ...] = ()
    pace: FiniteFloat | None = None
    evaluations_since_pace: NonNegativeInt = 0
    annealed_since: NonNegativeInt | None = None

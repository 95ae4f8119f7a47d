"""What a training run must know, beside its weights, to go on as if it had never stopped."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, field, fields
from typing import Any

from hotlap.errors import RecordError

STATE_FORMAT = 2


@dataclass(frozen=True)
class BestCheckpoint:
    """The best checkpoint so far and what made it the best."""

    name: str
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

    iteration: int
    """Number of finished iterations; equal to the checkpoint's number unless the model was cloned."""

    total_steps: int
    """Environment steps trained on so far."""

    num_episodes: int
    """Training episodes so far; the next episode gets this number."""

    elapsed_s: float
    """Wall-clock spent training so far, over all resumes [s]."""

    sim_time: float
    """Simulation clock at the end of the last episode [s]."""

    seed: int
    """The job's seed, from which each episode's own seed is made."""

    worker_episodes: tuple[int, ...] = ()
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
            values = json.loads(data)
            found = values.pop("format")
            if found == 1:  # there was one worker
                values["worker_episodes"] = [values.pop("num_metric_records")]
                found = STATE_FORMAT
            if found != STATE_FORMAT:
                raise RecordError(
                    f"{source} has format {found!r}, this version of hotlap reads format {STATE_FORMAT}. {way_out}"
                )
            best = values.pop("best", None)
            missing = {each.name for each in fields(cls)} - set(values) - {"best"}
            if missing:
                raise KeyError(", ".join(sorted(missing)))
            values["worker_episodes"] = tuple(values["worker_episodes"])
            return cls(**values, best=BestCheckpoint(**best) if best is not None else None)
        except (ValueError, TypeError, KeyError, AttributeError) as error:
            raise RecordError(
                f"{source} is damaged ({error}); it should hold the state of a trainer. {way_out}"
            ) from error

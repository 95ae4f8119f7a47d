"""What is known of one job."""

from __future__ import annotations

import json
import os
import socket
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime
from typing import Literal

import psutil
from pydantic import PositiveInt

from hotlap.records.typed_json import parse_record

State = Literal["starting", "running", "stopping", "finished", "failed", "lost", "unknown"]
LIVE: tuple[State, ...] = ("starting", "running", "stopping", "unknown")

_SAME_START = 2.0  # [s] the system computes a start from its clock, which may be set right later


def now() -> str:
    """The present moment as records hold it."""
    return datetime.now(UTC).isoformat(timespec="seconds")


@dataclass(frozen=True)
class ProcessId:
    """A process of this or another machine; numbers are used again, so its start belongs to it."""

    pid: PositiveInt
    start: float
    """Seconds since 1970."""
    host: str

    @classmethod
    def own(cls) -> ProcessId:
        """Of the process that asks."""
        return cls(os.getpid(), psutil.Process().create_time(), socket.gethostname())

    @property
    def here(self) -> bool:
        """Whether it is of this machine."""
        return self.host == socket.gethostname()

    def alive(self) -> bool:
        """Whether it still runs; of another machine's process that cannot be told, and True is assumed."""
        if not self.here:
            return True
        try:
            process = psutil.Process(self.pid)
            same = abs(process.create_time() - self.start) < _SAME_START
            return same and process.status() != psutil.STATUS_ZOMBIE
        except psutil.Error:  # gone, or its number is another user's now
            return False


@dataclass(frozen=True)
class ClusterJob:
    """A job that a Ray cluster runs."""

    address: str
    """Of the cluster's head, ``http://head:8265``."""
    submission_id: str
    """Its name there."""
    output: str
    """Folder that it trains in, as the head sees it."""


@dataclass(frozen=True)
class Progress:
    """How far the training of a model has come; every field is None as long as it is not known."""

    iterations: int | None = None
    """Finished ones."""
    clean_rate: float | None = None
    """Share of clean laps in the last evaluation, 0-1."""
    best_checkpoint: str | None = None
    """Name of the best checkpoint so far."""
    best_clean_rate: float | None = None
    """Share of clean laps in all its evaluations, 0-1."""
    best_lap_time_s: float | None = None
    """Median time of its laps in the evaluation that followed its iteration [s]; None too if none was completed."""


@dataclass(frozen=True, kw_only=True)
class JobRecord(Progress):
    """One job, with what its model had come to when it had ended; the process that trains keeps it up to date.

    Of the progress nothing is known if the job finished no iteration itself.
    """

    id: str
    """A number, given in order."""
    folder: str
    """Absolute path of the model folder, or the prefix of the bucket, that is trained; of a submitted job, the folder
    that was submitted."""
    state: State = "starting"
    """``lost``: it was killed, or its machine stopped. ``unknown``: its cluster does not answer. The rest is what it
    says of itself."""
    started: str = field(default_factory=now)
    ended: str | None = None
    name: str | None = None
    """From the user's settings, such as the name of DeepRacer-for-Cloud's stack."""
    process: ProcessId | None = None
    """What trains. None before that began, and for a submitted job."""
    log: str | None = None
    """File with the output of a background job."""
    cluster: ClusterJob | None = None
    reason: str | None = None
    """Why it finished, as in `TrainingResult`, or ``interrupted``."""
    error: str | None = None
    """Why it failed."""
    iterations_before: int = 0
    """Finished iterations of the model, when the job began."""

    @property
    def live(self) -> bool:
        """Whether it has not ended, as far as is known."""
        return self.state in LIVE

    @property
    def place(self) -> str:
        """Where the model and its records are."""
        return self.cluster.output if self.cluster else self.folder

    @property
    def started_here(self) -> str:
        """When it began, by this machine's clock."""
        return f"{datetime.fromisoformat(self.started).astimezone():%Y-%m-%d %H:%M:%S}"

    def to_json(self) -> bytes:
        """The bytes of its file."""
        return (json.dumps(asdict(self), indent=2) + "\n").encode()

    @classmethod
    def from_json(cls, data: bytes) -> JobRecord:
        """Read a record; fields that a newer version added are ignored.

        Raises:
            ValueError: If it is torn or no record.
        """
        try:
            record = parse_record(cls, data)
            datetime.fromisoformat(record.started).astimezone()
        except (ValueError, OverflowError) as error:
            raise ValueError(f"not a job: {error}") from error
        return record

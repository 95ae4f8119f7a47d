"""The user's jobs on this machine: one small file each, in the folder for state."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from filelock import FileLock

from hotlap.bounded import read_bounded
from hotlap.errors import ConfigError, HotlapError, RecordError
from hotlap.jobs.record import JobRecord, ProcessId, State, now
from hotlap.records.address import absolute, is_s3
from hotlap.records.checkpoints import parse_index
from hotlap.records.events import PROGRESS, parse_progress, with_best
from hotlap.records.folder import Folder
from hotlap.records.layout import INDEX
from hotlap.records.mirrored import last_written
from hotlap.records.tallies import TALLIES, last_tallies, parse_tallies
from hotlap.user_folders import STATE_VARIABLE, state_folder

KEPT = 20  # ended jobs that are remembered
LOCK_S = 10.0

StopLevel = Literal[0, 1, 2]
"""What a job is asked to do: 0 nothing, 1 end after its iteration, 2 end at once."""


class JobRegistry:
    """Jobs by number. Any process of the user's may read it; a job's own process writes its file.

    Args:
        folder: Where it lies; default: the user's folder for state.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or state_folder() / "jobs"
        # A power cut ends the jobs as well; what they know of themselves need not outlive it.
        self._store = Folder(self.folder, sync=False)

    def add(self, folder: str | Path, **details: Any) -> JobRecord:
        """Begin the record of a job that this process starts, and forget the oldest ones that have ended.

        Args:
            folder: The model folder, or the prefix of a bucket.
            details: Further fields of `JobRecord`.

        Raises:
            RecordError: If the folder for state cannot be written to.
        """
        details = {"process": ProcessId.own()} | details
        self.jobs()  # what lost ones came to is written down before this one changes their folder
        with self._alone():
            number = str(max(self._numbers(), default=0) + 1)
            job = JobRecord(id=number, folder=absolute(folder), **details)
            self._write(job)
        for old in [each for each in self.jobs() if not each.live][:-KEPT]:
            self.drop(old.id)
        return job

    def update(self, number: str, **changes: Any) -> JobRecord:
        """Change some fields of a job's record; those of an ended one stay as they are."""
        job = self._read(number)
        if job.live or job.state == "lost":  # whoever writes is alive, whatever it looked like
            job = replace(job, **changes)
            self._write(job)
        return job

    def end_of(self, job: JobRecord, state: State) -> JobRecord:
        """Write down that somebody else's word is that a job has ended, with what it came to."""
        progress = self.progress(replace(job, state=state))
        return self.update(job.id, state=state, ended=now(), **asdict(progress))

    def drop(self, number: str) -> None:
        """Forget a job that was refused before it began."""
        for suffix in ("json", "stop"):
            self._store.delete(f"{number}.{suffix}")

    def get(self, number: str) -> JobRecord:
        """A job by its number, as it is now.

        Raises:
            ConfigError: If it is not there, or its file is torn.
        """
        job = self._read(number)
        if not job.live or job.process is None or job.process.alive():
            return job
        lost = replace(job, state="lost", **asdict(self.progress(job)))
        if job.state != "starting":  # what starts it in the background may end before the job has taken the record
            with contextlib.suppress(RecordError):  # its numbers, before another job changes them
                self._write(lost)
        return lost

    def progress(self, job: JobRecord) -> Progress:
        """How far a job has brought its model.

        Nothing is known as long as it finished no iteration itself, or if another job has used the place since.
        """
        later = (self._read_or_none(number) for number in self._numbers() if number > int(job.id))
        if job.state == "starting" or any(other and other.place == job.place for other in later):
            return Progress()
        found = progress_of(job.place)
        return found if (found.iterations or 0) > job.iterations_before else Progress()

    def jobs(self) -> list[JobRecord]:
        """All jobs as they are now, oldest first. A torn file hides its own job only."""
        jobs = []
        for number in self._numbers():
            with contextlib.suppress(ConfigError):
                jobs.append(self.get(str(number)))
        return jobs

    def matching(self, target: str) -> list[JobRecord]:
        """The jobs that a user may mean by a number, a name, or a folder, oldest first.

        Raises:
            ConfigError: If there is none.
        """
        jobs = self.jobs()
        folder = absolute(target)
        found = [job for job in jobs if job.id == target] or [
            job for job in jobs if target == job.name or folder in (job.folder, job.cluster and job.cluster.output)
        ]
        if not found:
            raise _unknown(target)
        return found

    def refuse_second(self, folder: str | Path) -> None:
        """Object to a training of a folder that a job of this machine is training.

        Raises:
            RecordError: Names that job and the way out.
        """
        for job in self.jobs():
            if job.live and job.folder == absolute(folder) and job.process and job.process.here:
                raise RecordError(
                    f"{folder} is being trained already, by job {job.id} (process {job.process.pid}) since "
                    f"{job.started_here}. Two trainings would mix their checkpoints. End the other one with "
                    f"`hotlap stop {job.id}`, wait for it, or train a copy of the folder."
                )

    def ask_to_stop(self, number: str, level: StopLevel) -> None:
        """Leave the wish for the job's process, which looks for it; a stronger one stays."""
        if level > self.stop_level(number):
            self._store.put(f"{number}.stop", str(level).encode())

    def stop_level(self, number: str) -> StopLevel:
        """The wish that was left for a job."""
        try:
            level = read_bounded(self.folder / f"{number}.stop", 16)
        except OSError:
            return 0
        return 2 if level == b"2" else 1

    def _numbers(self) -> list[int]:
        return sorted(int(path.stem) for path in self.folder.glob("*.json") if path.stem.isdecimal())

    @contextlib.contextmanager
    def _alone(self) -> Iterator[None]:
        """Let jobs that start at the same moment take different numbers."""
        try:
            with FileLock(self.folder.with_suffix(".lock"), timeout=LOCK_S):
                yield
        except OSError as error:
            cause = error.strerror or "another process holds its lock"  # then it is a timeout
            raise RecordError(
                f"the list of jobs in {self.folder} could not be written ({cause}). Set the environment "
                f"variable {STATE_VARIABLE} to a folder that this user may write to."
            ) from error

    def _read(self, number: str) -> JobRecord:
        try:
            return JobRecord.from_json(self._store.get(f"{number}.json"))
        except (RecordError, ValueError):
            raise _unknown(number) from None

    def _read_or_none(self, number: int) -> JobRecord | None:
        with contextlib.suppress(ConfigError):
            return self._read(str(number))
        return None

    def _write(self, job: JobRecord) -> None:
        self._store.put(f"{job.id}.json", job.to_json())


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
    """Median time of its clean laps in the evaluation that followed its iteration [s]."""


def progress_of(folder: str | Path) -> Progress:
    """The progress of the model in a folder, or in a bucket as far as this machine wrote there."""
    try:
        records = parse_progress(_written(folder, PROGRESS))
        tallies = last_tallies(parse_tallies(_written(folder, TALLIES)))
        index = _written(folder, INDEX)
        chosen = parse_index(index).get("best_checkpoint") if index else None
    except (HotlapError, ValueError):  # who lists jobs did not ask about these files
        return Progress()
    if not records:
        return Progress()
    evaluated = [(record, record.evaluation) for record in records if record.evaluation]
    marked = with_best(records, str(chosen.name) if chosen else None)
    best = next((each for each in reversed(marked) if each.evaluation and each.is_best), None)
    evaluation = best.evaluation if best else None
    tally = tallies.get(best.checkpoint) if best else None
    return Progress(
        iterations=records[-1].iteration + 1,
        clean_rate=evaluated[-1][1].clean_rate if evaluated else None,
        best_checkpoint=best.checkpoint if best else None,
        best_clean_rate=tally.clean_rate if tally else evaluation.clean_rate if evaluation else None,
        best_lap_time_s=evaluation.lap_time_median_s if evaluation else None,
    )


def _written(folder: str | Path, key: str) -> bytes:
    """What a training last wrote under a key, empty if nothing; no server is asked for it, nor has to be there."""
    if is_s3(folder):
        return last_written(str(folder), key) or b""
    store = Folder(folder)
    return store.get(key) if store.exists(key) else b""


def _unknown(target: str) -> ConfigError:
    return ConfigError(
        f"there is no job {target!r}. Name a job by its number or by the model folder that it trains; `hotlap jobs` "
        "lists them."
    )

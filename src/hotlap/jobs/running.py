"""The job that this process is."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from hotlap.errors import ConfigError, HotlapError, RecordError
from hotlap.jobs.record import JobRecord, ProcessId, now
from hotlap.jobs.registry import JobRegistry, StopLevel, progress_of

JOB_VARIABLE = "HOTLAP_JOB"  # number of the record that a background job was given by the command that started it


class RunningJob:
    """Keeps the record of this process's job up to date; see `running_job`."""

    def __init__(self, registry: JobRegistry, record: JobRecord) -> None:
        self.registry = registry
        self.id = record.id
        self.folder = record.folder
        self.has_begun = False

    def stop_level(self) -> StopLevel:
        """The wish of `hotlap stop`."""
        return self.registry.stop_level(self.id)

    def began(self) -> None:
        """All that the user gave has proved usable."""
        self.has_begun = True
        self.registry.update(self.id, state="running", iterations_before=progress_of(self.folder).iterations or 0)

    def stopping(self) -> None:
        """The iteration in hand is the last."""
        self._note(state="stopping")

    def finished(self, reason: str) -> None:
        """It ended as it should; ``reason`` as in `TrainingResult`."""
        self._end(state="finished", reason=reason)

    def failed(self, error: BaseException) -> None:
        """It ended by an error."""
        self._end(state="failed", error=" ".join(str(error).split()) or type(error).__name__)

    def _end(self, **changes: object) -> None:
        with contextlib.suppress(RecordError, ConfigError):  # as in _note
            changes |= asdict(self.registry.progress(self.registry.get(self.id)))
        self._note(**changes, ended=now())

    def _note(self, **changes: object) -> None:
        # The list of jobs must not spoil a training, nor hide its own error, when the disk is full or somebody tidies.
        with contextlib.suppress(RecordError, ConfigError):
            self.registry.update(self.id, **changes)


@contextmanager
def running_job(folder: str | Path, name: str | None = None) -> Iterator[RunningJob]:
    """Be a job: within this the training of ``folder`` is listed, and an exception is recorded as its end.

    What the user can mend before it began is a refusal, and the job is not listed any more.

    Raises:
        RecordError: If a job of this machine is training the folder already.
    """
    registry = JobRegistry()
    record = _given(registry)
    if record is None:
        registry.refuse_second(folder)
        record = registry.add(folder, name=name)
    job = RunningJob(registry, record)
    try:
        yield job
    except KeyboardInterrupt:
        job.finished("interrupted")
        raise
    except BaseException as error:
        if isinstance(error, HotlapError) and not job.has_begun:
            registry.drop(job.id)
        else:
            job.failed(error)
        raise


def _given(registry: JobRegistry) -> JobRecord | None:
    """The record that the starter of a background job made for it."""
    number = os.environ.pop(JOB_VARIABLE, None)  # this process's own children are no jobs
    return registry.update(number, process=ProcessId.own()) if number else None

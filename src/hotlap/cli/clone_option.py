"""``--clone``: with which model's weights a training begins."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from hotlap.cli.checkpoint_option import parse_checkpoint
from hotlap.errors import ConfigError

if TYPE_CHECKING:
    from hotlap.config.job import Job


def with_clone(job: Job, source: str | None, checkpoint: str | None) -> Job:
    """The job with what ``--clone`` and ``--clone-checkpoint`` say, if they say something.

    Raises:
        ConfigError: If the checkpoint is no such word or number, or if there is nothing to take it from.
    """
    from hotlap.records.place import absolute

    if checkpoint is not None and not (source or job.training.clone_from):
        raise ConfigError(
            f"--clone-checkpoint {checkpoint} says which checkpoint to take, but not of which model. Add --clone FROM."
        )
    return job.updated(
        training={
            "clone_from": None if source is None else absolute(source),
            "clone_checkpoint": None if checkpoint is None else parse_checkpoint(checkpoint, "--clone-checkpoint"),
        }
    )


@contextmanager
def readable_source(job: Job, place: str | Path, *, resume: bool) -> Iterator[Job]:
    """The job with a source that the trainer reads: a model of DeepRacer is imported first, into a temporary folder.

    Args:
        job: What is to be trained.
        place: Where.
        resume: A training there goes on, and needs no source any more.

    Raises:
        RecordError: If there is no model at the source.
        ConfigError: If a bucket cannot be used, or the metadata of the source are wrong.
    """
    training = job.training
    if training.clone_from is None or _is_ours(training.clone_from) or (resume and _is_ours(place)):
        yield job
        return
    from hotlap.export.importing import import_model

    with tempfile.TemporaryDirectory(prefix="hotlap-") as name:
        folder = Path(name) / "source"
        import_model(training.clone_from, folder, which=training.clone_checkpoint)
        yield job.updated(training={"clone_from": str(folder), "clone_checkpoint": "last"})


def _is_ours(place: str | Path) -> bool:
    from hotlap.records.checkpoints import CheckpointStore
    from hotlap.records.place import is_bucket_place

    return (is_bucket_place(place) or Path(place).is_dir()) and bool(CheckpointStore(place).list())

"""What a clone begins with: a model of ours, or one of DeepRacer, which is imported first."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

from hotlap.config.job import Job
from hotlap.export.importing import import_model
from hotlap.export.packed_model import packed_root, unpack_model
from hotlap.records.address import is_s3
from hotlap.records.checkpoints import CheckpointStore
from hotlap.unfinished import scratch_folder


@contextmanager
def readable_source(
    job: Job, output: str | Path, *, resume: bool, tell: Callable[[str], None] = lambda message: None
) -> Iterator[Job]:
    """The job with a source that the trainer reads.

    A model of DeepRacer is imported into a temporary folder, one of ours in an archive is unpacked there.

    Args:
        job: What is to be trained.
        output: Where, a folder or ``s3://bucket/prefix``.
        resume: A training there goes on, and needs no source any more.
        tell: Is told what the user should know of weights that were imported.

    Raises:
        RecordError: If there is no model at the source.
        ConfigError: If a bucket cannot be used, or the metadata of the source are wrong.
    """
    training = job.training
    if training.clone_from is None or _is_ours(training.clone_from) or (resume and _is_ours(output)):
        yield job
        return
    with scratch_folder() as scratch:
        folder = scratch / "source"
        if not is_s3(training.clone_from) and (root := packed_root(Path(training.clone_from))) is not None:
            unpack_model(Path(training.clone_from), root, folder)
            yield job.updated(training={"clone_from": str(folder)})
            return
        found = import_model(training.clone_from, folder, which=without_steps(training.clone_checkpoint))
        for remark in found.weights_remarks:
            tell(remark)
        yield job.updated(training={"clone_from": str(folder), "clone_checkpoint": "last"})


def _is_ours(model: str | Path) -> bool:
    return (is_s3(model) or Path(model).is_dir()) and bool(CheckpointStore(model).list())


def without_steps(which: str | int) -> Literal["best", "last"] | int:
    """The number of a checkpoint that may be given by its name; files of DeepRacer are found by numbers."""
    if isinstance(which, int):
        return which
    if which == "best":
        return "best"
    if which == "last":
        return "last"
    return int(which.partition("_")[0])

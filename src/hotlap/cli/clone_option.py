"""``--clone``: with which model's weights a training begins."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hotlap.cli.checkpoint_option import parse_checkpoint
from hotlap.errors import ConfigError

if TYPE_CHECKING:
    from hotlap.config.job import Job


def with_clone(job: Job, source: str | None, checkpoint: str | None) -> Job:
    """The job with what ``--clone`` and ``--clone-checkpoint`` say, if they say something.

    What the job says of the checkpoint is about the model that the job names, not about the one on the command line.

    Raises:
        ConfigError: If the checkpoint is no such word or number, or if there is nothing to take it from.
    """
    from hotlap.records.address import absolute

    if checkpoint is not None and not (source or job.training.clone_from):
        raise ConfigError(
            f"--clone-checkpoint {checkpoint} says which checkpoint to take, but not of which model. Add --clone FROM."
        )
    if source and checkpoint is None:
        checkpoint = "best"
    return job.updated(
        training={
            "clone_from": None if source is None else absolute(source),
            "clone_checkpoint": None if checkpoint is None else parse_checkpoint(checkpoint, "--clone-checkpoint"),
        }
    )

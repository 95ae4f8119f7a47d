"""Which model a command is about: a model folder, one in a bucket, or a folder of DeepRacer-for-Cloud with --drfc."""

from __future__ import annotations

import shlex
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hotlap.cli.output import console
from hotlap.errors import ConfigError

if TYPE_CHECKING:
    from hotlap.config.hyperparameters import Hyperparameters
    from hotlap.config.job import Job
    from hotlap.config.model_folder import ModelFolder

DrfcOption = Annotated[
    Path | None,
    typer.Option("--drfc", metavar="DIR", help="Instead of DIR: an unchanged folder of DeepRacer-for-Cloud."),
]


@dataclass(frozen=True)
class Choice:
    """A model, and how the user asked for it."""

    model: ModelFolder
    job: Job
    evaluation_job: Job
    """The job for an evaluation."""
    words: str
    """What names the model on a command line."""
    film: bool = True
    """Whether an evaluation is filmed unless the command says."""
    run_id: str | None = None
    """Number of the run among several."""
    launch_files: Mapping[str, bytes] = field(default_factory=dict)
    """Names and contents of what belongs into the model's folder before its training begins."""
    evaluation_files: Callable[[str], Mapping[str, bytes]] = lambda stamp: {}
    """The same for an evaluation, given its stamp."""
    workspace: tempfile.TemporaryDirectory[str] | None = field(default=None, repr=False)
    """Where the files of a model from a bucket lie, until this is let go."""


def choose_model(folder: str | Path | None, drfc: Path | None, *, needs_reward: bool = True) -> Choice:
    """The model in ``folder``, which may be ``s3://bucket/prefix``, or that of the ``drfc`` folder: one is given.

    Args:
        folder: A model folder, or a model in a bucket.
        drfc: A folder of DeepRacer-for-Cloud.
        needs_reward: Whether the command asks the reward function, which must be there then.

    Raises:
        ConfigError: If both or none are given, or if the folder's files are wrong.
        RecordError: If the bucket does not answer.
    """
    if (folder is None) == (drfc is None):
        raise ConfigError(
            "name one folder: DIR, a model folder, or --drfc DIR, a folder of DeepRacer-for-Cloud"
            f"{', not both' if folder else ''}."
        )
    if folder is not None:
        from hotlap.config.model_folder import ModelFolder
        from hotlap.records.place import is_bucket_place

        if is_bucket_place(folder):
            return _from_bucket(str(folder), needs_reward)
        folder = Path(folder)
        if (folder / "run.env").is_file() and not (folder / "reward_function.py").is_file():
            raise ConfigError(f"{folder}: this is a folder of DeepRacer-for-Cloud; name it as --drfc {folder}.")
        model = ModelFolder(folder, needs_reward=needs_reward)
        return Choice(model, model.job, model.job, shlex.quote(str(folder)))
    from hotlap.config.drfc import DrfcFolder

    assert drfc is not None
    read = DrfcFolder(drfc, needs_reward=needs_reward)
    choice = Choice(
        read.model,
        read.job,
        read.evaluation_job,
        f"--drfc {shlex.quote(str(drfc))}",
        read.film,
        read.run_id,
        read.launch_files(),
        read.evaluation_files,
    )
    out = console()
    if ignored := read.ignored:
        out.print(f"Without meaning here: {', '.join(ignored)}.", soft_wrap=True)
    out.print(f"What works and what differs: hotlap doctor {choice.words}", soft_wrap=True)
    return choice


def _from_bucket(address: str, needs_reward: bool) -> Choice:
    from hotlap.jobs.bucket_model import get_model
    from hotlap.records.place import BucketPlace

    workspace = tempfile.TemporaryDirectory(prefix="hotlap-")
    folder = Path(workspace.name) / "model"
    model, job = get_model(BucketPlace.parse(address), folder, needs_reward=needs_reward)
    return Choice(model, job, job, shlex.quote(address), workspace=workspace)


def warn_about_doubts(job: Job, hyperparameters: Hyperparameters) -> None:
    """Tell what a training asks for that is possible but probably not meant."""
    from hotlap.config.base import warn
    from hotlap.config.doubts import doubts

    for sentence in doubts(job, hyperparameters):
        warn(sentence)

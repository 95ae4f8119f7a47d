"""Which model a command is about: a model folder, one in a bucket, or that of a folder of DeepRacer-for-Cloud."""

from __future__ import annotations

import atexit
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hotlap.cli.console import console
from hotlap.errors import ConfigError
from hotlap.shell import quoted

if TYPE_CHECKING:
    from hotlap.config.drfc import DrfcFolder
    from hotlap.config.job import Job
    from hotlap.config.model_folder import ModelFolder

DrfcOption = Annotated[
    Path | None,
    typer.Option(
        "--drfc",
        metavar="DIR",
        help="Instead of DIR: read it as a folder of DeepRacer-for-Cloud, whatever else lies in it.",
    ),
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
    drfc: DrfcFolder | None = None
    """The folder of DeepRacer-for-Cloud that it is of, if it is of one."""
    in_bucket: bool = False
    """Whether it came from a bucket; then its files lie in a scratch folder until the command ends."""

    @property
    def place(self) -> str | Path:
        """Where the model's checkpoints and records are: its folder, or its output."""
        return self.job.training.output or self.model.path


def choose_model(
    folder: str | Path | None,
    drfc: Path | None,
    *,
    command: str = "train",
    needs_reward: bool = True,
    quiet: bool = False,
) -> Choice:
    """The model in ``folder``, or that of the ``drfc`` folder: one is given.

    Args:
        folder: A model folder, a folder of DeepRacer-for-Cloud (see `is_drfc_folder`), or s3://bucket/prefix.
        drfc: A folder that is read as one of DeepRacer-for-Cloud, whatever else lies in it.
        command: Which asks, for an error.
        needs_reward: Whether the command asks the reward function, which must be there then.
        quiet: Whether the command only looks at what a training left, and need not repeat what was told about the
            files of a folder of DeepRacer-for-Cloud.

    Raises:
        ConfigError: If both or none are given, or if the folder's files are wrong.
        RecordError: If the bucket does not answer.
    """
    if folder is not None and drfc is not None:
        raise ConfigError(f"name one folder, {quoted(folder)} or --drfc {quoted(drfc)}, not both.")
    if drfc is not None:
        return _from_drfc(drfc, f"--drfc {quoted(drfc)}", needs_reward, quiet)
    if folder is None:
        raise which_folder(command)
    from hotlap.config.drfc import is_drfc_folder
    from hotlap.config.model_folder import ModelFolder
    from hotlap.records.address import is_s3

    if is_s3(folder):
        return _from_bucket(str(folder), needs_reward)
    words = quoted(folder)
    if is_drfc_folder(folder):
        return _from_drfc(Path(folder), words, needs_reward, quiet)
    try:
        model = ModelFolder(folder, needs_reward=needs_reward)
    except ConfigError:
        if not is_trained_by_deepracer(Path(folder)):
            raise
        raise ConfigError(
            f"{folder} holds a model that DeepRacer trained. `hotlap import {words} NEW` makes a model folder of it in "
            "NEW; then name NEW instead."
        ) from None
    return Choice(model, model.job, model.job, words)


def which_folder(command: str) -> ConfigError:
    """What to say to a command that was given none."""
    return ConfigError(f"which folder? For example: `hotlap {command} models/mine`")


def is_trained_by_deepracer(folder: Path) -> bool:
    """Whether a folder holds what the original trained: a frozen graph or a checkpoint of TensorFlow."""
    from hotlap.records.layout import foreign_checkpoint

    paths = (path for pattern in ("*", "agent/*", "model/*") for path in folder.glob(pattern))
    return foreign_checkpoint(path.relative_to(folder).as_posix() for path in paths) is not None


def model_place(folder: str) -> str:
    """Where the model lies that a user means by ``folder``: there, or in that folder of DeepRacer-for-Cloud.

    Raises:
        ConfigError: If the environment files of such a folder are wrong.
    """
    from hotlap.config.drfc import is_drfc_folder
    from hotlap.records.address import is_s3

    if is_s3(folder) or not is_drfc_folder(folder):
        return folder
    with _silent():
        model = open_drfc(Path(folder)).model_path
    return str(model) if model.is_dir() else folder


def open_drfc(folder: Path, *, needs_reward: bool = True) -> DrfcFolder:
    """A folder of DeepRacer-for-Cloud, in which a track may be called as in the console only in a message.

    Raises:
        ConfigError: See `DrfcFolder`.
    """
    from hotlap.config.drfc import DrfcFolder
    from hotlap.tracks.catalog import name_behind

    return DrfcFolder(folder, needs_reward=needs_reward, track_names=name_behind)


@contextmanager
def _silent() -> Iterator[None]:
    """Without warnings about files: they were told when the model was trained."""
    from hotlap.config.base import ConfigWarning

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConfigWarning)
        yield


def _from_drfc(folder: Path, words: str, needs_reward: bool, quiet: bool) -> Choice:
    with _silent() if quiet else nullcontext():
        read = open_drfc(folder, needs_reward=needs_reward)
        model, job, evaluation_job = read.model, read.job, read.evaluation_job
    choice = Choice(
        model,
        job,
        evaluation_job,
        words,
        read.film,
        read.run_id,
        read.launch_files() if needs_reward else {},
        read.evaluation_files,
        read,
    )
    out = console()
    out.print(
        f"{folder} is a folder of DeepRacer-for-Cloud; its model lies in {read.model_path}.",
        markup=False,
        soft_wrap=True,
    )
    if needs_reward and not quiet:
        if ignored := read.ignored:
            out.print(f"Without meaning here: {', '.join(ignored)}.", markup=False, soft_wrap=True)
        out.print(f"What works and what differs: hotlap doctor {choice.words}", markup=False, soft_wrap=True)
    return choice


def _from_bucket(address: str, needs_reward: bool) -> Choice:
    from hotlap.jobs.bucket_model import get_model
    from hotlap.records.address import S3Prefix
    from hotlap.unfinished import scratch_folder

    held = ExitStack()
    atexit.register(held.close)
    folder = held.enter_context(scratch_folder()) / "model"
    model, job = get_model(S3Prefix.parse(address), folder, needs_reward=needs_reward)
    return Choice(model, job, job, quoted(address), in_bucket=True)


def check_model(model: ModelFolder, job: Job) -> None:
    """Refuse what the model's files ask for and nobody can train yet; tell what is probably not meant.

    Raises:
        ConfigError: If the files are wrong, or ask for what is not available.
    """
    from hotlap.config.availability import refuse, unavailable
    from hotlap.config.base import warn
    from hotlap.envs.cornering import speed_doubts

    refuse(unavailable(model.metadata))
    for sentence in _settings_doubts(model, job):
        warn(sentence)
    for sentence in speed_doubts(job, model.metadata):
        warn(f"{sentence} End this training now with Ctrl-C and do that first.")


def remarks_on(model: ModelFolder, job: Job) -> list[str]:
    """Sentences about what a training asks for that has no use or is probably not meant."""
    from hotlap.envs.cornering import speed_doubts

    return [*_settings_doubts(model, job), *speed_doubts(job, model.metadata)]


def _settings_doubts(model: ModelFolder, job: Job) -> list[str]:
    from hotlap.config.doubts import doubts, without_use

    return [*without_use(model.hyperparameters, model.metadata), *doubts(job, model.hyperparameters)]

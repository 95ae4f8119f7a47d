"""The model folder of a training job: made of a channel and the job's settings, kept where checkpoints survive."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from hotlap.config.files import read_json_object
from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.config.template import job_toml
from hotlap.deploy.contract import Contract
from hotlap.deploy.settings import SOURCE, Settings
from hotlap.errors import ConfigError
from hotlap.unfinished import copy_whole, is_unfinished, write_whole

REWARD: Final = "reward_function.py"
METADATA: Final = "model_metadata.json"

# Keys of the original that say where a file lies, with the names that the notebook gives these files.
_KEYS = {
    REWARD: ("reward_function_s3_source", "customer_reward_function.py"),
    METADATA: ("model_metadata_s3_key", "model/model_metadata.json"),
}

_TRACES = "-simtrace"  # folders with by far the largest files; neither an evaluation nor a further training needs them


def prepare(contract: Contract, settings: Settings) -> tuple[ModelFolder, Job]:
    """Write the model folder of this job into its checkpoint folder, over what an interrupted start of it left there.

    Of the channel's folders only Python packages are taken. Checkpoints of an earlier start stay.

    Returns:
        The folder, and the settings of the job.

    Raises:
        ConfigError: If no channel holds a model, or if a file or a setting is wrong.
    """
    channel = _channel(contract, settings)
    folder = contract.checkpoint_dir
    folder.mkdir(parents=True, exist_ok=True)
    own = {"hyperparameters.json", "job.toml", REWARD, METADATA}
    for path in sorted(channel.iterdir()):
        if path.is_file() and path.name not in own and not path.name.startswith("."):
            copy_whole(path, folder / path.name)
        elif (path / "__init__.py").is_file():  # the reward function may import it
            shutil.copytree(path, folder / path.name, copy_function=copy_whole, dirs_exist_ok=True)
    for name in (REWARD, METADATA):
        copy_whole(_find(channel, name, settings), folder / name)

    Hyperparameters.from_dict(settings.learning, source=SOURCE)  # what is wrong here must not be blamed on the file
    given = channel / "hyperparameters.json"
    learning = (read_json_object(given) if given.is_file() else {}) | settings.learning
    write_whole(folder / "hyperparameters.json", (json.dumps(learning, indent=2) + "\n").encode())

    given = channel / "job.toml"
    job = (Job.load(given) if given.is_file() else Job()).updated(source=SOURCE, **settings.job)
    write_whole(folder / "job.toml", job_toml(job).encode())
    return ModelFolder(folder), job


def not_read(settings: Settings) -> list[str]:
    """Settings that name places in S3 and have no effect, because this version reads channels only."""
    used = {key for key, _ in _KEYS.values()} | {"s3_prefix"}  # they lead to files within the channel
    if settings.clones:
        used |= {name for name in settings.places if name.startswith("pretrained_")}
    return sorted(name for name, value in settings.places.items() if value and name not in used)


def deliver(contract: Contract) -> None:
    """Copy the model folder to where SageMaker takes the model from, and its traces to the other results."""
    for file in sorted(contract.checkpoint_dir.rglob("*")):
        if not file.is_file() or is_unfinished(file.name):
            continue
        place = file.relative_to(contract.checkpoint_dir)
        root = contract.data_dir if any(part.endswith(_TRACES) for part in place.parts[:-1]) else contract.model_dir
        copy_whole(file, root / place)


def _channel(contract: Contract, settings: Settings) -> Path:
    """The channel with the model: ``training``, else ``model``, else the only one."""
    channels = contract.channels
    preferred = [name for name in ("training", "model") if name in channels]
    name = preferred[0] if preferred else next(iter(channels)) if len(channels) == 1 else None
    if name is None:
        had = f"has the channels {', '.join(sorted(channels))}" if channels else "has no input channel"
        raise ConfigError(
            f"the training job {had}, but the files of a model are needed in one: {REWARD}, {METADATA} and, if you "
            "like, hyperparameters.json, job.toml and route files. Give it a channel `training` whose S3 prefix is "
            f"such a folder{_hint(settings)}."
        )
    folder = channels[name]
    if not folder.is_dir():
        raise ConfigError(f"channel {name!r}: {folder} does not exist. Check the S3 prefix of the channel.")
    return folder


def _hint(settings: Settings) -> str:
    """For the settings of the original's notebook, which names places in S3 instead of a channel."""
    bucket, prefix = settings.places.get("s3_bucket"), settings.places.get("s3_prefix")
    return f": s3://{bucket}/{prefix}, which s3_bucket and s3_prefix name, will do" if bucket and prefix else ""


def _find(channel: Path, name: str, settings: Settings) -> Path:
    """A file of the model, where its key says or under its usual names.

    Raises:
        ConfigError: If it is not in the channel.
    """
    places = list(dict.fromkeys(_places(name, settings)))
    for place in places:
        if (channel / place).is_file():
            return channel / place
    raise ConfigError(f"the channel {channel} lacks {name}; looked for {', '.join(places)}.")


def _places(name: str, settings: Settings) -> Iterator[str]:
    key, usual = _KEYS[name]
    if given := settings.places.get(key):
        path = given.removeprefix(f"s3://{settings.places.get('s3_bucket')}/")
        path = path.removeprefix(settings.places.get("s3_prefix", "").strip("/") + "/")
        if ".." not in Path(path).parts and not path.startswith(("/", "s3:")):
            yield path
    yield name
    yield usual

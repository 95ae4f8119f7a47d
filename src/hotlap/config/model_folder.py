"""A model folder: the three files of the original and an optional job.toml."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Job
from hotlap.config.metadata import ModelMetadata
from hotlap.errors import ConfigError
from hotlap.shell import quoted

ARCHIVES = (".tar.gz", ".tgz", ".tar", ".zip")  # endings of what `hotlap import` takes


def misnamed_file(folder: Path, name: str) -> str | None:
    """The file in a folder that is probably meant to be ``name``, such as ``reward_function.py.txt``."""
    try:
        names = sorted(path.name for path in folder.iterdir() if path.is_file() and path.name != name)
    except OSError:
        return None
    return next((each for each in names if each.lower().startswith(Path(name).stem)), None)


def _no_folder(path: Path) -> ConfigError:
    if path.is_file() and path.name.lower().endswith(ARCHIVES):
        return ConfigError(
            f"{path}: this is an archive, not a model folder. `hotlap import {quoted(path)} DIR` makes a model folder "
            "of it."
        )
    what = "is a file, not a folder" if path.exists() else "does not exist"
    return ConfigError(f"{path}: the model folder {what}. `hotlap new {quoted(path)}` writes one to begin with.")


class ModelFolder:
    """Finds the files of a model and reads them when first asked for.

    Args:
        path: The folder of the model, where its training leaves everything. It holds reward_function.py,
            model_metadata.json, hyperparameters.json and perhaps job.toml, but for those that are given.
        reward_file: Instead of the folder's own.
        metadata_file: Instead of the folder's own.
        hyperparameters_file: Instead of the folder's own.
        job: Instead of the folder's job.toml.
        needs_reward: Whether the reward function must be there: a training asks it, an evaluation need not.

    Raises:
        ConfigError: If one of the three files that are needed is absent, or the folder in which they should lie.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        reward_file: Path | None = None,
        metadata_file: Path | None = None,
        hyperparameters_file: Path | None = None,
        job: Job | None = None,
        needs_reward: bool = True,
    ) -> None:
        self.path = Path(path)
        self.reward_file = reward_file or self.path / "reward_function.py"
        self.metadata_file = metadata_file or self.path / "model_metadata.json"
        self.hyperparameters_file = hyperparameters_file or self.path / "hyperparameters.json"
        self.job_file = self.path / "job.toml"
        self._job = job
        needed = [self.metadata_file, self.hyperparameters_file]
        if needs_reward:
            needed.insert(0, self.reward_file)
        if not self.path.is_dir() and any(file.parent == self.path for file in needed):
            raise _no_folder(self.path)
        missing = [file.name for file in needed if not file.is_file()]
        if missing:
            raise ConfigError(
                f"{path}: this is not a complete model folder, it lacks {' and '.join(missing)}. "
                f"{self._way_out(missing)}"
            )

    def _way_out(self, missing: Sequence[str]) -> str:
        """What to do about files that are absent."""
        misnamed = {name: found for name in missing if (found := misnamed_file(self.path, name))}
        ways = [f"Rename {found} to {name}." for name, found in misnamed.items()]
        if len(misnamed) < len(missing):
            command = f"`hotlap new {quoted(self.path)}` writes the files that are missing and leaves the others alone."
            ways.append(f"Then {command}" if ways else command)
        return " ".join(ways)

    @cached_property
    def metadata(self) -> ModelMetadata:
        return ModelMetadata.load(self.metadata_file)

    @cached_property
    def hyperparameters(self) -> Hyperparameters:
        return Hyperparameters.load(self.hyperparameters_file)

    @cached_property
    def job(self) -> Job:
        """What job.toml says; all defaults without one."""
        if self._job is not None:
            return self._job
        return Job.load(self.job_file) if self.job_file.is_file() else Job()

    def __repr__(self) -> str:
        return f"ModelFolder({str(self.path)!r})"

    def __str__(self) -> str:
        return str(self.path)

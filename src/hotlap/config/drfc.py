"""A folder of DeepRacer-for-Cloud, unchanged, as a model and a job."""

from __future__ import annotations

import itertools
import os
import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any

from hotlap.config.base import build, mistakes, overlaid, warn
from hotlap.config.drfc_environment import read_environments
from hotlap.config.drfc_variables import VARIABLES, Fate
from hotlap.config.drfc_yaml import evaluation_parameters, training_parameters
from hotlap.config.env_file import Assignment, Environment, TrackNames
from hotlap.config.files import key_lines, read_toml
from hotlap.config.job import Job, Training
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import ConfigError

_STANDARD_NAMES = {
    "DR_LOCAL_S3_REWARD_KEY": "reward_function.py",
    "DR_LOCAL_S3_MODEL_METADATA_KEY": "model_metadata.json",
    "DR_LOCAL_S3_HYPERPARAMETERS_KEY": "hyperparameters.json",
}
# The original trains until it is stopped, or until term_cond_max_episodes.
_WITHOUT_LIMITS = {"max_minutes": 0.0, "max_iterations": 0, "goal_clean_share": 0.0}


def is_drfc_folder(path: Path | str) -> bool:
    """Whether a folder is read as one of DeepRacer-for-Cloud if nobody says what it is.

    It is if it holds run.env, or system.env and experiments/, unless hotlap has trained a model in its own model/
    before, which goes on as it began.
    """
    path = Path(path)
    with_experiments = os.path.isfile(path / "system.env") and os.path.isdir(path / "experiments")
    if not os.path.isfile(path / "run.env") and not with_experiments:
        return False
    return not any((path / "model").glob("*_Step-*.safetensors"))


@dataclass(frozen=True)
class Row:
    """What becomes of a variable that is set."""

    variable: str
    text: str
    assignments: tuple[Assignment, ...]
    """Where it is set, and to what: in system.env or run.env, then in the files of workers."""


class DrfcFolder:
    """Reads the environment files, the custom files and perhaps a job.toml of a folder.

    A job.toml may stand beside run.env, or in the root, and say what the original has no variable for; where both
    speak, the variable counts.

    Args:
        path: The root of the folder, with system.env and run.env.
        needs_reward: Whether the reward function must be there: a training asks it, an evaluation need not.
        track_names: See `read_env_file`.

    Raises:
        ConfigError: Names file, line, variable, value and what is allowed, a line for each mistake.
    """

    def __init__(
        self, path: Path | str, *, needs_reward: bool = True, track_names: TrackNames = lambda called: None
    ) -> None:
        self.path = Path(path)
        self._needs_reward = needs_reward
        self.environments = read_environments(self.path, track_names)

    @property
    def bucket(self) -> Path:
        """The folder that stands for the bucket."""
        return self.path / self._text("DR_LOCAL_S3_BUCKET")

    @property
    def model_path(self) -> Path:
        """The model's folder, which need not exist yet."""
        return self.bucket / self._text("DR_LOCAL_S3_MODEL_PREFIX")

    @cached_property
    def model(self) -> ModelFolder:
        """The model; its files lie in custom_files/ or in the bucket, as in the original, or beside run.env."""
        found: dict[str, Path] = {}
        problems, missing = [], []
        for argument, name in zip(
            ("reward_file", "metadata_file", "hyperparameters_file"), _STANDARD_NAMES, strict=True
        ):
            key, standard = self._text(name), _STANDARD_NAMES[name]
            places = list(self._places(key))
            file = next((place for place in (*places, *self._beside(key, standard)) if os.path.isfile(place)), None)
            if file is None and argument == "reward_file" and not self._needs_reward:
                continue
            where = self._run.get(name)
            source = f"{where.place}: {name} = {where.value!r}" if where else f"{self.path}: {name} is not set"
            if file is None:
                problems.append(f"{source}, and there is no {' and no '.join(map(str, places))}.")
                missing.append(Path(key).name)
            else:
                if file.name != Path(key).name:
                    warn(f"{source}, and there is no such file; {file} is taken.")
                found[argument] = file
        if problems:
            names = " and ".join([", ".join(missing[:-1]), missing[-1]] if missing[1:] else missing)
            separator = "\n" if problems[1:] else " "
            raise ConfigError(
                f"{mistakes(problems)}{separator}Put {names} into {self._custom_files}, or beside run.env."
            )
        return ModelFolder(self.model_path, job=self.job, needs_reward=self._needs_reward, **found)

    @cached_property
    def job(self) -> Job:
        """How to train."""
        run = self._run
        file, own = self._job_file()
        given = self._given()
        if file is not None:
            _warn_about_vain_settings(file, own, given)
        own = {**own, "workers": ()}
        settings = overlaid(overlaid(_settings(run, given=False), own), given)
        training = settings["training"] = _WITHOUT_LIMITS | settings["training"]
        at_least = VARIABLES["DR_TRAIN_MIN_EVAL_TRIALS"].value_in(run)
        training["eval_laps"] = max(at_least, training.get("eval_laps", Training().eval_laps))
        settings["workers"] = [
            _difference(
                overlaid(overlaid(_settings(worker, given=False), own), _settings(worker, given=True))["race"],
                settings["race"],
            )
            for worker in self.environments.workers
        ]
        return build(Job, settings, source=str(file or self.environments.folder / "run.env"))

    @cached_property
    def evaluation_job(self) -> Job:
        """How to evaluate: worker 1's race, in the direction of evaluations."""
        settings = self.job.model_dump() | {"workers": ()}
        settings["race"]["reverse_dir"] = VARIABLES["DR_EVAL_REVERSE_DIRECTION"].value_in(self._run)
        settings["training"]["workers"] = 1
        return build(Job, settings, source=str(self.environments.folder / "run.env"))

    @property
    def film(self) -> bool:
        """Whether an evaluation is to be filmed."""
        return bool(VARIABLES["DR_EVAL_SAVE_MP4"].value_in(self._run))

    @property
    def run_id(self) -> str:
        """Number of the run among several."""
        return self._text("DR_RUN_ID")

    def next_model(self) -> str:
        """How to train on from the model in its place, under the name that the original would give the next one."""
        prefix = self._text("DR_LOCAL_S3_MODEL_PREFIX")
        numbered = re.fullmatch(r"(.+)-([0-9]{1,9})", prefix)
        stem, number = (numbered[1], int(numbered[2])) if numbered else (prefix, 0)
        names = (f"{stem}-{each}" for each in itertools.count(number + 1))
        free = next(name for name in names if not (self.bucket / name).exists())
        return (
            f"Begin with its weights under another name: in {self.environments.folder / 'run.env'} set "
            f"DR_LOCAL_S3_MODEL_PREFIX={free}, DR_LOCAL_S3_PRETRAINED=True and DR_LOCAL_S3_PRETRAINED_PREFIX={prefix}"
        )

    def launch_files(self) -> dict[str, bytes]:
        """What the launcher of the original leaves in the model's folder when a training begins: names and contents."""
        files = {name: text.encode() for name, text in training_parameters(self.environments).items()}
        return files | {"reward_function.py": self.model.reward_file.read_bytes()}

    def evaluation_files(self, stamp: str) -> dict[str, bytes]:
        """What the launcher leaves there when the evaluation ``stamp``, YYYYMMDDhhmmss, begins."""
        return {name: text.encode() for name, text in evaluation_parameters(self.environments, stamp).items()}

    def rows(self, fate: Fate) -> list[Row]:
        """The variables that are set and work, differ or are ignored, in the order in which they are first set."""
        found: dict[str, list[Assignment]] = {}
        for environment in (self._run, *self.environments.worker_files):
            for name, assignment in environment.items():
                found.setdefault(name, []).append(assignment)
        return [
            Row(name, VARIABLES[name].text, tuple(assignments))
            for name, assignments in found.items()
            if name in VARIABLES and VARIABLES[name].fate == fate
        ]

    @property
    def remarks(self) -> list[str]:
        """Sentences about what is not set, for whoever asks what becomes of the folder; no command need repeat them."""
        found = []
        if not self.environments.has_system:
            found.append(
                f"{self.path}: there is no system.env; the number of workers and the bucket have their defaults."
            )
        if not self.says("DR_EVAL_CHECKPOINT"):
            found.append(
                "DR_EVAL_CHECKPOINT is not set: hotlap evaluate takes the last checkpoint, as the original, unless "
                "--checkpoint says best; hotlap export takes the best."
            )
        if self.job.training.clone_from and not self.says("DR_LOCAL_S3_PRETRAINED_CHECKPOINT"):
            found.append(
                "DR_LOCAL_S3_PRETRAINED_CHECKPOINT is not set: training begins with the last checkpoint of the other "
                "model, as the original, unless --clone-checkpoint says best."
            )
        return found

    def says(self, variable: str) -> bool:
        """Whether a variable is set, or else its key in job.toml; if neither, the default of the scripts counts."""
        section, key = str(VARIABLES[variable].setting).split(".")
        return variable in self._run or key in self._job_file()[1].get(section, {})

    @property
    def ignored(self) -> list[str]:
        """Names of the variables that are set and mean nothing here."""
        return sorted(row.variable for row in self.rows("ignored"))

    @property
    def _run(self) -> Environment:
        return self.environments.run

    def _given(self) -> dict[str, Any]:
        """The tables of a job that the variables set, which a job.toml cannot change."""
        given = _settings(self._run, given=True)
        if "DR_LOCAL_S3_PRETRAINED" in self._run:
            clones = VARIABLES["DR_LOCAL_S3_PRETRAINED"].value_in(self._run)
            source = str(self.bucket / self._text("DR_LOCAL_S3_PRETRAINED_PREFIX"))
            given = overlaid(given, {"training": {"clone_from": source if clones else None}})
        return given

    def _text(self, name: str) -> str:
        text = VARIABLES[name].text_in(self._run)
        assert text is not None
        return text

    @property
    def _custom_files(self) -> Path:
        return self.environments.folder / "custom_files"

    def _places(self, key: str) -> Iterator[Path]:
        """Where the file of a key may lie: in custom_files/, which the original uploads, or in the bucket already."""
        prefix = self._text("DR_LOCAL_S3_CUSTOM_FILES_PREFIX") + "/"
        if key.startswith(prefix):
            yield self._custom_files / key.removeprefix(prefix)
        yield self.bucket / key

    def _beside(self, key: str, standard: str) -> Iterator[Path]:
        """Where it may lie else: people keep all files of an experiment beside run.env, also as in the bucket."""
        for name in (key, Path(key).name, standard):
            yield self.environments.folder / name
        yield self._custom_files / Path(key).name

    def _job_file(self) -> tuple[Path | None, dict[str, Any]]:
        """A job.toml and its tables, checked by themselves so that its mistakes are named as its own."""
        for folder in (self.environments.folder, self.path):
            file = folder / "job.toml"
            if file.is_file():
                tables = read_toml(file)
                build(Job, tables, str(file), lines=partial(key_lines, file))
                return file, tables
        return None, {}


def _settings(environment: Environment, *, given: bool) -> dict[str, Any]:
    """Tables of a job: of the variables that are set (``given``), or of the defaults of those that are not."""
    tables: dict[str, Any] = {}
    for variable in VARIABLES.values():
        if variable.setting is None or (variable.assignment_in(environment) is not None) != given:
            continue
        value = variable.value_in(environment)
        if value is not None:
            *sections, key = variable.setting.split(".")
            table = tables
            for section in sections:
                table = table.setdefault(section, {})
            table[key] = value
    return tables


def _difference(one: dict[str, Any], other: dict[str, Any]) -> dict[str, Any]:
    """The keys of ``one`` in which it differs from ``other``, also inside of its tables."""
    found = {}
    for key, value in one.items():
        if isinstance(value, dict):
            if inner := _difference(value, other.get(key, {})):
                found[key] = inner
        elif value != other.get(key):
            found[key] = value
    return found


def _warn_about_vain_settings(file: Path, own: dict[str, Any], given: dict[str, Any], path: str = "") -> None:
    """Tell which keys of job.toml a variable overrules."""
    for key, value in given.items():
        if key not in own:
            continue
        if isinstance(value, dict):
            _warn_about_vain_settings(file, own[key], value, f"{path}{key}.")
        elif own[key] != value:
            warn(f"{file}: {path}{key} = {own[key]!r} has no effect; the environment files say {value!r}.")
    if not path and own.get("workers"):
        warn(f"{file}: its [[workers]] tables have no effect; the environment files say what workers drive.")

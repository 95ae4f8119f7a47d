"""What the hyperparameters of a SageMaker job say: how to learn, settings of ours by dotted names, places in S3."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, get_args

from pydantic import TypeAdapter, ValidationError

from hotlap.config.base import Config, nearest
from hotlap.config.hyperparameters import BOOKKEEPING
from hotlap.config.job import Job
from hotlap.errors import ConfigError

SOURCE: Final = "hyperparameters of the training job"

# The notebook of the original passes one key more than its trainer reads.
PLACES: Final = BOOKKEEPING | {"reward_function_s3_source"}

_PRETRAINED = ("pretrained_s3_bucket", "pretrained_s3_prefix")
_SDK_PREFIX = "sagemaker_"  # SageMaker's own tools put their settings among those of the algorithm
_TUNER = "_tuning_objective_metric"


@dataclass(frozen=True)
class Settings:
    """Hyperparameters of a job, sorted by what they are about."""

    learning: dict[str, Any] = field(default_factory=dict)
    """Names of hyperparameters.json, and names that nobody knows."""

    job: dict[str, dict[str, Any]] = field(default_factory=dict)
    """Sections of job.toml, as `Job.updated` takes them."""

    places: dict[str, str] = field(default_factory=dict)
    """The original's bookkeeping: buckets, prefixes, keys."""

    leader_group: str | None = None
    """Instance group whose first host trains."""

    @property
    def clones(self) -> bool:
        """Whether the bookkeeping names a model to begin with, as the original reads it: bucket and prefix."""
        return all(self.places.get(name) for name in _PRETRAINED)

    def sets(self, section: str, key: str) -> bool:
        """Whether the job itself, and not only a job.toml, gives a setting."""
        return key in self.job.get(section, {})


def sort_hyperparameters(values: Mapping[str, Any]) -> Settings:
    """Sort the hyperparameters of a job; text becomes what its setting wants where that is possible.

    Raises:
        ConfigError: If a dotted name begins with an unknown section.
    """
    learning: dict[str, Any] = {}
    job: dict[str, dict[str, Any]] = {}
    places: dict[str, str] = {}
    leader_group = None
    for name, value in values.items():
        if name.startswith(_SDK_PREFIX) or name == _TUNER:
            continue
        if name == "deploy.leader_group":
            leader_group = str(value) or None
        elif name in PLACES:
            places[name] = str(value)
        elif "." in name:
            _set(job, name, value)
        else:
            learning[name] = value
    settings = Settings(learning, job, places, leader_group)
    if settings.clones:
        bucket, prefix = (places[name].strip("/") for name in _PRETRAINED)
        which = "best" if places.get("pretrained_checkpoint", "best") == "best" else "last"
        training = job.setdefault("training", {})
        training.setdefault("clone_from", f"s3://{bucket}/{prefix}")
        training.setdefault("clone_checkpoint", which)
    return settings


def _set(job: dict[str, dict[str, Any]], name: str, value: Any) -> None:
    """Put ``race.obstacles.number`` where `Job.updated` looks for it. An unknown last part is left to its check."""
    *sections, key = name.split(".")
    if sections[0] not in Job.model_fields:
        known = [*(section for section in Job.model_fields if section != "workers"), "deploy"]
        raise ConfigError(f"{SOURCE}: {name!r} begins with an unknown section. {nearest(sections[0], known)}")
    model: Any = Job
    place: dict[str, Any] = job
    for section in sections:
        model = _section(model, section)
        place = place.setdefault(section, {})
    known_field = model.model_fields.get(key) if model else None
    place[key] = _typed(value, known_field.annotation) if known_field else value


def _section(model: Any, name: str) -> Any:
    """The model of a section of ``model``; None if there is no such section."""
    found = model.model_fields.get(name) if model else None
    kinds = (found.annotation, *get_args(found.annotation)) if found else ()
    return next((kind for kind in kinds if isinstance(kind, type) and issubclass(kind, Config)), None)


def _typed(value: Any, kind: Any) -> Any:
    """Text as a value of ``kind``; as it is if it is none, for the check of the setting says that best."""
    if not isinstance(value, str):
        return value
    try:
        return TypeAdapter(kind).validate_strings(value)
    except ValidationError:
        pass
    try:
        return json.loads(value)  # a list, such as places of obstacles
    except json.JSONDecodeError:
        return value

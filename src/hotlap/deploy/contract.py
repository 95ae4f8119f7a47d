"""What SageMaker hands to a training container: folders, settings, the hosts of the job.

A variable ``SM_…`` wins over the file that says the same: SageMaker itself writes the files, its toolkits the
variables.

Source: Amazon SageMaker developer guide, "Containers with custom training algorithms";
github.com/aws/sagemaker-training-toolkit, ``ENVIRONMENT_VARIABLES.md`` and ``environment.py``.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hotlap.bounded import load_json
from hotlap.config.base import shown
from hotlap.config.files import read_json_object
from hotlap.errors import ConfigError

BASE = Path("/opt/ml")
BASE_VARIABLE = "SAGEMAKER_BASE_DIR"  # the toolkit's name for another base than /opt/ml


@dataclass(frozen=True)
class Contract:
    """One host's view of a training job."""

    hyperparameters: dict[str, Any]
    """By name; SageMaker passes text, its toolkits any JSON."""

    host: str
    """Name of this host, such as ``algo-1``."""

    hosts: tuple[str, ...]
    """Names of all hosts, in SageMaker's order."""

    groups: dict[str, tuple[str, ...]]
    """Hosts of each instance group; empty if the job has none."""

    channels: dict[str, Path]
    """Folders with input data, by the name of their channel."""

    model_dir: Path
    """What lies here at the end is the result of the job."""

    data_dir: Path
    """Results beside the model."""

    checkpoint_dir: Path
    """Kept in step with S3 while the job runs, if the job says where; restored when it is started again."""

    num_cpus: int
    """Processors of this host."""

    identity: str
    """What only the hosts of this job have in common."""

    def leader(self, group: str | None = None) -> str:
        """The host that trains: the first of all, or the first of an instance group.

        Raises:
            ConfigError: If there is no such group.
        """
        if group is None:
            return self.hosts[0]
        if not self.groups.get(group):
            known = f"Its groups: {', '.join(sorted(self.groups))}." if self.groups else "It has no instance groups."
            raise ConfigError(
                f"deploy.leader_group = {group!r}: this training job has no hosts in such a group. {known}"
            )
        return self.groups[group][0]


def base_folder(given: Path | None = None, environment: Mapping[str, str] = os.environ) -> Path:
    """The folder of the whole contract: the one that is given, or the variable's, or ``/opt/ml``."""
    return (given or Path(environment.get(BASE_VARIABLE, BASE))).absolute()


def output_folder(base: Path, environment: Mapping[str, str] = os.environ) -> Path:
    """Where the reason of a failure is left."""
    return Path(environment.get("SM_OUTPUT_DIR", base / "output"))


def read_contract(base: Path, environment: Mapping[str, str] = os.environ) -> Contract:
    """Read what this container was given; a part that is absent, as in a container started by hand, has its default.

    Args:
        base: See `base_folder`.
        environment: The variables.

    Raises:
        ConfigError: Names the file or variable, and what was expected.
    """
    inputs = Path(environment.get("SM_INPUT_DIR", base / "input"))
    config = Path(environment.get("SM_INPUT_CONFIG_DIR", inputs / "config"))
    resources = _settings("SM_RESOURCE_CONFIG", config / "resourceconfig.json", environment)
    hyperparameters = _settings("SM_HPS", config / "hyperparameters.json", environment)
    host = environment.get("SM_CURRENT_HOST", resources.get("current_host", "algo-1"))
    hosts = _list("SM_HOSTS", environment) or resources.get("hosts", [host])
    named = isinstance(hosts, list) and all(isinstance(each, str) for each in hosts)
    if not named or host not in hosts:
        raise ConfigError(
            f"{config / 'resourceconfig.json'}: current_host is {shown(host)} and hosts are {shown(hosts)}, but the "
            "present host must be one of a list of names."
        )
    return Contract(
        hyperparameters={name: _unquoted(value) for name, value in hyperparameters.items()},
        host=host,
        hosts=tuple(hosts),
        groups=_groups(resources.get("instance_groups", []), config / "resourceconfig.json"),
        channels=_channels(inputs / "data", config / "inputdataconfig.json", environment),
        model_dir=Path(environment.get("SM_MODEL_DIR", base / "model")),
        data_dir=Path(environment.get("SM_OUTPUT_DATA_DIR", output_folder(base, environment) / "data")),
        checkpoint_dir=base / "checkpoints",
        num_cpus=int(environment.get("SM_NUM_CPUS", len(os.sched_getaffinity(0)))),
        identity=environment.get("TRAINING_JOB_ARN", "") + json.dumps([hosts, hyperparameters], sort_keys=True),
    )


def _groups(groups: Any, file: Path) -> dict[str, tuple[str, ...]]:
    """Hosts by the name of their instance group.

    Raises:
        ConfigError: If they are described in another way.
    """
    try:
        return {str(group["instance_group_name"]): tuple(map(str, group["hosts"])) for group in groups}
    except (TypeError, KeyError):
        raise ConfigError(
            f"{file}: instance_groups are {shown(groups)}, but each must have an instance_group_name and a "
            "list of hosts."
        ) from None


def _channels(data: Path, file: Path, environment: Mapping[str, str]) -> dict[str, Path]:
    """Every channel and its folder.

    Raises:
        ConfigError: If a channel is a pipe.
    """
    described = _settings("SM_INPUT_DATA_CONFIG", file, environment)
    for name, description in described.items():
        if isinstance(description, dict) and description.get("TrainingInputMode") == "Pipe":
            raise ConfigError(
                f"{file}: channel {name!r} has TrainingInputMode Pipe, but a model folder is read as files. "
                'Choose "File" or "FastFile".'
            )
    present = [folder.name for folder in sorted(data.iterdir()) if folder.is_dir()] if data.is_dir() else []
    names = _list("SM_CHANNELS", environment) or list(described) or present
    return {name: Path(environment.get(f"SM_CHANNEL_{name.upper()}", data / name)) for name in names}


def _settings(variable: str, file: Path, environment: Mapping[str, str]) -> dict[str, Any]:
    """The JSON object in a variable, or else in a file; empty if neither is there."""
    if variable in environment:
        return _json(variable, environment, dict)
    return read_json_object(file) if file.is_file() else {}


def _list(variable: str, environment: Mapping[str, str]) -> list[str]:
    return _json(variable, environment, list) if variable in environment else []


def _json(variable: str, environment: Mapping[str, str], kind: type) -> Any:
    try:
        value = json.loads(environment[variable])
    except json.JSONDecodeError as error:
        raise ConfigError(f"the variable {variable} = {environment[variable]!r} is not JSON: {error}.") from None
    if not isinstance(value, kind):
        raise ConfigError(
            f"the variable {variable} holds a JSON {type(value).__name__}, but a {kind.__name__} is needed."
        )
    return value


def _unquoted(value: Any) -> Any:
    """The SageMaker SDK writes text as JSON, quotes included; other callers write it plainly."""
    if isinstance(value, str) and value.startswith('"'):
        try:
            return load_json(value)
        except ValueError:
            return value
    return value

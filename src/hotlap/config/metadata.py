"""model_metadata.json: sensors, action space, network and algorithm of a model.

Rules and defaults are those of the DeepRacer simapp, `markov/boto/s3/files/model_metadata.py`. Validators say what is
wrong in whole sentences; ``$key`` at their beginning becomes the key as the file spells it.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Annotated, Any, Final, Literal

from pydantic import (
    AfterValidator,
    BeforeValidator,
    ConfigDict,
    Field,
    ValidationError,
    ValidationInfo,
    model_validator,
)

from hotlap.config.base import Config, nearest, shown, told, warn
from hotlap.config.files import read_json_object
from hotlap.deepracer.driving import MAX_SPEED, MIN_SPEED, STEERING_LIMIT_DEG
from hotlap.deepracer.metadata_names import DENSE, NETWORKS, TRAINABLE, UNAVAILABLE, VERSIONS
from hotlap.deepracer.sensors import CAMERAS, FRONT_CAMERA, LIDAR_RANGE, LIDAR_RAYS, LIDAR_SECTORS, LIDARS, OWN_SHAPES
from hotlap.deepracer.state_values import STATE, STATES
from hotlap.errors import ConfigError

_SPACE_TYPES: Final = ("discrete", "continuous")


def _number(value: Any) -> float:
    """A finite number, given as a number or as its text."""
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        with suppress(ValueError, OverflowError):
            if math.isfinite(number := float(value)):
                return number
    raise ValueError(f"$key must be a finite number, got {shown(value)}.")


def _must(expected: str, holds: Callable[[Any], bool]) -> Callable[[Any], Any]:
    """A validator that refuses values for which ``holds`` does not."""

    def check(value: Any) -> Any:
        if not holds(value):
            raise ValueError(f"$key must {expected}, got {shown(value)}.")
        return value

    return check


def _is_object(value: Any) -> bool:
    return isinstance(value, dict | Config)


def _is_range(value: Any) -> bool:
    return isinstance(value, Config) or (isinstance(value, dict) and {"low", "high"} <= value.keys())


def _actions(space: Any) -> Any:
    if isinstance(space, dict):
        raise ValueError(
            "$key is an object with ranges, but action_space_type is 'discrete' (the default). "
            'Set "action_space_type": "continuous", or give a list of actions.'
        )
    if not isinstance(space, list | tuple) or not space:
        found = "an empty list" if space == [] else shown(space)
        raise ValueError(f'$key must be a list of at least one {{"steering_angle": …, "speed": …}}, got {found}.')
    return tuple(space)


def _version(value: Any) -> float:
    version = _number(value)
    if version not in VERSIONS:
        known = ", ".join(map(str, VERSIONS))
        raise ValueError(f'$key must be one of {known}, got {shown(value)}. New models use "5".')
    return version


def _sensor(name: str) -> str:
    known = (*CAMERAS, *LIDARS, *STATES, *OWN_SHAPES)
    if name not in known:
        raise ValueError(f"sensor {shown(name)} is unknown. {nearest(name, known)}")
    return name


def _sensor_list(sensors: Any, info: ValidationInfo) -> Any:
    if sensors == () and "version" not in info.data:  # it is wrong, and nobody knows whether it needs sensors
        return (FRONT_CAMERA,)
    if sensors == ():
        raise ValueError(f"version {info.data['version']:g} needs 'sensor', a list such as [\"{FRONT_CAMERA}\"].")
    if not isinstance(sensors, list | tuple) or not all(isinstance(sensor, str) for sensor in sensors):
        raise ValueError(f'$key must be a list of names such as ["{FRONT_CAMERA}"], got {shown(sensors)}.')
    return tuple(sensors)


def _one_camera(sensors: tuple[str, ...]) -> tuple[str, ...]:
    if len(sensors) == 1 and sensors[0] in STATES:
        return sensors
    num_cameras, num_lidars = (sum(sensor in kind for sensor in sensors) for kind in (CAMERAS, LIDARS))
    given, wrong = shown(list(sensors)), []
    if num_cameras != 1:
        wrong.append(f"sensor must name exactly one camera ({', '.join(CAMERAS)}), got {num_cameras} in {given}.")
    if num_lidars > 1:
        wrong.append(f"sensor may name at most one LiDAR ({', '.join(LIDARS)}), got {num_lidars} in {given}.")
    if wrong:
        raise ValueError(" ".join(wrong))
    return sensors


def _network(name: Any) -> Any:
    if name not in (*NETWORKS, DENSE):
        raise ValueError(f"$key is {shown(name)}. {nearest(str(name), NETWORKS)}")
    return name


def _plain(name: Any) -> Any:
    """A name in lower case and without spaces around it; anything else as it is."""
    return name.strip().lower() if isinstance(name, str) else name


def _algorithm(name: Any) -> Any:
    if _plain(name) not in (*TRAINABLE, *UNAVAILABLE):
        raise ValueError(f"$key must be {_either(TRAINABLE)}, got {shown(name)}.")
    return _plain(name)


def _either(names: Sequence[str]) -> str:
    return " or ".join(map(repr, names))


Number = Annotated[float, BeforeValidator(_number)]
WholeNumber = Annotated[int, BeforeValidator(lambda value: int(_number(value)))]


class _OfFile(Config):
    """Part of a file that may have more keys than count."""

    model_config = ConfigDict(extra="ignore")


class Action(_OfFile):
    """One entry of a discrete action space, with the numbers of the file, unclipped."""

    steering_angle: Number
    """Degrees, positive left."""

    speed: Number
    """m/s."""


class DiscreteActionSpace(Config):
    """A list of actions; the policy chooses one by its index."""

    type: Literal["discrete"] = "discrete"

    actions: Annotated[
        tuple[Annotated[Action, BeforeValidator(_must('be {"steering_angle": …, "speed": …}', _is_object))], ...],
        BeforeValidator(_actions),
    ]
    """In index order, as in the file."""

    @property
    def num_actions(self) -> int:
        return len(self.actions)


class Range(_OfFile):
    """A closed interval, low < high."""

    low: Number
    high: Number

    @model_validator(mode="after")
    def _in_order(self) -> Range:
        if self.low >= self.high:
            raise ValueError(f"$key.low must be below high, got {self.low:g} and {self.high:g}.")
        return self


RangeOfFile = Annotated[Range, BeforeValidator(_must('be {"low": …, "high": …}', _is_range))]


class ContinuousActionSpace(_OfFile):
    """Steering and speed chosen freely from two intervals; the order in an action is steering, speed."""

    type: Literal["continuous"] = "continuous"

    steering_angle: RangeOfFile
    """Degrees, positive left."""

    speed: RangeOfFile
    """m/s."""


class LidarConfig(_OfFile):
    """How DISCRETIZED_SECTOR_LIDAR encodes a scan."""

    num_sectors: Annotated[
        WholeNumber,
        AfterValidator(_must(f"divide {LIDAR_RAYS}", lambda sectors: sectors > 0 and LIDAR_RAYS % sectors == 0)),
    ] = LIDAR_SECTORS
    """Sectors of the scan; divides its 64 rays."""

    num_values_per_sector: Annotated[
        WholeNumber, AfterValidator(_must("be at least 1", lambda number: number >= 1))
    ] = 8
    """Distance classes in each sector."""

    clipping_dist: Number = 2.0
    """Metres; farther counts as nothing there."""


class ModelMetadata(_OfFile):
    """What model_metadata.json says, with every default filled in."""

    model_config = ConfigDict(validate_by_name=True)

    version: Annotated[float, BeforeValidator(_version)]
    """1 to 6; selects the vehicle."""

    sensors: Annotated[
        tuple[Annotated[str, AfterValidator(_sensor)], ...], BeforeValidator(_sensor_list), AfterValidator(_one_camera)
    ] = Field(validation_alias="sensor")
    """Exactly one camera, at most one LiDAR, in the order of the file."""

    action_space: DiscreteActionSpace | ContinuousActionSpace = Field(discriminator="type")
    """What the policy chooses from."""

    network: Annotated[str, BeforeValidator(_network)] = Field(default=NETWORKS[0], validation_alias="neural_network")
    """One of NETWORKS."""

    algorithm: Annotated[str, BeforeValidator(_algorithm)] = Field(
        default=TRAINABLE[0], validation_alias="training_algorithm"
    )
    """How the model learns."""

    lidar_config: Annotated[LidarConfig, BeforeValidator(_must("be an object", _is_object))] = LidarConfig()
    """Used by DISCRETIZED_SECTOR_LIDAR only."""

    @model_validator(mode="after")
    def _dense_without_camera(self) -> ModelMetadata:
        if self.network == DENSE and not set(self.sensors) <= set(STATES):
            raise ValueError(
                f'neural_network {DENSE} has no layers for pictures; it needs "sensor": ["{STATE}"], got '
                f"{shown(list(self.sensors))}. For a camera take {_either(NETWORKS)}."
            )
        return self

    @property
    def camera(self) -> str:
        """The camera among the sensors."""
        return next(sensor for sensor in self.sensors if sensor in CAMERAS)

    @classmethod
    def load(cls, path: Path | str) -> ModelMetadata:
        """Read an unchanged model_metadata.json (UTF-8, with or without byte order mark).

        Raises:
            ConfigError: If the file cannot be read or breaks a rule of the format.
        """
        path = Path(path)
        return cls.from_dict(read_json_object(path), source=str(path))

    @classmethod
    def from_dict(cls, data: dict[str, Any], *, source: str = "model_metadata.json") -> ModelMetadata:
        """The same from parsed JSON; ``source`` names it in errors. Unknown fields are ignored, as ever."""
        try:
            metadata = cls.model_validate(_arranged(data))
        except ValidationError as error:
            raise ConfigError(
                told(source, [_sentence(problem) for problem in error.errors(include_url=False)])
            ) from None
        _warn_beyond_limits(source, metadata)
        return metadata


def _arranged(data: dict[str, Any]) -> dict[str, Any]:
    """A file's fields as the models have them: with defaults that depend on other fields, and a typed action space."""
    fields = {"version": 2.0 if "sensor" in data else 1.0, "sensor": (), **data}
    with suppress(ValueError):
        if _number(fields["version"]) < 2.0:
            fields["sensor"] = ["observation"]
    if "action_space" in data:
        space = data["action_space"]
        given = data.get("action_space_type", "discrete")
        kind = _plain(given) if _plain(given) in _SPACE_TYPES else given
        if kind != "continuous":
            fields["action_space"] = {"type": kind, "actions": space}
        elif isinstance(space, dict):
            fields["action_space"] = {"steering_angle": None, "speed": None, **space, "type": kind}
    return fields


def _sentence(problem: Any) -> str:
    """One pydantic problem as a sentence or two."""
    parts = [part for part in problem["loc"] if part not in (*_SPACE_TYPES, "actions")]
    key = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in parts).removeprefix(".")
    match problem["type"], key:
        case "missing", "action_space":
            return '\'action_space\' is missing. Give a list of {"steering_angle": …, "speed": …} objects.'
        case "missing", _:
            entry, _, name = key.rpartition(".")
            return f"{entry} lacks {name!r}; it has {shown(sorted(problem['input']))}."
        case "union_tag_invalid" | "union_tag_not_found", _:
            return f"action_space_type must be {_either(_SPACE_TYPES)}, got {shown(problem['input']['type'])}."
        case "model_attributes_type", _:
            return (
                f"{key} must be an object with steering_angle and speed, each with low and high, because "
                f"action_space_type is 'continuous'; got a {type(problem['input']).__name__}."
            )
    sentence = str(problem["msg"]).removeprefix("Value error, ")
    return key + sentence.removeprefix("$key") if sentence.startswith("$key") else sentence


def _warn_beyond_limits(source: str, metadata: ModelMetadata) -> None:
    clipping, (nearest_m, farthest_m) = metadata.lidar_config.clipping_dist, LIDAR_RANGE
    if not nearest_m <= clipping <= farthest_m:
        warn(
            f"{source}: lidar_config.clipping_dist {clipping:g} is outside the sensor's {nearest_m:g} to "
            f"{farthest_m:g} m."
        )
    space = metadata.action_space
    if isinstance(space, DiscreteActionSpace):
        steering = [action.steering_angle for action in space.actions]
        speed = [action.speed for action in space.actions]
    else:
        steering = [space.steering_angle.low, space.steering_angle.high]
        speed = [space.speed.low, space.speed.high]
    if max(map(abs, steering)) > STEERING_LIMIT_DEG:
        beyond = max(steering, key=abs)
        warn(
            f"{source}: steering_angle {beyond:g} is executed as {math.copysign(STEERING_LIMIT_DEG, beyond):g} degrees."
        )
    if min(speed) < MIN_SPEED:
        warn(f"{source}: speed {min(speed):g} is executed as {MIN_SPEED:g} m/s.")
    if max(speed) > MAX_SPEED:
        warn(f"{source}: speed {max(speed):g} is executed as {MAX_SPEED:g} m/s.")

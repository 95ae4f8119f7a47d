"""model_metadata.json: sensors, action space, network and algorithm of a model."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from hotlap.config.base import Config, nearest, shown, told, warn
from hotlap.config.files import read_json_object
from hotlap.deepracer.driving import MAX_SPEED, MIN_SPEED, STEERING_LIMIT_DEG
from hotlap.deepracer.metadata_names import NETWORKS, TRAINABLE, UNAVAILABLE, VERSIONS
from hotlap.deepracer.sensors import CAMERAS, LIDAR_RANGE, LIDAR_RAYS, LIDAR_SECTORS, LIDARS, OWN_SHAPES
from hotlap.errors import ConfigError


class Action(Config):
    """One entry of a discrete action space, with the numbers of the file, unclipped."""

    steering_angle: float
    """Degrees, positive left."""

    speed: float
    """m/s."""


class DiscreteActionSpace(Config):
    """A list of actions; the policy chooses one by its index."""

    type: Literal["discrete"] = "discrete"

    actions: tuple[Action, ...]
    """In index order, as in the file."""

    @property
    def num_actions(self) -> int:
        return len(self.actions)


class Range(Config):
    """A closed interval, low < high."""

    low: float
    high: float


class ContinuousActionSpace(Config):
    """Steering and speed chosen freely from two intervals; the order in an action is steering, speed."""

    type: Literal["continuous"] = "continuous"

    steering_angle: Range
    """Degrees, positive left."""

    speed: Range
    """m/s."""


class LidarConfig(Config):
    """How DISCRETIZED_SECTOR_LIDAR encodes a scan."""

    num_sectors: int = LIDAR_SECTORS
    """Sectors of the scan; divides its 64 rays."""

    num_values_per_sector: int = 8
    """Distance classes in each sector."""

    clipping_dist: float = 2.0
    """Metres; farther counts as nothing there."""


class ModelMetadata(Config):
    """What model_metadata.json says, with every default filled in.

    Rules and defaults are those of the DeepRacer simapp, `markov/boto/s3/files/model_metadata.py`.
    """

    version: float
    """1 to 6; selects the vehicle."""

    sensors: tuple[str, ...]
    """Exactly one camera, at most one LiDAR, in the order of the file."""

    action_space: DiscreteActionSpace | ContinuousActionSpace
    """What the policy chooses from."""

    network: str
    """One of NETWORKS."""

    algorithm: str
    """How the model learns."""

    lidar_config: LidarConfig = LidarConfig()
    """Used by DISCRETIZED_SECTOR_LIDAR only."""

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
        problems: list[str] = []
        version = _version(problems, data)
        algorithm = _choice(problems, data, "training_algorithm", (*TRAINABLE, *UNAVAILABLE), offered=TRAINABLE)
        space_type = _choice(problems, data, "action_space_type", ("discrete", "continuous"))
        network = data.get("neural_network", NETWORKS[0])
        if network not in NETWORKS:
            problems.append(f"neural_network is {shown(network)}. {nearest(str(network), NETWORKS)}")
        space = _action_space(problems, data, space_type)
        sensors = _sensors(problems, data, version)
        lidar_config = _lidar_config(problems, source, data.get("lidar_config", {}))
        if problems or space is None or algorithm is None:
            raise ConfigError(told(source, problems))
        metadata = cls(
            version=version,
            sensors=sensors,
            action_space=space,
            network=network,
            algorithm=algorithm,
            lidar_config=lidar_config,
        )
        _warn_beyond_limits(source, metadata.action_space)
        return metadata


def _number(problems: list[str], key: str, value: Any) -> float:
    """A finite number, given as a number or as its text."""
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            pass
        else:
            if math.isfinite(number):
                return number
    problems.append(f"{key} must be a finite number, got {shown(value)}.")
    return math.nan


def _version(problems: list[str], data: dict[str, Any]) -> float:
    if "version" not in data:
        return 2.0 if "sensor" in data else 1.0
    version = _number(problems, "version", data["version"])
    if not math.isnan(version) and version not in VERSIONS:
        known = ", ".join(map(str, VERSIONS))
        problems.append(f'version must be one of {known}, got {shown(data["version"])}. New models use "5".')
    return version


def _choice(
    problems: list[str],
    data: dict[str, Any],
    key: str,
    allowed: Sequence[str],
    *,
    offered: Sequence[str] | None = None,
) -> str | None:
    """One of ``allowed`` in any case, spaces around it ignored; absent: the first. Messages name those ``offered``."""
    value = data.get(key, allowed[0])
    name = value.strip().lower() if isinstance(value, str) else ""
    if name in allowed:
        return name
    problems.append(f"{key} must be {' or '.join(map(repr, offered or allowed))}, got {shown(value)}.")
    return None


def _sensors(problems: list[str], data: dict[str, Any], version: float) -> tuple[str, ...]:
    if version < 2.0:
        return ("observation",)
    if "sensor" not in data:
        if not math.isnan(version):
            problems.append(f"version {version:g} needs 'sensor', a list such as [\"FRONT_FACING_CAMERA\"].")
        return ()
    sensors = data["sensor"]
    if not isinstance(sensors, list) or not all(isinstance(sensor, str) for sensor in sensors):
        problems.append(f'sensor must be a list of names such as ["FRONT_FACING_CAMERA"], got {shown(sensors)}.')
        return ()
    known = (*CAMERAS, *LIDARS, *OWN_SHAPES)
    if unknown := [sensor for sensor in sensors if sensor not in known]:
        problems += [f"sensor {shown(sensor)} is unknown. {nearest(sensor, known)}" for sensor in unknown]
        return ()
    num_cameras = sum(sensor in CAMERAS for sensor in sensors)
    if num_cameras != 1:
        problems.append(
            f"sensor must name exactly one camera ({', '.join(CAMERAS)}), got {num_cameras} in {shown(sensors)}."
        )
    num_lidars = sum(sensor in LIDARS for sensor in sensors)
    if num_lidars > 1:
        problems.append(
            f"sensor may name at most one LiDAR ({', '.join(LIDARS)}), got {num_lidars} in {shown(sensors)}."
        )
    return tuple(sensors)


def _action_space(
    problems: list[str], data: dict[str, Any], space_type: str | None
) -> DiscreteActionSpace | ContinuousActionSpace | None:
    """The action space; None if something in it is wrong."""
    if "action_space" not in data:
        problems.append('\'action_space\' is missing. Give a list of {"steering_angle": …, "speed": …} objects.')
        return None
    if space_type is None:
        return None  # nobody knows what it should look like
    of_space: list[str] = []
    read = _discrete if space_type == "discrete" else _continuous
    space = read(of_space, data["action_space"])
    problems += of_space
    return None if of_space else space


def _discrete(problems: list[str], space: Any) -> DiscreteActionSpace | None:
    if isinstance(space, dict):
        problems.append(
            "action_space is an object with ranges, but action_space_type is 'discrete' (the default). "
            'Set "action_space_type": "continuous", or give a list of actions.'
        )
        return None
    if not isinstance(space, list) or not space:
        problems.append(
            'action_space must be a list of at least one {"steering_angle": …, "speed": …}, '
            f"got {'an empty list' if space == [] else shown(space)}."
        )
        return None
    actions = []
    for index, entry in enumerate(space):
        if not isinstance(entry, dict):
            problems.append(f'action_space[{index}] must be {{"steering_angle": …, "speed": …}}, got {shown(entry)}.')
            continue
        values = {}
        for key in ("steering_angle", "speed"):
            if key in entry:
                values[key] = _number(problems, f"action_space[{index}].{key}", entry[key])
            else:
                problems.append(f"action_space[{index}] lacks {key!r}; it has {shown(sorted(entry))}.")
        actions.append(values)
    return None if problems else DiscreteActionSpace(actions=tuple(Action(**values) for values in actions))


def _continuous(problems: list[str], space: Any) -> ContinuousActionSpace | None:
    if not isinstance(space, dict):
        problems.append(
            "action_space must be an object with steering_angle and speed, each with low and high, because "
            f"action_space_type is 'continuous'; got a {type(space).__name__}."
        )
        return None
    ranges = {}
    for key in ("steering_angle", "speed"):
        entry = space.get(key)
        if not isinstance(entry, dict) or not {"low", "high"} <= entry.keys():
            problems.append(f'action_space.{key} must be {{"low": …, "high": …}}, got {shown(entry)}.')
            continue
        low = _number(problems, f"action_space.{key}.low", entry["low"])
        high = _number(problems, f"action_space.{key}.high", entry["high"])
        if low >= high:
            problems.append(f"action_space.{key}.low must be below high, got {low:g} and {high:g}.")
        ranges[key] = {"low": low, "high": high}
    if problems:
        return None
    return ContinuousActionSpace(steering_angle=Range(**ranges["steering_angle"]), speed=Range(**ranges["speed"]))


def _lidar_config(problems: list[str], source: str, config: Any) -> LidarConfig:
    if not isinstance(config, dict):
        problems.append(f"lidar_config must be an object, got {shown(config)}.")
        return LidarConfig()
    values: dict[str, Any] = {}
    for key in LidarConfig.model_fields:
        if key in config and math.isfinite(number := _number(problems, f"lidar_config.{key}", config[key])):
            values[key] = number if key == "clipping_dist" else int(number)
    lidar = LidarConfig(**values)
    if lidar.num_sectors <= 0 or LIDAR_RAYS % lidar.num_sectors:
        problems.append(f"lidar_config.num_sectors must divide {LIDAR_RAYS}, got {lidar.num_sectors}.")
    if lidar.num_values_per_sector < 1:
        problems.append(f"lidar_config.num_values_per_sector must be at least 1, got {lidar.num_values_per_sector}.")
    nearest_m, farthest_m = LIDAR_RANGE
    if not nearest_m <= lidar.clipping_dist <= farthest_m:
        warn(
            f"{source}: lidar_config.clipping_dist {lidar.clipping_dist:g} is outside the sensor's {nearest_m:g} to "
            f"{farthest_m:g} m."
        )
    return lidar


def _warn_beyond_limits(source: str, space: DiscreteActionSpace | ContinuousActionSpace) -> None:
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

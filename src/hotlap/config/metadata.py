"""model_metadata.json: sensors, action space, network and algorithm of a model."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any, Literal, NoReturn

from hotlap.config.base import Config, nearest, shown, warn
from hotlap.config.files import read_json_object
from hotlap.deepracer.driving import MAX_SPEED, MIN_SPEED, STEERING_LIMIT_DEG
from hotlap.deepracer.model import ALGORITHMS, NETWORKS, TRAINABLE, VERSIONS
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

    @property
    def default_index(self) -> int | None:
        """Index of the first action that steers straight; None without one."""
        return next((index for index, action in enumerate(self.actions) if action.steering_angle == 0.0), None)


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
        if "action_space" not in data:
            _fail(source, '\'action_space\' is missing. Give a list of {"steering_angle": …, "speed": …} objects.')
        version = _version(source, data)
        algorithm = _choice(source, data, "training_algorithm", tuple(dict.fromkeys((*ALGORITHMS, *TRAINABLE))))
        space_type = _choice(source, data, "action_space_type", ("discrete", "continuous"))
        if algorithm == "sac" and space_type == "discrete":
            _fail(
                source,
                "training_algorithm 'sac' needs action_space_type 'continuous', got 'discrete'. "
                "Describe the action space by low and high, or use 'clipped_ppo'.",
            )
        network = data.get("neural_network", NETWORKS[0])
        if network not in NETWORKS:
            _fail(source, f"neural_network is {shown(network)}. {nearest(str(network), NETWORKS)}")
        space = data["action_space"]
        metadata = cls(
            version=version,
            sensors=_sensors(source, data, version),
            action_space=_discrete(source, space) if space_type == "discrete" else _continuous(source, space),
            network=network,
            algorithm=algorithm,
            lidar_config=_lidar_config(source, data.get("lidar_config", {})),
        )
        _warn_beyond_limits(source, metadata.action_space)
        return metadata


def _fail(source: str, message: str) -> NoReturn:
    raise ConfigError(f"{source}: {message}")


def _number(source: str, key: str, value: Any) -> float:
    """A finite number, given as a number or as its text."""
    if not isinstance(value, bool) and isinstance(value, int | float | str):
        try:
            number = float(value)
        except (ValueError, OverflowError):
            pass
        else:
            if math.isfinite(number):
                return number
    _fail(source, f"{key} must be a finite number, got {shown(value)}.")


def _version(source: str, data: dict[str, Any]) -> float:
    if "version" not in data:
        return 2.0 if "sensor" in data else 1.0
    version = _number(source, "version", data["version"])
    if version not in VERSIONS:
        known = ", ".join(map(str, VERSIONS))
        _fail(source, f'version must be one of {known}, got {shown(data["version"])}. New models use "5".')
    return version


def _choice(source: str, data: dict[str, Any], key: str, allowed: tuple[str, ...]) -> str:
    """One of ``allowed`` in any case, spaces around it ignored; absent: the first."""
    value = data.get(key, allowed[0])
    name = value.strip().lower() if isinstance(value, str) else ""
    if name not in allowed:
        _fail(source, f"{key} must be {' or '.join(map(repr, allowed))}, got {shown(value)}.")
    return name


def _sensors(source: str, data: dict[str, Any], version: float) -> tuple[str, ...]:
    if version < 2.0:
        return ("observation",)
    if "sensor" not in data:
        _fail(source, f"version {version:g} needs 'sensor', a list such as [\"FRONT_FACING_CAMERA\"].")
    sensors = data["sensor"]
    if not isinstance(sensors, list) or not all(isinstance(sensor, str) for sensor in sensors):
        _fail(source, f'sensor must be a list of names such as ["FRONT_FACING_CAMERA"], got {shown(sensors)}.')
    for sensor in sensors:
        known = (*CAMERAS, *LIDARS, *OWN_SHAPES)
        if sensor not in known:
            _fail(source, f"sensor {shown(sensor)} is unknown. {nearest(sensor, known)}")
    num_cameras = sum(sensor in CAMERAS for sensor in sensors)
    if num_cameras != 1:
        _fail(
            source,
            f"sensor must name exactly one camera ({', '.join(CAMERAS)}), got {num_cameras} in {shown(sensors)}.",
        )
    num_lidars = sum(sensor in LIDARS for sensor in sensors)
    if num_lidars > 1:
        _fail(source, f"sensor may name at most one LiDAR ({', '.join(LIDARS)}), got {num_lidars} in {shown(sensors)}.")
    return tuple(sensors)


def _discrete(source: str, space: Any) -> DiscreteActionSpace:
    if isinstance(space, dict):
        _fail(
            source,
            "action_space is an object with ranges, but action_space_type is 'discrete' (the default). "
            'Set "action_space_type": "continuous", or give a list of actions.',
        )
    if not isinstance(space, list) or not space:
        _fail(
            source,
            'action_space must be a list of at least one {"steering_angle": …, "speed": …}, '
            f"got {'an empty list' if space == [] else shown(space)}.",
        )
    actions = []
    for index, entry in enumerate(space):
        if not isinstance(entry, dict):
            _fail(source, f'action_space[{index}] must be {{"steering_angle": …, "speed": …}}, got {shown(entry)}.')
        values = {}
        for key in ("steering_angle", "speed"):
            if key not in entry:
                _fail(source, f"action_space[{index}] lacks {key!r}; it has {shown(sorted(entry))}.")
            values[key] = _number(source, f"action_space[{index}].{key}", entry[key])
        actions.append(Action(**values))
    return DiscreteActionSpace(actions=tuple(actions))


def _continuous(source: str, space: Any) -> ContinuousActionSpace:
    if not isinstance(space, dict):
        _fail(
            source,
            "action_space must be an object with steering_angle and speed, each with low and high, because "
            f"action_space_type is 'continuous'; got a {type(space).__name__}.",
        )
    ranges = {}
    for key in ("steering_angle", "speed"):
        entry = space.get(key)
        if not isinstance(entry, dict) or not {"low", "high"} <= entry.keys():
            _fail(source, f'action_space.{key} must be {{"low": …, "high": …}}, got {shown(entry)}.')
        low = _number(source, f"action_space.{key}.low", entry["low"])
        high = _number(source, f"action_space.{key}.high", entry["high"])
        if not low < high:
            _fail(source, f"action_space.{key}.low must be below high, got {low:g} and {high:g}.")
        ranges[key] = Range(low=low, high=high)
    return ContinuousActionSpace(steering_angle=ranges["steering_angle"], speed=ranges["speed"])


def _lidar_config(source: str, config: Any) -> LidarConfig:
    if not isinstance(config, dict):
        _fail(source, f"lidar_config must be an object, got {shown(config)}.")
    values: dict[str, Any] = {}
    for key in ("num_sectors", "num_values_per_sector"):
        if key in config:
            values[key] = int(_number(source, f"lidar_config.{key}", config[key]))
    if "clipping_dist" in config:
        values["clipping_dist"] = _number(source, "lidar_config.clipping_dist", config["clipping_dist"])
    lidar = LidarConfig(**values)
    if lidar.num_sectors <= 0 or LIDAR_RAYS % lidar.num_sectors:
        _fail(source, f"lidar_config.num_sectors must divide {LIDAR_RAYS}, got {lidar.num_sectors}.")
    if lidar.num_values_per_sector < 1:
        _fail(source, f"lidar_config.num_values_per_sector must be at least 1, got {lidar.num_values_per_sector}.")
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

"""Many cars racing at once, scored by a user's reward function: what environments and rollout workers stand on."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hotlap.config.availability import refuse, unavailable_sensors
from hotlap.config.metadata import ModelMetadata
from hotlap.deepracer.driving import CONTROL_PERIOD, DEFAULT_TRACK, Direction
from hotlap.deepracer.track_objects import BotCars, Obstacles
from hotlap.envs.actions import ActionDecoder
from hotlap.rewards.function import RewardFunction, name_of
from hotlap.rewards.loader import RewardSource, load_rewards
from hotlap.rewards.params import COLUMNS, RewardParams
from hotlap.sensors.kinds import SENSORS, observe
from hotlap.sim.scene import RaceRules, Scene
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.sim.vehicle import vehicle_for_version
from hotlap.tracks.catalog import load_track
from hotlap.tracks.track import Track

# Reward inputs that the race adds to what the simulator computes.
_ADDED_INPUTS = ("speed", "steering_angle", "is_reversed", "sim_time")
_STATE_INPUTS = tuple(name for name in COLUMNS if name not in _ADDED_INPUTS)


@dataclass(frozen=True)
class RaceConfig:
    """Everything that defines a race; plain data, so that it can be sent to another process."""

    metadata: ModelMetadata
    reward: str | RewardSource | Callable[[dict[str, Any]], float] | None
    """A reward function's file, the name of a shipped example, what was read from one, or a function of ``params``
    (of those of many cars with `hotlap.rewards.batched`). None: nobody asks for rewards; they are 0."""
    tracks: tuple[str | Track, ...] = (DEFAULT_TRACK,)
    """Names or route files, which ``direction`` turns; or tracks as they are."""
    direction: Direction = "as_is"
    theme: str | None = None
    """Color theme; None: each track's own."""
    rules: RaceRules = field(default_factory=RaceRules)
    variation: float = 1.0
    """How far each episode's car differs from the nominal one; see `Simulator`."""
    randomize_domain: bool = False
    """Draw the lights and the objects' colors anew for every episode."""
    obstacles: Obstacles | None = None
    """What stands on the track; None: nothing."""
    bots: BotCars | None = None
    """Who else drives; None: nobody."""
    device: str = "cpu"
    told: tuple[str, ...] = ()
    """Sensors that are read beside the model's: for who learns or teaches, not for the model."""


@dataclass
class RaceStep:
    """What a control step found of the cars of the worlds that were active in it: (n, num_cars, …), copies."""

    worlds: np.ndarray
    """Numbers of the worlds, (n,)."""
    columns: dict[str, np.ndarray]
    """Reward inputs by name (those of objects only where there are any), and ``status`` (a `Status`),
    ``nearest_waypoint``, ``pause_duration``."""
    rewards: np.ndarray
    """float64; 0 where no reward function is asked (prepare and pause, or there is none)."""
    running: np.ndarray
    """bool: the action counts, and the reward function, if there is one, was asked."""
    terminated: np.ndarray
    truncated: np.ndarray


class Race:
    """``num_worlds`` worlds with cars on the tracks of ``config``, each car with a reward function of its own.

    Reward functions keep state in module globals and expect one car's steps in order, so the file is loaded for every
    car.

    Args:
        config: Everything that defines the race.
        num_worlds: How many worlds.
        num_cars: Cars in each.
        camera: Whether to render at all.

    Raises:
        ConfigError: For sensors or options that are not supported.
        TrackError, RewardError: For a track or reward function that cannot be loaded.
    """

    def __init__(self, config: RaceConfig, num_worlds: int, *, num_cars: int = 1, camera: bool = True) -> None:
        metadata = config.metadata
        refuse(unavailable_sensors(metadata))
        self.config = config
        self.num_worlds, self.num_cars = num_worlds, num_cars
        self.decoder = ActionDecoder(metadata.action_space)
        self.sensors = {name: SENSORS[name] for name in (*metadata.sensors, *config.told)}
        cameras = [kind.camera(metadata.version) for kind in self.sensors.values() if kind.camera]
        tracks = [
            track if isinstance(track, Track) else load_track(track, direction=config.direction)
            for track in config.tracks
        ]
        self.scene = Scene(
            tracks,
            config.rules,
            obstacles=config.obstacles,
            bots=config.bots,
            num_cars=num_cars,
            device=config.device,
        )
        self.simulator = Simulator(
            self.scene,
            num_worlds,
            vehicle=vehicle_for_version(metadata.version),
            variation=config.variation,
            camera=cameras[0] if camera and cameras else None,
            theme=config.theme,
            randomize_domain=config.randomize_domain,
        )
        self.reward_params = RewardParams(self.scene.routes)
        self.rewards = _load(config.reward, num_worlds * num_cars)
        cars = (num_worlds, num_cars)
        self._is_reversed = np.zeros(cars, dtype=bool)
        self._start_clock = np.zeros(cars)
        self._episodes = np.arange(num_worlds * num_cars).reshape(cars)

    @property
    def active(self) -> np.ndarray:
        """Numbers of the worlds in which an episode is not over, ascending."""
        return np.flatnonzero(self.simulator.state.active.numpy().any(axis=1))

    def reset(
        self,
        worlds: Sequence[int],
        starts: Sequence[Start],
        *,
        clocks: Sequence[float] | None = None,
        episodes: Sequence[int] | None = None,
    ) -> None:
        """Begin an episode in each of ``worlds``.

        Args:
            worlds: Numbers of the worlds.
            starts: Where and how: one per car, those of a world together, as are
            clocks: Simulation clock at each start [s]; default 0.
            episodes: Number of each episode, for errors of the reward function; default: that of the car.
        """
        self.simulator.reset(worlds, starts)
        rows, cars = list(worlds), (len(worlds), self.num_cars)
        if episodes is None:
            episodes = [world * self.num_cars + car for world in worlds for car in range(self.num_cars)]
        self._is_reversed[rows] = np.reshape([start.reverse for start in starts], cars)
        self._start_clock[rows] = 0.0 if clocks is None else np.reshape(clocks, cars)
        self._episodes[rows] = np.reshape(episodes, cars)

    def stop(self, worlds: Sequence[int]) -> None:
        """End the episodes of ``worlds`` at once."""
        self.simulator.stop(worlds)

    def observe(self, worlds: np.ndarray) -> dict[str, np.ndarray]:
        """What the cars of ``worlds`` see now: by sensor, (n, num_cars, *shape); copies."""
        return observe(self.sensors, self.simulator, worlds)

    def poses(self, worlds: np.ndarray) -> np.ndarray:
        """Front point and heading of the cars before the next step: x, y [m], yaw [rad], (n, num_cars, 3)."""
        motion = self.simulator.state.motion.numpy()[worlds]
        ahead = self.simulator.vehicle.logged_point_ahead_of_cg_m
        return np.stack(
            [motion["x"] + ahead * np.cos(motion["yaw"]), motion["y"] + ahead * np.sin(motion["yaw"]), motion["yaw"]],
            axis=-1,
        )

    def footprints(self, worlds: np.ndarray) -> np.ndarray:
        """Corners of the objects' rectangles as the rules see them [m], shape (n, num_objects, 4, 2)."""
        objects = self.simulator.state.objects.numpy()[worlds]
        cos, sin = np.cos(objects["yaw"]), np.sin(objects["yaw"])
        ahead = objects["half_length"][..., None] * np.stack([cos, sin], axis=-1)
        left = objects["half_width"][..., None] * np.stack([-sin, cos], axis=-1)
        middle = np.stack([objects["x"], objects["y"]], axis=-1)
        return np.stack([middle + ahead + left, middle + ahead - left, middle - ahead - left, middle - ahead + left], 2)

    def step(self, worlds: np.ndarray, actions: np.ndarray) -> RaceStep:
        """Advance the active ``worlds`` by one control step.

        Args:
            worlds: All active worlds (`active`).
            actions: Of their cars, (n, num_cars) int or (n, num_cars, 2) float.

        Raises:
            RewardError: If the reward function fails. No car has moved then, but the rules have counted the step: begin
                new episodes in these worlds.
        """
        simulator, fields = self.simulator, self.simulator.fields
        commands = self.decoder.commands(actions)
        all_commands = np.zeros((self.num_worlds, self.num_cars, 2), dtype=np.float32)
        all_commands[worlds] = commands
        simulator.command(all_commands[..., 0], all_commands[..., 1])
        simulator.apply_rules()
        columns = {name: fields[name][worlds] for name in _STATE_INPUTS if name != "route"}
        columns["route"] = np.repeat(fields["route"][worlds, None], self.num_cars, axis=1)
        columns["speed"] = commands[..., 1]
        columns["steering_angle"] = commands[..., 0]
        columns["is_reversed"] = self._is_reversed[worlds]
        columns["sim_time"] = self._start_clock[worlds] + (columns["steps"] - 1) * CONTROL_PERIOD
        if self.scene.num_objects:
            columns |= self._object_columns(worlds)
        running = fields["running"][worlds] != 0
        rewards = np.zeros(running.shape)
        if self.rewards and running.any():
            rewards[running] = self._ask(worlds, running, {name: column[running] for name, column in columns.items()})
        columns["status"] = fields["status"][worlds]
        columns["nearest_waypoint"] = fields["nearest_waypoint"][worlds]
        columns["pause_duration"] = fields["pause_duration"][worlds]
        found = RaceStep(
            worlds=worlds,
            columns=columns,
            rewards=rewards,
            running=running,
            terminated=fields["terminated"][worlds] != 0,
            truncated=fields["truncated"][worlds] != 0,
        )
        simulator.drive()
        return found

    def _object_columns(self, worlds: np.ndarray) -> dict[str, np.ndarray]:
        """Reward inputs about objects, of the cars of `worlds`."""
        fields, bots = self.simulator.fields, self.scene.bots
        objects = np.repeat(fields["objects"][worlds, None], self.num_cars, axis=1)
        return {
            "closest_objects": fields["closest_objects"][worlds],
            "objects_location": np.stack([objects["x"], objects["y"]], axis=-1).astype(np.float64),
            "objects_left_of_center": objects["left_of_center"] != 0,
            "object_in_camera": fields["object_in_camera"][worlds] != 0,
            # Where there are bot cars, and only there, every object has their speed, and its heading.
            "objects_speed": np.full(objects.shape, bots.speed if bots else 0.0),
            "objects_heading": objects["yaw"].astype(np.float64) if bots else np.zeros(objects.shape),
            "objects_distance_from_center": objects["distance_from_center"].astype(np.float64),
            "objects_distance": objects["distance"].astype(np.float64),
        }

    def _ask(self, worlds: np.ndarray, running: np.ndarray, columns: dict[str, np.ndarray]) -> np.ndarray | list[float]:
        """The reward functions' answers for the cars of ``worlds`` that are ``running``, whose columns are given."""
        row, car = np.nonzero(running)
        episodes = self._episodes[worlds[row], car].tolist()
        if self.rewards[0].batch_function is not None:
            return self.rewards[0].call_batch(self.reward_params, columns, episodes)
        rows, steps = self.reward_params.rows(columns), columns["steps"].tolist()
        rewards = [self.rewards[number] for number in worlds[row] * self.num_cars + car]
        return [
            reward(params, (episode, step))
            for reward, episode, step, params in zip(rewards, episodes, steps, rows, strict=True)
        ]


def _load(reward: str | RewardSource | Callable[[dict[str, Any]], float] | None, count: int) -> list[RewardFunction]:
    if reward is None:
        return []
    if isinstance(reward, RewardFunction):
        return [reward] * count
    if callable(reward):
        return [RewardFunction(name_of(reward), reward)] * count
    return load_rewards(reward, count)

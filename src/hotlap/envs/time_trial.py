"""Time trial as Gymnasium environments: one car, or many in step."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import gymnasium
import numpy as np
import warp as wp
from gymnasium import spaces
from gymnasium.vector import AutoresetMode, VectorEnv
from gymnasium.vector.utils import batch_space

from hotlap.config.metadata import ModelMetadata
from hotlap.deepracer.driving import DEFAULT_TRACK, Direction
from hotlap.deepracer.sensors import FRONT_CAMERA
from hotlap.deepracer.state_values import STATE, STATE_VALUES
from hotlap.deepracer.statuses import STATUS_NAMES
from hotlap.envs.race import Race, RaceConfig, RaceStep
from hotlap.sim.camera import CameraRenderer
from hotlap.sim.scene import RaceRules
from hotlap.sim.starts import Start

FRAME_SHAPE = (120, 160, 1)
RENDER_SCALE = 4
DEFAULT_METADATA: dict[str, Any] = {
    "action_space": [{"steering_angle": angle, "speed": 1.0} for angle in (-30, -15, 0, 15, 30)],
    "sensor": [FRONT_CAMERA],
    "version": "5",
}

Reward = str | Path | Callable[[dict[str, Any]], float]
Observation = Literal["camera", "state", "both"]


def _race_config(
    track: str | Path,
    direction: Direction,
    reward: Reward,
    metadata: str | Path | dict[str, Any] | None,
    spread: float,
    max_steps: int,
    theme: str | None,
    device: str,
    observation: Observation,
    render_mode: str | None,
) -> RaceConfig:
    if observation not in get_args(Observation):
        raise ValueError(f'observation must be "camera", "state" or "both", got {observation!r}')
    if isinstance(metadata, str | Path):
        model = ModelMetadata.load(metadata)
    else:
        model = ModelMetadata.from_dict(metadata or DEFAULT_METADATA, source="metadata")
    blind = observation == "state" and render_mode is None  # then nothing is rendered
    if blind:
        model = model.model_copy(update={"sensors": (STATE,)})
    return RaceConfig(
        metadata=model,
        reward=str(reward) if isinstance(reward, Path) else reward,
        tracks=(str(track),),
        direction=direction,
        theme=theme,
        rules=RaceRules(max_steps=max_steps + 1),  # the original counts the `prepare` step, which is skipped here
        variation=spread,
        device=device,
        told=() if blind or observation == "camera" else (STATE,),
    )


_SPACES: dict[str, spaces.Space[Any]] = {
    "camera": spaces.Box(0, 255, FRAME_SHAPE, np.uint8),
    "state": spaces.Box(-np.inf, np.inf, (len(STATE_VALUES),), np.float32),
}


def _observation_space(observation: Observation) -> spaces.Space[Any]:
    return spaces.Dict(_SPACES) if observation == "both" else _SPACES[observation]


def _action_space(race: Race) -> spaces.Space:
    num_actions = race.decoder.num_actions
    if num_actions is not None:
        return spaces.Discrete(num_actions)
    return spaces.Box(-1.0, 1.0, (2,), np.float32)


def _start(rng: np.random.Generator, start: str, options: dict[str, Any] | None) -> Start:
    ndist = float(rng.random()) if start == "random" else 0.0
    seed = int(rng.integers(2**63))
    return Start(ndist=float((options or {}).get("ndist", ndist)), seed=seed, prepared=True)


def _check(start: str, max_steps: int) -> None:
    if max_steps < 1:
        raise ValueError(f"max_steps must be at least 1, got {max_steps}")
    if start not in ("random", "line"):
        raise ValueError(f'start must be "random" (anywhere on the lap) or "line" (the start line), got {start!r}')


class TimeTrialEnv(gymnasium.Env[Any, Any]):
    """A car alone on a track, seen through its front camera.

    ## Observation
    ``Box(0, 255, (120, 160, 1), uint8)``: the grey image of the front camera, row 0 at the top. With
    ``observation="state"`` the numbers of `hotlap.deepracer.state_values` instead, ``Box(-inf, inf, (n,), float32)``:
    nothing is rendered then, which is several times as fast. ``observation="both"`` gives a ``Dict`` of ``camera`` and
    ``state``.

    ## Action
    Discrete metadata: ``Discrete(n)``, the index of an entry of the action space. Continuous metadata:
    ``Box(-1, 1, (2,), float32)``, steering and speed, mapped linearly onto the metadata's ranges. Steering is positive
    to the left; what is executed is clipped to ±30 degrees and 0.1 to 4 m/s.

    ## Reward
    What the reward function returns. It is asked about the state in which the action was chosen, with that action's
    steering and speed, as in DeepRacer; so the last reward of an episode tells of the pose that ended it.

    ## Start
    At rest on the center line, anywhere on the lap (``start="random"``) or on the start line (``"line"``);
    ``options={"ndist": fraction}`` of ``reset`` chooses the place.

    ## End of the episode
    ``terminated``: lap complete, all wheels off the track, standing still or driving backwards for a second.
    ``truncated``: after ``max_steps`` steps.

    ## Info
    ``progress`` [% of the lap], ``status`` (name as in simulation traces), ``steps`` (from 2 on, as ever), ``x``,
    ``y`` [m], ``heading`` [deg], ``distance_from_center`` [m], ``all_wheels_on_track``; after ``reset`` only ``ndist``.

    ## Arguments
    * ``track``: name of a track, or the path of a route file; ``direction``: ``as_is``, ``cw``, ``ccw``, ``reversed``.
    * ``reward``: a function of ``params``, a reward function's file, or the name of a shipped example. Of a file each
      environment has a copy with globals of its own; a function is shared. A function that scores many cars at once,
      with arrays for values, is given as ``hotlap.rewards.batched(function)``; in a file it is called
      ``reward_function_batch``.
    * ``metadata``: ``model_metadata.json`` as a path or as a dictionary; default five steering angles at 1 m/s.
    * ``start``, ``max_steps``; ``spread``: how far each episode's car differs from the nominal one (0 to about 1).
    * ``theme``: color theme; ``device``: ``cpu`` or ``cuda``; ``render_mode``: ``rgb_array`` gives a color picture.

    ## Versions
    v0: first version.
    """

    # Not a ClassVar: Gymnasium declares it as an instance variable.
    metadata: dict[str, Any] = {"render_modes": ["rgb_array"], "render_fps": 15}  # noqa: RUF012

    def __init__(
        self,
        *,
        track: str | Path = DEFAULT_TRACK,
        direction: Direction = "as_is",
        reward: Reward = "follow_center_line",
        metadata: str | Path | dict[str, Any] | None = None,
        start: Literal["random", "line"] = "random",
        spread: float = 1.0,
        max_steps: int = 3000,
        theme: str | None = None,
        device: str = "cpu",
        observation: Observation = "camera",
        render_mode: str | None = None,
    ) -> None:
        _check(start, max_steps)
        config = _race_config(
            track, direction, reward, metadata, spread, max_steps, theme, device, observation, render_mode
        )
        self.race = Race(config, 1)
        self.start = start
        self.observation = observation
        self.render_mode = render_mode
        self.observation_space = _observation_space(observation)
        self.action_space = _action_space(self.race)
        self._world = np.zeros(1, dtype=np.int64)
        self._num_episodes = 0
        self._pictures = _Pictures(self.race)

    def reset(self, *, seed: int | None = None, options: dict[str, Any] | None = None) -> tuple[Any, dict[str, Any]]:
        super().reset(seed=seed)
        start = _start(self.np_random, self.start, options)
        self.race.reset([0], [start], episodes=[self._num_episodes])
        self._num_episodes += 1
        return self._observe(), {"ndist": start.ndist}

    def step(self, action: Any) -> tuple[Any, float, bool, bool, dict[str, Any]]:
        if not self.race.active.size:
            raise gymnasium.error.ResetNeeded("the episode is over; call reset() before step()")
        step = self.race.step(self._world, np.asarray(action)[None, None])
        info = {name: column.item() for name, column in _info(step).items()}
        return (
            self._observe(),
            float(step.rewards[0, 0]),
            bool(step.terminated[0, 0]),
            bool(step.truncated[0, 0]),
            info,
        )

    def render(self) -> np.ndarray | None:  # type: ignore[override]
        """Color picture of what the car sees, uint8 (480, 640, 3)."""
        return self._pictures.take()[0] if self.render_mode == "rgb_array" else None

    def _observe(self) -> Any:
        seen = _observe(self.race, self._world, self.observation)
        return {name: values[0] for name, values in seen.items()} if self.observation == "both" else seen[0]


class TimeTrialVectorEnv(VectorEnv[Any, Any, np.ndarray]):
    """``num_envs`` cars in step, each alone on the track: `TimeTrialEnv` at the simulator's full speed.

    Arguments, spaces and rules are those of `TimeTrialEnv`, with a leading axis of ``num_envs``. An environment whose
    episode is over is reset in its next step, which ignores its action and gives reward 0 (autoreset mode
    ``NEXT_STEP``).
    """

    metadata: dict[str, Any] = {  # noqa: RUF012
        "autoreset_mode": AutoresetMode.NEXT_STEP,
        "render_modes": ["rgb_array"],
        "render_fps": 15,
    }

    def __init__(
        self,
        num_envs: int = 1,
        *,
        track: str | Path = DEFAULT_TRACK,
        direction: Direction = "as_is",
        reward: Reward = "follow_center_line",
        metadata: str | Path | dict[str, Any] | None = None,
        start: Literal["random", "line"] = "random",
        spread: float = 1.0,
        max_steps: int = 3000,
        theme: str | None = None,
        device: str = "cpu",
        observation: Observation = "camera",
        render_mode: str | None = None,
    ) -> None:
        _check(start, max_steps)
        self.num_envs = num_envs
        config = _race_config(
            track, direction, reward, metadata, spread, max_steps, theme, device, observation, render_mode
        )
        self.race = Race(config, num_envs)
        self.start = start
        self.observation = observation
        self.render_mode = render_mode
        self.single_observation_space = _observation_space(observation)
        self.single_action_space = _action_space(self.race)
        self.observation_space = batch_space(self.single_observation_space, num_envs)
        self.action_space = batch_space(self.single_action_space, num_envs)
        self._pictures = _Pictures(self.race)
        self._all = np.arange(num_envs)
        self._rngs: list[np.random.Generator] = []
        self._num_episodes = 0

    def reset(
        self, *, seed: int | Sequence[int | None] | None = None, options: dict[str, Any] | None = None
    ) -> tuple[Any, dict[str, Any]]:
        """Begin an episode in all environments, or where ``options["reset_mask"]``, bool (num_envs,), is set."""
        super().reset(seed=seed if isinstance(seed, int) else None)
        if isinstance(seed, Sequence):
            self._rngs = [gymnasium.utils.seeding.np_random(each)[0] for each in seed]
        elif seed is not None or not self._rngs:
            first = int(self.np_random.integers(2**31)) if seed is None else seed
            self._rngs = [gymnasium.utils.seeding.np_random(first + k)[0] for k in range(self.num_envs)]
        mask = (options or {}).get("reset_mask", np.ones(self.num_envs, dtype=bool))
        worlds = np.flatnonzero(mask)
        ndist = np.zeros(self.num_envs)
        ndist[worlds] = self._begin(worlds, options)
        return self._observe(), {"ndist": ndist, "_ndist": np.asarray(mask, dtype=bool).copy()}

    def step(self, actions: Any) -> tuple[Any, np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]:
        actions = np.asarray(actions)
        active = self.race.active
        over = np.setdiff1d(self._all, active)
        rewards = np.zeros(self.num_envs)
        terminated = np.zeros(self.num_envs, dtype=bool)
        truncated = np.zeros(self.num_envs, dtype=bool)
        info: dict[str, Any] = {}
        if len(active):
            step = self.race.step(active, actions[active, None])
            rewards[active] = step.rewards[:, 0]
            terminated[active], truncated[active] = step.terminated[:, 0], step.truncated[:, 0]
            present = np.zeros(self.num_envs, dtype=bool)
            present[active] = True
            for name, column in _info(step).items():
                full = np.zeros(self.num_envs, dtype=column.dtype)
                full[active] = column[:, 0]
                info[name], info[f"_{name}"] = full, present
        self._begin(over, None)
        return self._observe(), rewards, terminated, truncated, info

    def render(self) -> tuple[np.ndarray, ...] | None:
        """Color picture of what each car sees, uint8 (480, 640, 3)."""
        return self._pictures.take() if self.render_mode == "rgb_array" else None

    def _begin(self, worlds: np.ndarray, options: dict[str, Any] | None) -> list[float]:
        """Begin an episode in each of ``worlds``; returns the lap fractions of their starts."""
        starts = [_start(self._rngs[world], self.start, options) for world in worlds]
        if starts:
            numbers = range(self._num_episodes, self._num_episodes + len(starts))
            self.race.reset(worlds.tolist(), starts, episodes=numbers)
            self._num_episodes += len(starts)
        return [start.ndist for start in starts]

    def _observe(self) -> Any:
        return _observe(self.race, self._all, self.observation)


def _observe(race: Race, worlds: np.ndarray, observation: Observation) -> Any:
    """What the cars see, and are told: (n, …), or a dictionary of both; channels last, as Gymnasium has it."""
    found = race.observe(worlds)
    seen = {}
    if observation != "state":
        seen["camera"] = np.moveaxis(found[race.config.metadata.camera][:, 0], 1, -1)
    if observation != "camera":
        seen["state"] = found[STATE][:, 0]
    return seen if observation == "both" else seen[observation]


class _Pictures:
    """Color pictures of what all cars see; the camera for them is made when somebody looks."""

    def __init__(self, race: Race) -> None:
        self._race = race
        self._camera: tuple[CameraRenderer, wp.array] | None = None

    def take(self) -> tuple[np.ndarray, ...]:
        """Uint8 (480, 640, 3) of each world."""
        if self._camera is None:
            self._camera = self._race.simulator.color_camera(scale=RENDER_SCALE)
        renderer, pictures = self._camera
        self._race.simulator.look(renderer, pictures)
        return tuple(pictures.numpy().copy())


def _info(step: RaceStep) -> dict[str, np.ndarray]:
    columns = step.columns
    info = {name: columns[name] for name in ("progress", "steps", "x", "y", "heading", "distance_from_center")}
    info["status"] = np.array(STATUS_NAMES)[columns["status"]]
    info["all_wheels_on_track"] = columns["all_wheels_on_track"] != 0
    return info

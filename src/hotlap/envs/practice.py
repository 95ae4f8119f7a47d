"""Good and bad episodes that a scripted driver plays in the simulator, to try a reward function on."""

from __future__ import annotations

import contextlib
import warnings
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hotlap.config.base import ConfigWarning
from hotlap.config.drfc import DrfcFolder, is_drfc_folder
from hotlap.config.job import Job
from hotlap.config.metadata import ContinuousActionSpace, DiscreteActionSpace, ModelMetadata, Range
from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.deepracer.reward_inputs import OF_OBJECTS
from hotlap.deepracer.sensors import FRONT_CAMERA
from hotlap.deepracer.statuses import STATUS_NAMES
from hotlap.deepracer.track_objects import BotCars, Obstacles
from hotlap.envs.race import Race, RaceConfig
from hotlap.errors import ConfigError, RewardError
from hotlap.rewards.loader import read_reward
from hotlap.rewards.params import COLUMNS
from hotlap.rewards.play import Episode
from hotlap.rewards.reading import read
from hotlap.sim.scene import RaceRules
from hotlap.sim.starts import Start
from hotlap.tracks.track import Track

LOOK_AHEAD = 0.6  # [m] along the center line, from the car's front point
_ANY_ACTION = ContinuousActionSpace(steering_angle=Range(low=-30.0, high=30.0), speed=Range(low=0.0, high=4.0))

_KINDS: dict[str, tuple[Obstacles | None, BotCars | None]] = {
    "time_trial": (None, None),
    "object_avoidance": (Obstacles(3), None),
    "head_to_bot": (None, BotCars(2)),
}
_FIRST = (
    "leaving the track", "a good lap", "a good lap around the objects", "hardly moving", "an evaluation with resets",
)  # fmt: skip
"""The episodes that tell most; with a slow function there may be no time for the others."""


@dataclass(frozen=True)
class _Script:
    """How one episode is driven."""

    name: str
    speed: float = 1.8
    """Commanded [m/s]."""
    offset: float = 0.0
    """Of the line to follow, in road widths to the left."""
    weave: float = 0.0
    """Amplitude of a sine around that line, in road widths."""
    lanes: bool = False
    """Change to the lane without an object where one is near."""
    straight: bool = False
    """Never steer."""
    turn: bool = False
    """Spin round after 20 steps, and follow the line from there the wrong way."""
    start: Start = field(default_factory=Start)
    track: int = 0
    max_steps: int = 1000


_ALONE = (
    _Script("a good lap"),
    _Script("a fast lap", speed=2.6),
    _Script("a weaving lap", weave=0.3),
    _Script("a lap beside the middle", offset=0.27),
    _Script("a slow lap from the middle of the track", speed=0.8, start=Start(ndist=0.6)),
    _Script("hardly moving", speed=0.1, max_steps=200),
    _Script("spun round and driving backwards", turn=True),
    _Script("leaving the track", straight=True, speed=4.0),
    _Script("a lap in the other direction", start=Start(reverse=True)),
)
_WITH_RESETS = _Script("an evaluation with resets", straight=True, max_steps=150)
_TWO_LAPS = _Script("a lap after another")
_AMONG_OBJECTS = (
    _Script("a good lap around the objects", lanes=True, speed=1.2),
    _Script("running into an object", offset=0.25),
    _Script("running into an object on the other side", offset=-0.25),
    _Script("hardly moving", speed=0.1, max_steps=120),
    _Script("leaving the track", straight=True, speed=2.5),
)


class Practice:
    """Drives for any number of reward files, and each kind of race only once.

    Args:
        tracks: Where to drive.
    """

    def __init__(self, tracks: Sequence[Track]) -> None:
        self.tracks = tracks
        self.routes = [route for track in tracks for route in (track, track.reversed())]
        self._driven: dict[tuple[str, str], list[Episode]] = {}

    def races_for(
        self, file: str | Path, around: tuple[ModelMetadata | None, Job | None] | None = None
    ) -> tuple[dict[str, list[Episode]], list[Track], list[str]]:
        """What a reward file is to be tried on: races with objects where it reads inputs about them, or where the model
        folder in which it lies asks for them.

        Args:
            file: The reward file, or the name of a shipped example.
            around: What `model_around` found, if that is known.

        Returns:
            Episodes by race type; their routes; race types in which it must work: those of the model folder.
        """
        metadata, job = around or model_around(Path(file))
        needed = sorted({str(race.race_type) for race in job.races}) if job is not None else []
        try:
            source = read_reward(file).text.decode("utf-8-sig", errors="replace")
        except RewardError:
            source = ""
        asked = set(needed)
        if not needed:
            asked = set(_KINDS) if read(source).mentions(OF_OBJECTS) else {"time_trial"}
        races = {kind: self._race(kind, metadata) for kind in _KINDS if kind in asked}
        return races, self.routes, needed

    def _race(self, kind: str, metadata: ModelMetadata | None) -> list[Episode]:
        key = kind, "" if metadata is None else repr(metadata)
        if key not in self._driven:
            obstacles, bots = _KINDS[kind]
            self._driven[key] = practice(self.tracks, metadata=metadata, obstacles=obstacles, bots=bots)
        return self._driven[key]


def model_around(file: Path) -> tuple[ModelMetadata | None, Job | None]:
    """The action space and the job of the folder of a model, or of DeepRacer-for-Cloud, that a reward file lies in.

    Both as far as they are there; what is wrong with them is not the business of who asks about the reward file.
    """
    metadata: ModelMetadata | None = None
    job: Job | None = None
    folder = file.absolute().parent
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConfigWarning)
        with contextlib.suppress(ConfigError):
            metadata = ModelMetadata.load(folder / "model_metadata.json")
        with contextlib.suppress(ConfigError):
            root = folder.parent if folder.name == "custom_files" else folder
            if is_drfc_folder(root):
                job = DrfcFolder(root, needs_reward=False).job
            elif (folder / "job.toml").is_file():
                job = Job.load(folder / "job.toml")
    return metadata, job


def practice(
    tracks: Sequence[Track],
    *,
    metadata: ModelMetadata | None = None,
    obstacles: Obstacles | None = None,
    bots: BotCars | None = None,
) -> list[Episode]:
    """Drive every kind of episode on the first of ``tracks``, and the good lap on the others.

    Args:
        tracks: At best a loop and an open one.
        metadata: Whose actions the driver takes, the nearest ones; None: any steering up to 30° and speed up to 4 m/s.
        obstacles: What stands on the track.
        bots: Who else drives.

    Returns:
        Episodes, those that tell most first, with all steps that a reward function is asked about.
    """
    version = metadata.version if metadata else 5.0
    space = metadata.action_space if metadata else _ANY_ACTION
    driven = ModelMetadata(
        version=version,
        sensors=(FRONT_CAMERA,),
        action_space=_ANY_ACTION,
        network=SHALLOW,
        algorithm="clipped_ppo",
    )
    with_objects = obstacles is not None or bots is not None
    scripts: tuple[_Script, ...] = _AMONG_OBJECTS if with_objects else _ALONE
    scripts += tuple(_Script(f"a good lap of {track.name}", track=number, lanes=with_objects)
                     for number, track in enumerate(tracks) if number)  # fmt: skip
    races = [(scripts, RaceRules())]
    if not with_objects:
        races.append(((_WITH_RESETS,), RaceRules(number_of_resets=100, off_track_penalty=0.5)))
        if tracks[0].closed:
            races.append(((_TWO_LAPS,), RaceRules(number_of_laps=2)))
    episodes: list[Episode] = []
    for played, rules in races:
        config = RaceConfig(
            driven, lambda _: 0.0, tuple(tracks), rules=rules, variation=0.0, obstacles=obstacles, bots=bots
        )
        episodes += _drive(config, played, space)
    return sorted(episodes, key=lambda each: (*_FIRST, each.name).index(each.name))


def _drive(
    config: RaceConfig, scripts: Sequence[_Script], space: DiscreteActionSpace | ContinuousActionSpace
) -> list[Episode]:
    race = Race(config, len(scripts), camera=False)
    starts = [replace(each.start, track=each.track, seed=number) for number, each in enumerate(scripts)]
    race.reset(range(len(scripts)), starts)
    lines: dict[int, _Line] = {}
    drivers = []
    for script, start in zip(scripts, starts, strict=True):
        route = race.scene.route(start.track, start.reverse)
        if route not in lines:
            lines[route] = _Line(race.scene.routes[route])
        drivers.append(_Driver(script, lines[route], space))
    rows: list[list[dict[str, np.ndarray]]] = [[] for _ in scripts]
    endings = ["stopped"] * len(scripts)
    while len(active := race.active):
        poses = race.poses(active)[:, 0]
        objects = race.simulator.state.objects.numpy()[active] if race.scene.num_objects else None
        commands = np.array(
            [
                drivers[world].command(pose, None if objects is None else objects[row])
                for row, (world, pose) in enumerate(zip(active.tolist(), poses, strict=True))
            ]
        )
        step = race.step(active, (commands / (30.0, 2.0) - (0.0, 1.0))[:, None])
        # The exact numbers of the metadata, which the way through [-1, 1] rounds.
        step.columns["steering_angle"], step.columns["speed"] = commands[:, :1], commands[:, 1:]
        for row in np.flatnonzero(step.running).tolist():
            rows[active[row]].append({name: column[row, 0] for name, column in step.columns.items()})
        ended = (step.terminated | step.truncated)[:, 0]
        for row in np.flatnonzero(ended).tolist():
            endings[active[row]] = STATUS_NAMES[step.columns["status"][row, 0]]
        still = active[~ended]
        for world in still.tolist():
            if scripts[world].turn and not drivers[world].turned and len(rows[world]) == 20:
                # Shared with the simulator on the CPU, where this always runs.
                race.simulator.state.motion.numpy()["yaw"][world, 0] += np.pi
                drivers[world].turned = True
        race.stop([world for world in still.tolist() if len(rows[world]) >= scripts[world].max_steps])
    names = COLUMNS + (OF_OBJECTS if race.scene.num_objects else ())
    return [
        Episode(script.name, ending, {name: np.stack([row[name] for row in each]) for name in names})
        for script, ending, each in zip(scripts, endings, rows, strict=True)
        if each
    ]


class _Line:
    """A route's center line, looked up every few centimeters; fast enough for a car at a time."""

    def __init__(self, route: Track) -> None:
        self.length, self.closed = route.length, route.closed
        self.s = np.linspace(0.0, route.length, int(route.length / 0.04))
        x, y, self.yaw = route.pose_at(self.s)
        self.points = np.stack([x, y], axis=1)
        self.width = route.width_at(self.s)
        self.curvature = np.abs(route.curvature_at(self.s))

    def nearest(self, x: float, y: float) -> int:
        return int(np.argmin((self.points[:, 0] - x) ** 2 + (self.points[:, 1] - y) ** 2))

    def ahead(self, row: int, distance: float) -> int:
        s = self.s[row] + distance
        s = s % self.length if self.closed else min(max(s, 0.0), self.length)
        return min(int(s / self.length * len(self.s)), len(self.s) - 1)


class _Driver:
    """Pure pursuit of a script's line."""

    def __init__(self, script: _Script, line: _Line, space: DiscreteActionSpace | ContinuousActionSpace) -> None:
        self.script, self.line, self.space = script, line, space
        self.turned = False

    def command(self, pose: np.ndarray, objects: np.ndarray | None) -> tuple[float, float]:
        """Steering [deg] and speed [m/s] of a car at ``pose`` (x, y, yaw)."""
        script, line = self.script, self.line
        x, y, yaw = pose.tolist()
        if script.straight:
            return _nearest(self.space, 0.0, script.speed)
        row = line.nearest(x, y)
        distance = LOOK_AHEAD + 0.15 * script.speed
        at = line.ahead(row, -distance if self.turned else distance)
        offset = script.offset + script.weave * float(np.sin(2 * np.pi * line.s[at] / 3.0))
        if script.lanes and objects is not None:
            offset = 0.36 * _free_lane(line, row, objects)
        to_side = offset * float(line.width[at]) * np.array([-np.sin(line.yaw[at]), np.cos(line.yaw[at])])
        to_x, to_y = (line.points[at] + to_side - (x, y)).tolist()
        angle = (np.arctan2(to_y, to_x) - yaw + np.pi) % (2 * np.pi) - np.pi
        bend = max(line.curvature[row], line.curvature[at])
        speed = min(script.speed, float(1.8 / np.sqrt(max(bend, 0.1))))
        return _nearest(self.space, float(np.clip(np.degrees(angle) * 1.3, -30.0, 30.0)), speed)


def _free_lane(line: _Line, row: int, objects: np.ndarray) -> float:
    """1.0 for the left lane, -1.0 for the right one: away from the next object ahead, or the one beside the car."""
    gaps = (objects["distance"] - line.s[row] + 0.5) % line.length
    return -1.0 if objects["left_of_center"][int(np.argmin(gaps))] else 1.0


def _nearest(space: DiscreteActionSpace | ContinuousActionSpace, steering: float, speed: float) -> tuple[float, float]:
    """The action of ``space`` that is most like it; steering counts first."""
    if isinstance(space, DiscreteActionSpace):
        action = min(space.actions, key=lambda each: (abs(each.steering_angle - steering), abs(each.speed - speed)))
        return action.steering_angle, action.speed
    return (
        float(np.clip(steering, space.steering_angle.low, space.steering_angle.high)),
        float(np.clip(speed, space.speed.low, space.speed.high)),
    )

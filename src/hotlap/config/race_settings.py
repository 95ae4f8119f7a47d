"""Where a car drives, with what on the track, and how its episodes start: [race] in job.toml."""

from __future__ import annotations

import math
from typing import Annotated, Literal

from pydantic import BeforeValidator, Field, field_validator, model_validator

from hotlap.config.base import Config, as_tuple
from hotlap.deepracer import track_objects
from hotlap.deepracer.driving import DEFAULT_TRACK, Direction
from hotlap.deepracer.track_objects import BoxKind

Place = Annotated[tuple[float, float], BeforeValidator(as_tuple)]
"""Lap fraction and lane of a thing on the track."""


_OBSTACLES, _BOTS = track_objects.Obstacles(), track_objects.BotCars()


class Obstacles(Config):
    """Boxes that stand on the track in a race of type object_avoidance."""

    number: int = Field(default=_OBSTACLES.number, ge=0, le=50)
    """How many, unless `positions` says."""

    min_distance: float = Field(default=_OBSTACLES.min_distance, gt=0)
    """Least distance along the track from the start and between neighbors [m]."""

    randomize: bool = False
    """Choose new places in every episode."""

    kind: BoxKind = _OBSTACLES.kind
    """What they look like."""

    bot_car: bool = False
    """Parked cars instead of boxes."""

    positions: Annotated[tuple[Place, ...], BeforeValidator(as_tuple)] = ()
    """Fixed places, each [lap fraction, lane]; lane -1 is the outer one, every other number the inner one."""

    @field_validator("positions")
    @classmethod
    def _on_the_lap(cls, positions: tuple[Place, ...]) -> tuple[Place, ...]:
        for fraction, lane in positions:
            if not 0 <= fraction <= 1:
                raise ValueError(f"[{fraction:g}, {lane:g}] lies at {fraction:g} of the lap, but it must be 0 to 1")
        return positions


class BotCars(Config):
    """Scripted cars that drive along in a race of type head_to_bot."""

    number: int = Field(default=_BOTS.number, ge=0, le=20)
    """How many."""

    min_distance: float = Field(default=_BOTS.min_distance, gt=0)
    """Least distance along the track from the start and between neighbors [m]."""

    randomize: bool = False
    """Choose new places in every episode."""

    speed: float = Field(default=_BOTS.speed, ge=0, le=4)
    """How fast they drive [m/s]."""

    lane_change: bool = False
    """Let them change lanes."""

    lower_lane_change_time: float = Field(default=_BOTS.lower_lane_change_time, ge=0)
    """Shortest time between two changes of lane [s]."""

    upper_lane_change_time: float = Field(default=_BOTS.upper_lane_change_time, ge=0)
    """Longest time between two changes of lane [s]."""

    lane_change_distance: float = Field(default=_BOTS.lane_change_distance, gt=0)
    """Length along the track of a change of lane [m]."""

    penalty: float = Field(default=_BOTS.penalty, ge=0)
    """How long all of them stop after they were hit [s]."""

    @model_validator(mode="after")
    def _shortest_before_longest(self) -> BotCars:
        if self.lower_lane_change_time > self.upper_lane_change_time:
            raise ValueError(
                f"lower_lane_change_time = {self.lower_lane_change_time:g} is longer than "
                f"upper_lane_change_time = {self.upper_lane_change_time:g}"
            )
        return self


Span = Annotated[tuple[float, float], BeforeValidator(as_tuple)]
"""The least and the greatest value of something that is drawn at random."""


class Generated(Config):
    """Closed tracks that are made up from training.seed, for track = "generated"."""

    number: int = Field(default=64, ge=1, le=500)
    """Tracks to train on: with more of them the model learns none by heart. With a camera 64 take 20 s to paint and
    230 MB, and that in every worker."""

    held_out: int = Field(default=8, ge=0, le=100)
    """Further tracks that are never trained on; evaluations take turns on them. 0: they drive where it was trained."""

    length: Span = (15.0, 60.0)
    """Shortest and longest lap [m]."""

    width: Span = (0.6, 1.2)
    """Narrowest and widest road [m]."""

    min_radius: Span = (0.5, 1.2)
    """Radius of the tightest bend: that of the tightest track and of the widest [m]; roads wider than twice that have
    wider bends."""

    @model_validator(mode="after")
    def _possible(self) -> Generated:
        limits = {"length": (6.0, 200.0), "width": (0.3, 3.0), "min_radius": (0.2, 20.0)}
        for name, (least, most) in limits.items():
            low, high = getattr(self, name)
            if not least <= low <= high <= most:
                raise ValueError(
                    f"{name} = [{low:g}, {high:g}] must be two numbers in order, both from {least:g} to {most:g}"
                )
        radius = max(self.min_radius[1], 0.5 * self.width[1] + 0.1)
        shortest = 2 * math.pi * radius + 5.0
        if self.length[0] < shortest:
            raise ValueError(
                f"a lap of {self.length[0]:g} m is too short for bends of {radius:g} m radius and a straight to start "
                f"on; length must begin at {shortest:.1f} or more"
            )
        return self


class Race(Config):
    """Where the car drives and how episodes start."""

    race_type: Literal["time_trial", "object_avoidance", "head_to_bot"] = "time_trial"
    """time_trial (alone), object_avoidance (boxes as in [race.obstacles]) or head_to_bot (cars as in [race.bots])."""

    track: str = Field(default=DEFAULT_TRACK, min_length=1)
    """Name of a built-in track, of one in your track folder, or the path of a route file (.npy). Several, separated by
    commas, with * and ?: every episode draws one of them. "generated": tracks that are made up, see docs/tracks.md."""

    direction: Direction = "as_is"
    """Driving direction: as_is (that of the track file), cw, ccw, or reversed."""

    reverse_dir: bool = False
    """Drive the chosen direction the other way round; `is_reversed` tells the reward function."""

    alternate_driving_direction: bool = False
    """Turn round after every training episode."""

    start: Literal["spread", "round_robin", "fixed"] = "spread"
    """Start of training episodes: spread (evenly over the lap), round_robin (each a little farther), or fixed."""

    start_position_offset: float = Field(default=0.0, ge=0, le=1)
    """Fraction of the lap at which the first episode starts."""

    round_robin_advance_dist: float = Field(default=0.05, ge=0, le=1)
    """Fraction of the lap that round_robin moves on after each episode."""

    randomize_vehicle: float = Field(default=1.0, ge=0)
    """Differences between cars: 1 is the spread of the original simulator, 0 makes all alike."""

    randomize_domain: bool = False
    """Choose the color of the light anew in every episode, as domain randomization of the original does."""

    theme: str | None = Field(default=None, min_length=1, examples=["classic"])
    """Colour theme of the scene; without it the track's own."""

    generated: Generated = Generated()
    """Tracks that are made up, for track = "generated"."""

    obstacles: Obstacles = Obstacles()
    """Boxes on the track, for race_type = "object_avoidance"."""

    bots: BotCars = BotCars()
    """Cars that drive along, for race_type = "head_to_bot"."""

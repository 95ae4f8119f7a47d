"""job.toml: on which track a model trains, for how long, and how it is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, Literal

from pydantic import Field, field_validator, model_validator

from hotlap.config.base import Config, build
from hotlap.config.files import read_toml

DEFAULT_TRACK: Final = "first_lap"

# Beyond these an iteration discards further episodes (DeepRacer simapp, `markov/deepracer_memory.py`).
_STEP_CAP = 10_000
_STEP_CAP_DEEPER_NETWORKS = 3_000


class Race(Config):
    """Where the car drives and how episodes start."""

    track: str = Field(default=DEFAULT_TRACK, min_length=1)
    """Name of a built-in track, of one in your track folder, or the path of a route file (.npy)."""

    direction: Literal["as_is", "cw", "ccw", "reversed"] = "as_is"
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

    theme: str | None = Field(default=None, min_length=1, examples=["classic"])
    """Colour theme of the scene; without it the track's own."""


class Training(Config):
    """When training stops, how it measures itself, and what it may use of the machine."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Same seed, same settings, same machine: the same model, byte for byte."""

    max_minutes: float = Field(default=60.0, ge=0)
    """Stop after so many minutes; 0: no limit."""

    max_iterations: int = Field(default=0, ge=0)
    """Stop after so many iterations; 0: the limit of hyperparameters.json alone."""

    goal_clean_share: float = Field(default=0.95, ge=0, le=1)
    """Stop when this share of the evaluation laps is clean; 0: never for this reason."""

    goal_evaluations: int = Field(default=3, ge=1)
    """Evaluations in a row that must reach the goal: one may be luck."""

    eval_laps: int = Field(default=32, ge=1)
    """Laps driven at once, without exploring, in each evaluation between iterations."""

    eval_every: int = Field(default=1, ge=1)
    """Iterations from one evaluation to the next."""

    step_cap: int = Field(default=0, ge=0)
    """Most steps in an iteration; 0: 10000 for the shallow network, 3000 for the deeper two."""

    shared_encoder: bool = False
    """Let policy and value share their convolutions: about twice as fast; not how a car of the original expects it."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the network's arithmetic; auto takes bfloat16 where the machine has it."""

    threads: int = Field(default=0, ge=0)
    """Processor threads to use; 0: all."""

    def step_cap_for(self, network: str) -> int:
        """Most steps in an iteration with this ``network`` of the metadata."""
        shallow = network == "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW"
        return self.step_cap or (_STEP_CAP if shallow else _STEP_CAP_DEEPER_NETWORKS)


class Evaluation(Config):
    """The rules of `hotlap evaluate`."""

    trials: int = Field(default=3, ge=1)
    """Laps (continuous) or attempts (not continuous)."""

    continuous: bool = True
    """Drive all laps in one go; otherwise every trial starts anew."""

    number_of_resets: int = Field(default=100, ge=0)
    """How often the car is put back on the track: 0, or at least 2. 0 ends a trial at its first mistake."""

    off_track_penalty: float = Field(default=5.0, ge=0)
    """Seconds added for leaving the track."""

    collision_penalty: float = Field(default=5.0, ge=0)
    """Seconds added for hitting something."""

    checkpoint: Literal["best", "last"] = "best"
    """Which checkpoint drives."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Same seed, same evaluation."""

    @field_validator("number_of_resets")
    @classmethod
    def _zero_or_at_least_two(cls, number: int) -> int:
        if number == 1:
            raise ValueError("it must be 0 or at least 2, as in the original")
        return number


class Job(Config):
    """One training or evaluation run; every key may be absent."""

    race: Race = Race()
    """Where the car drives and how episodes start."""

    training: Training = Training()
    """When training stops, how it measures itself, and what it may use of the machine."""

    evaluation: Evaluation = Evaluation()
    """The rules of `hotlap evaluate`."""

    @model_validator(mode="after")
    def _goal_needs_enough_laps(self) -> Job:
        training = self.training
        if training.goal_clean_share and round(training.goal_clean_share * training.eval_laps) < 1:
            raise ValueError(
                f"training.goal_clean_share = {training.goal_clean_share} of training.eval_laps = {training.eval_laps} "
                "is less than one lap; raise either"
            )
        return self

    @classmethod
    def load(cls, path: Path | str) -> Job:
        """Read a job.toml.

        Raises:
            ConfigError: Names the file and the line (syntax) or the full key, its value and what is allowed.
        """
        path = Path(path)
        return build(cls, read_toml(path), source=str(path))

    def updated(self, source: str = "command line", **sections: Mapping[str, Any]) -> Job:
        """A copy with some keys replaced, checked as if they stood in the file; a value of None replaces nothing.

        ``job.updated(training={"seed": 3, "max_minutes": None})``
        """
        values = self.model_dump()
        for section, changes in sections.items():
            values[section] |= {key: value for key, value in changes.items() if value is not None}
        return build(type(self), values, source)

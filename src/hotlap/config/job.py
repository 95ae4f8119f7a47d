"""job.toml: on which track a model trains, for how long, and how it is evaluated."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlsplit

from pydantic import BeforeValidator, Field, field_validator, model_validator

from hotlap.config.base import Config, as_tuple, build, overlaid
from hotlap.config.files import key_lines, read_toml
from hotlap.config.monitoring import Monitoring
from hotlap.config.race_settings import Race
from hotlap.config.teaching import Polish, Student, Teacher
from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.errors import ConfigError

BestModelMetric = Literal["clean_laps", "clean_pace", "progress", "reward", "laptime"]
OUR_METRICS: Final = ("clean_laps", "clean_pace")
"""Those that files of the original have no name for."""

Which = (
    Literal["best", "last"]
    | Annotated[int, Field(ge=0)]
    | Annotated[str, Field(pattern=r"^[0-9]{1,9}_Step-[0-9]{1,18}(\.ckpt)?$")]
)
"""Which checkpoint: the best, the last, a number, or a name."""

Disturbance = Literal["mounting", "dirt", "blur", "light", "noise", "all"]
"""What makes pictures harder to read: each of `hotlap.rl.pictures.KINDS`, or all of them."""

# Beyond these an iteration discards further episodes (DeepRacer simapp, `markov/deepracer_memory.py`).
_STEP_CAP = 10_000
_STEP_CAP_DEEPER_NETWORKS = 3_000


class Training(Config):
    """When training stops, how it measures itself, and what it may use of the machine."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Same seed, same settings, same machine: the same model, byte for byte."""

    method: Literal["ppo", "teacher"] = "ppo"
    """How the model learns: by the algorithm of model_metadata.json alone, as in the original (ppo), or from a teacher
    that sees the simulator's state and learns the reward function first (teacher): see docs/teacher.md."""

    max_minutes: float = Field(default=60.0, ge=0)
    """Stop after so many minutes in all, over resumes; 0: no limit. `hotlap train --minutes` counts from its start."""

    max_iterations: int = Field(default=0, ge=0)
    """Stop after so many iterations in all, over resumes; 0: the limit of hyperparameters.json alone. `hotlap train
    --iterations` counts from its start."""

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

    network: str | None = Field(default=None, pattern=r"^[\w.]+:\w+$", examples=["my_package.networks:residual"])
    """A network of your own as module:factory, instead of that of model_metadata.json; see docs/compatibility.md."""

    critic: Literal["camera", "state"] = "camera"
    """What the value network reads while it learns: the camera, as in the original, or the simulator's state, by a
    small network at half of the work. The car needs neither."""

    target_kl: float = Field(default=0.0, ge=0)
    """End the epochs of an update once the policy has moved so far from the one that drove [nat]; 0: never, as in the
    original."""

    shared_encoder: bool = False
    """Let policy and value share their convolutions: about twice as fast; not how a car of the original expects it."""

    precision: Literal["auto", "float32", "bfloat16"] = "auto"
    """Number format of the network's arithmetic; auto takes bfloat16 where the machine has it."""

    threads: int = Field(default=0, ge=0)
    """Processor threads of the trainer; 0: all. Every rollout worker process uses one."""

    workers: int = Field(default=1, ge=1, le=10_000)
    """Rollout workers. One plays in the trainer's process; several are processes of their own (Ray)."""

    cluster: str | None = Field(default=None, min_length=1, examples=["10.0.0.5:6379"])
    """Address of a running Ray cluster for the workers; without it they run on this machine."""

    max_policy_lag: int = Field(default=0, ge=0, le=1)
    """1: collect the next iteration while the network learns from this one, with weights one update old. 0: never."""

    worker_timeout_s: float = Field(default=60.0, ge=1)
    """A worker whose episodes make no step for so long is ended, and its episodes are planned again elsewhere [s]."""

    output: str | None = Field(default=None, pattern=r"^s3://[^/]+/.+", examples=["s3://models/first-lap"])
    """Leave the trained model and its records below this prefix of a bucket instead of in the model's folder."""

    traced_episodes: int = Field(default=0, ge=0)
    """Episodes of an iteration, the first ones, whose steps are written to the traces; 0: all."""

    log_steps: bool = False
    """Log a line for each step too, as workers of the original do (SIM_TRACE_LOG); traces hold the same."""

    best_model_metric: BestModelMetric = "clean_laps"
    """What makes a checkpoint the best: most clean laps; or clean_pace, the time of clean laps divided by the squared
    share of them; or as in the original mean progress, reward or lap time."""

    keep_checkpoints: (
        Annotated[int, Field(ge=1)] | Annotated[str, Field(pattern=r"^(all|(best|every) [1-9]\d{0,5})$")]
    ) = 4
    """Which checkpoints stay, beside the last four, the best and its closest rivals: "all", "best 5", "every 10", or a
    number of the newest."""

    clone_from: str | None = Field(default=None, min_length=1, examples=["models/earlier"])
    """Begin with the weights of the model in this folder, or at s3://bucket/prefix, instead of random ones."""

    clone_checkpoint: Which = "best"
    """Which of its checkpoints: best, last, a number, or a name such as 5_Step-4912."""

    @property
    def critic_kind(self) -> Literal["camera", "state", "shared"]:
        """Who estimates the value."""
        return "shared" if self.shared_encoder else self.critic

    @model_validator(mode="after")
    def _one_critic(self) -> Training:
        if self.shared_encoder and self.critic == "state":
            raise ValueError(
                "training.shared_encoder = true lets the policy's network estimate the value, and "
                'training.critic = "state" another one; leave one of them out'
            )
        return self

    @property
    def kept_checkpoints(self) -> tuple[int | None, int]:
        """How many of the newest checkpoints stay (None: all), and every how many-th does (0: none)."""
        word, _, number = str(self.keep_checkpoints).partition(" ")
        if word == "all":
            return None, 0
        return (int(word) if word.isdigit() else 4), (int(number) if word == "every" else 0)

    @property
    def num_contenders(self) -> int:
        """Checkpoints that stay because they are the best or may turn out to be."""
        word, _, number = str(self.keep_checkpoints).partition(" ")
        return max(4, int(number)) if word == "best" else 4

    def step_cap_for(self, network: str) -> int:
        """Most steps in an iteration with this ``network`` of the metadata."""
        shallow = network == SHALLOW
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

    checkpoint: Which = "best"
    """Which checkpoint drives: best, last, a number, or a name such as 5_Step-4912."""

    seed: int = Field(default=0, ge=0, lt=2**63)
    """Same seed, same evaluation."""

    disturb: Disturbance | None = Field(default=None, examples=["light"])
    """How pictures differ from those of the simulator, in each trial in another way: another mounting of the camera,
    dirt, blur, light, noise, or all. Without it they do not."""

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

    teacher: Teacher = Teacher()
    """With training.method = "teacher", the first stage: a small network that sees the simulator's state learns the
    reward function."""

    student: Student = Student()
    """The second stage: the model learns to do with its own sensors what the teacher does."""

    polish: Polish = Polish()
    """The third stage: the model goes on by PPO."""

    monitoring: Monitoring = Monitoring()
    """Who else is told how a training goes; none of them can stop it or slow it down."""

    workers: Annotated[tuple[dict[str, Any], ...], BeforeValidator(as_tuple)] = Field(
        default=(), examples=[({"track": "copper_oval"}, {"track": "paperclip", "reverse_dir": True})]
    )
    """One [[workers]] table per rollout worker, each with the keys of [race] in which it differs. With them there are
    as many workers as tables; training.workers may be left out."""

    @property
    def num_workers(self) -> int:
        """Rollout workers: as many as there are [[workers]] tables, or else training.workers."""
        return len(self.workers) or self.training.workers

    @property
    def races(self) -> tuple[Race, ...]:
        """The race of each rollout worker, or a single one if all drive the same."""
        if not self.workers:
            return (self.race,)
        race = self.race.model_dump()
        return tuple(
            build(Race, overlaid(race, changes), source=f"[[workers]] table {number}")
            for number, changes in enumerate(self.workers, start=1)
        )

    @model_validator(mode="after")
    def _every_worker_drives_a_race(self) -> Job:
        try:
            assert self.races
        except ConfigError as error:
            raise ValueError(" ".join(str(error).split()).removesuffix(".")) from None
        return self

    @model_validator(mode="after")
    def _as_many_workers_as_tables(self) -> Job:
        if self.workers and self.training.workers not in (1, len(self.workers)):
            raise ValueError(
                f"training.workers = {self.training.workers}, but there are {len(self.workers)} [[workers]] tables; "
                "leave training.workers out"
            )
        return self

    @model_validator(mode="after")
    def _a_student_begins_anew(self) -> Job:
        if self.training.method == "teacher" and self.training.clone_from:
            raise ValueError(
                'training.method = "teacher" begins with fresh weights, so training.clone_from (--clone) has no use; '
                "leave one of them out"
            )
        return self

    @model_validator(mode="after")
    def _goal_needs_enough_laps(self) -> Job:
        training = self.training
        if training.goal_clean_share and round(training.goal_clean_share * training.eval_laps) < 1:
            raise ValueError(
                f"training.goal_clean_share = {training.goal_clean_share} of training.eval_laps = {training.eval_laps} "
                "is less than one lap; raise either"
            )
        return self

    @model_validator(mode="after")
    def _no_password_in_an_address(self) -> Job:
        # Here and not beside the field, so that no message quotes it.
        uri = self.monitoring.mlflow_uri
        if uri is not None and "@" in urlsplit(uri).netloc:
            raise ValueError(
                "monitoring.mlflow_uri holds credentials; write http://host:port, and set MLFLOW_TRACKING_USERNAME and "
                "MLFLOW_TRACKING_PASSWORD or MLFLOW_TRACKING_TOKEN in the environment"
            )
        return self

    @classmethod
    def load(cls, path: Path | str) -> Job:
        """Read a job.toml.

        Raises:
            ConfigError: Names the file and the line (syntax) or the full key, its value and what is allowed.
        """
        path = Path(path)
        return build(cls, read_toml(path), str(path), lines=partial(key_lines, path))

    def updated(self, source: str = "command line", **sections: Mapping[str, Any]) -> Job:
        """A copy with some keys replaced, checked as if they stood in the file; a value of None replaces nothing.

        ``job.updated(training={"seed": 3, "max_minutes": None})``
        """
        values = self.model_dump()
        for section, changes in sections.items():
            given = {key: value for key, value in changes.items() if value is not None}
            values[section] = overlaid(values[section], given)
        return build(type(self), values, source)

"""What training a model takes: one training, or with a teacher three, one after the other.

    DIR/teacher   a small network that is told what pictures show learns the reward function by PPO
    DIR/student   the model learns from it by imitation, on its own drives
    DIR           the model goes on by PPO

Each is a training like any other: it is recorded, resumed and evaluated in its own folder. When a course is resumed,
those of its trainings that had ended are opened again and end at once.

Source: the road from a teacher that knows the state to a student that sees is that of Chen et al. (2019),
arXiv:1912.12294.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path
from typing import Any, Self

from torch import Tensor

from hotlap.config.base import warn
from hotlap.config.files import read_json_object
from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.config.teaching import with_numbers
from hotlap.config.template import hyperparameters_json, job_toml
from hotlap.deepracer.metadata_names import DENSE
from hotlap.deepracer.sensors import CAMERAS
from hotlap.deepracer.state_values import VISIBLE_STATE
from hotlap.errors import RecordError
from hotlap.records.address import is_s3
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.store import Store
from hotlap.rl.imitation import Imitation, ImitationConfig
from hotlap.rl.networks import ActorCritic
from hotlap.rl.ppo import PPO, PPOConfig
from hotlap.rollouts.model import build_guide
from hotlap.training.annealing import Annealing
from hotlap.training.listener import Listener, Silence
from hotlap.training.method import Method
from hotlap.training.mirror import mirror_of
from hotlap.training.opened import Opened
from hotlap.training.trainer import Trainer, TrainingResult
from hotlap.unfinished import scratch_folder, write_whole

TEACHER, STUDENT = "teacher", "student"
POLISH = "polish"
TEACHER_TIME, STUDENT_TIME = 0.55, 0.85  # shares of the time that is left when the stage begins

# What a teacher learns with. Few episodes in an iteration and small minibatches: many small steps need fewer drives.
TEACHER_SETTINGS = Hyperparameters(
    batch_size=256,
    num_epochs=4,
    lr=1e-3,
    beta_entropy=0.005,
    discount_factor=0.99,
    loss_type="huber",
    term_cond_max_episodes=1_000_000,
    term_cond_avg_score=1e9,
)
WITH_OBJECTS = {"batch_size": 512, "lr": 5e-4}  # which stand elsewhere in every episode: more of them count together
SOON = 1e-3  # [min] a stage for which no time is left ends after its first iteration
PATIENCE = 8  # evaluations, in every fifth iteration, in which a teacher's laps must have got better …
LAST_UPDATES = 30  # … or so many come that are its last ones
STUDENT_LAST_UPDATES = 8
NO_CAP = 100_000_000  # [steps] a teacher's steps are small
GUIDED = (1.0, 0.5)  # share of the episodes of a student's first iterations that the teacher drives


class Course(Opened):
    """The trainings of a model, by ``training.method``.

    Attributes:
        trainer: The one that is open, or was last.

    Args:
        folder: The model.
        job: Its settings; default: those of the folder.
        resume, wipe, listener, minutes, iterations: See `Trainer`.
        at_place: Called when the model's own place is taken, with the store there.
    """

    def __init__(
        self,
        folder: ModelFolder,
        *,
        job: Job | None = None,
        resume: bool = False,
        wipe: bool = False,
        listener: Listener | None = None,
        minutes: float | None = None,
        iterations: int | None = None,
        at_place: Callable[[Store], None] = lambda store: None,
    ) -> None:
        self.folder, self.job = folder, job or folder.job
        self.place = self.job.training.output or folder.path
        self._options: Any = {"resume": resume, "wipe": wipe, "listener": listener}
        self._minutes, self._iterations, self._at_place = minutes, iterations, at_place
        self._tell = (listener or Silence()).on_message
        self._results: dict[str, TrainingResult] = {}
        self._before_s = 0.0  # what earlier runs took for those trainings
        self._stopped = False

    def open(self) -> Self:
        """Open the first training; see `Trainer.open`."""
        self._begun = time.perf_counter()
        with ExitStack() as held:
            self._trainings = self._all(held)
            self._open_next()
            held.callback(lambda: self.trainer.close())
            self._held = held.pop_all()
        return self

    def stop(self) -> None:
        """See `Trainer.stop`."""
        self._stopped = True
        self.trainer.stop()

    def run(self) -> TrainingResult:
        """Train until the last training ends, or one is stopped; see `Trainer.run`."""
        with self:
            while True:
                result = self.trainer.run()
                if result.reason == "stopped" or self._is_last:
                    return replace(result, earlier=self._results)
                self._results[self.trainer.name] = result
                self._before_s += self.trainer.begun.elapsed_s
                self._tell(f"The {self.trainer.name} is done: {_said(result)}.")
                self._open_next()
                if self._stopped:
                    self.trainer.stop()

    @property
    def _resumes(self) -> bool:
        return bool(self._options["resume"]) and not self._options["wipe"]

    @property
    def _is_last(self) -> bool:
        return self.trainer.place == self.place

    def _open_next(self) -> None:
        self.trainer = next(self._trainings)
        self.trainer.open()
        if self._is_last:
            self._at_place(self.trainer.store)

    def _all(self, held: ExitStack) -> Iterator[Trainer]:
        """The trainings, each made when the one before has ended."""
        if self.job.training.method == "ppo":
            limits: Any = {"minutes": self._minutes, "iterations": self._iterations}
            yield Trainer(self.folder, job=self.job, **self._options, **limits)
            return
        if not (self._options["resume"] or self._options["wipe"]):  # or the last training would say so after minutes
            earlier = CheckpointStore(self.place).worth_keeping()
            if earlier:
                raise RecordError(
                    f"{self.place} already holds a trained model (checkpoint {earlier}). Continue it with --resume, or "
                    "delete it and begin anew with --wipe."
                )
        if self._resumes:  # what has not begun yet takes the seed of what has
            seed = CheckpointStore(f"{self.place}/{TEACHER}").seed(self.job.training.seed)
            self.job = self.job.updated(training={"seed": seed})
        if self.job.student.mirror:
            mirror_of(self.folder)  # or the student would say after minutes that it cannot
        if self.job.student.randomize and not set(self.folder.metadata.sensors) & set(CAMERAS):
            warn("student.randomize changes nothing that a model without a camera sees.")
        patience = 0 if self.job.teacher.iterations else PATIENCE
        objects = any(race.race_type != "time_trial" for race in self.job.races)
        settings, student = with_numbers(self.job.teacher, self.job.student, self._minutes or 0.0, objects=objects)
        self.job = self.job.model_copy(update={"teacher": settings, "student": student})
        yield self._training(
            held,
            TEACHER,
            {"sensor": [VISIBLE_STATE], "neural_network": DENSE},
            TEACHER_SETTINGS.model_copy(
                update=(WITH_OBJECTS if objects else {}) | {"num_episodes_between_training": settings.episodes}
            ),
            {
                "max_iterations": settings.iterations,
                "eval_every": max(1, min(5, settings.iterations // 16)),
                "best_model_metric": "clean_pace",
                "eval_laps": 64,
                "goal_clean_share": 0.0,
                "traced_episodes": 8,
                "step_cap": NO_CAP,
                "critic": "state",
                "network": None,
                "threads": 1,  # so small a network is done before a second core has begun
            },
            settings.minutes,
            TEACHER_TIME,
            Method(
                _teacher,
                annealing=Annealing(max(1, min(LAST_UPDATES, settings.iterations // 5)), patience),
                keeps_time=True,
            ),
        )
        teacher = self._best(TEACHER)
        yield self._training(
            held,
            STUDENT,
            {},
            self.folder.hyperparameters.model_copy(
                update={
                    "num_episodes_between_training": student.episodes,
                    "exploration_type": "categorical",
                    "term_cond_max_episodes": 1_000_000,
                    "term_cond_avg_score": 1e9,
                }
            ),
            {
                "max_iterations": student.iterations,
                "step_cap": NO_CAP,
                "critic": "state",
                "traced_episodes": 8,
                "randomize_domain": student.randomize,
            },
            student.minutes,
            STUDENT_TIME,
            Method(
                lambda network, folder, job: _student(network, folder, job, teacher),
                teacher,
                _guided_share,
                Annealing(min(STUDENT_LAST_UPDATES, student.iterations)),
                keeps_time=True,
            ),
        )
        student_ended = self._results[STUDENT].reason
        yield Trainer(
            self.folder,
            job=self._job(
                method="teacher",
                clone_from=f"{self.place}/{STUDENT}",
                clone_checkpoint="best",
                critic="state",
                max_minutes=max(SOON, self._minutes_left),
                max_iterations=self.job.polish.iterations,
                goal_evaluations=1 if student_ended == "goal" else self.job.training.goal_evaluations,
            ),
            method=Method(_polish, keeps_time=True),
            name=POLISH,
            minutes=None if self._minutes is None else max(SOON, self._minutes_left),
            **self._options,
        )

    def _training(
        self,
        held: ExitStack,
        name: str,
        metadata: dict[str, Any],
        hyperparameters: Hyperparameters,
        training: Mapping[str, Any],
        minutes: float,
        share: float,
        method: Method,
    ) -> Trainer:
        """A training in a folder of its own, with the files that say what it learns and how.

        It takes ``minutes`` at most, over all resumes; if that is 0, ``share`` of what is left of the course. It had
        ended, and takes no more, if the next one has begun.
        """
        place = f"{self.place}/{name}"
        after = f"{self.place}/{STUDENT}" if name == TEACHER else self.place
        ended = self._resumes and all(CheckpointStore(each).list() for each in (place, after))
        from_now = None if self._minutes is None or minutes or ended else max(SOON, share * self._minutes_left)
        minutes = SOON if ended else max(SOON, minutes or share * self._minutes_left)
        folder = held.enter_context(scratch_folder()) if is_s3(place) else Path(place)
        job = self._job(**training, output=place if is_s3(place) else None, max_minutes=minutes)
        files = {
            "model_metadata.json": json.dumps(read_json_object(self.folder.metadata_file) | metadata, indent=2) + "\n",
            "hyperparameters.json": hyperparameters_json(hyperparameters),
            "job.toml": job_toml(job),
        }
        try:
            for each, content in files.items():
                if not (folder / each).is_file() or (not ended and (folder / each).read_text() != content):
                    write_whole(folder / each, content.encode())
        except OSError as error:
            raise RecordError(f"{folder} cannot be written ({error.strerror}).") from error
        model = ModelFolder(folder, reward_file=self.folder.reward_file, job=job)
        return Trainer(model, method=method, name=name, minutes=from_now, **self._options)

    def _job(self, *, randomize_domain: bool = False, **training: Any) -> Job:
        """The job with some settings of its training replaced, and lights that are drawn for every episode, if they are
        not anyway."""
        plain = {"method": "ppo", "shared_encoder": False}
        race = self.job.race
        if randomize_domain:
            race = race.model_copy(update={"randomize_domain": True})
        return self.job.model_copy(
            update={"training": self.job.training.model_copy(update=plain | training), "race": race}
        )

    @property
    def _minutes_left(self) -> float:
        """Of the whole course; without a limit, an hour."""
        limit = (self.job.training.max_minutes if self._minutes is None else self._minutes) or 60.0
        before_s = self._before_s if self._minutes is None else 0.0
        return limit - (before_s + time.perf_counter() - self._begun) / 60

    def _best(self, name: str) -> dict[str, Tensor]:
        """Weights of the best checkpoint of one of the trainings."""
        return CheckpointStore(f"{self.place}/{name}").load("best").weights


def _said(result: TrainingResult) -> str:
    best = result.best
    found = f"{best.clean_rate:.0%} of its laps were clean" if best else "it was never evaluated"
    if best and best.lap_time_ms:
        found += f", a lap in {best.lap_time_ms / 1000:.2f} s"
    return f"{found}, after {result.total_steps:,} steps and {result.elapsed_s:.0f} s"


def _teacher(network: ActorCritic, folder: ModelFolder, job: Job) -> PPO:
    config = _ppo_config(folder.hyperparameters)
    return PPO(
        network,
        replace(config, scale_rewards=True),
        precision="float32",  # so small a network gains nothing from a narrower format
    )


def _student(network: ActorCritic, folder: ModelFolder, job: Job, teacher: Mapping[str, Tensor]) -> Imitation:
    student = job.student
    config = ImitationConfig(
        num_samples=student.samples,
        memory=student.memory,
        randomize=student.randomize,
    )
    guide = build_guide(folder.metadata, teacher)
    mirror = mirror_of(folder) if student.mirror else None
    return Imitation(network, guide, config, precision=job.training.precision, mirror=mirror)


def _polish(network: ActorCritic, folder: ModelFolder, job: Job) -> PPO:
    config = _ppo_config(folder.hyperparameters)
    target_kl = job.training.target_kl or 0.01
    return PPO(
        network,
        replace(config, lr=min(config.lr, 1e-4), clip_coef=0.1, beta_entropy=0.0, target_kl=target_kl, value_first=1,
                scale_rewards=True),
        precision=job.training.precision,
    )  # fmt: skip


def _ppo_config(settings: Hyperparameters) -> PPOConfig:
    return PPOConfig(
        lr=settings.lr,
        batch_size=settings.batch_size,
        num_epochs=settings.num_epochs,
        gamma=settings.discount_factor,
        beta_entropy=settings.beta_entropy,
        loss_type="huber" if settings.loss_type == "huber" else "mse",
    )


def _guided_share(iteration: int) -> float:
    return GUIDED[iteration] if iteration < len(GUIDED) else 0.0

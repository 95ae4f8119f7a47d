"""The trainer: one iteration is plan, collect, update, checkpoint, evaluate, record.

Where a fleet plays in other processes, they never wait for the trainer's book-keeping: as soon as the new weights are
there it starts the next collection, with the evaluation of those weights behind it, and only then writes the files of
the iteration before. The evaluation is played while the next update runs, and counted after it. With a policy lag of
one, the next collection starts even before the update, with the weights that are to be updated.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from types import TracebackType
from typing import Self

import numpy as np
import torch

from hotlap.config.availability import refuse, unavailable_algorithm
from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import RecordError, TrainingError
from hotlap.monitoring.monitor import Monitor
from hotlap.monitoring.sink import Beginning
from hotlap.records.address import model_name
from hotlap.records.checkpoints import CheckpointName
from hotlap.records.events import ProgressLog
from hotlap.records.output import open_output
from hotlap.records.store import Store
from hotlap.records.trainer_state import BestCheckpoint, TrainerState
from hotlap.resources import num_processors
from hotlap.rl.learner import Update, build_learner
from hotlap.rl.precision import compute_dtype
from hotlap.rollouts.fleet import Batch, build_fleet
from hotlap.rollouts.model import build_network, rollout_setup, start_rule
from hotlap.rollouts.plan import plan_training
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.training.iteration import after
from hotlap.training.listener import Listener, Listeners, Silence
from hotlap.training.run import Run
from hotlap.training.selection import COLLAPSE_EVALUATIONS, COLLAPSE_SHARE, Selection
from hotlap.training.stages import StageClock

MAX_BAD_UPDATES = 3  # updates in a row with numbers that are not finite before training gives up


@dataclass
class TrainingResult:
    """How a training ended."""

    reason: str
    """``goal``, ``max_minutes``, ``max_iterations``, ``minutes``, ``iterations``,
    ``term_cond_max_episodes``, ``term_cond_avg_score`` or ``stopped`` (see `Trainer.stop`)."""
    iterations: int
    """Finished, over all resumes."""
    total_steps: int
    total_episodes: int
    elapsed_s: float
    """Wall-clock spent training, over all resumes [s]."""
    best: BestCheckpoint | None
    stages_s: dict[str, float] = field(default_factory=dict)
    """Wall-clock of each stage in this run [s]."""
    first_lap: dict[str, float] | None = None
    """``steps`` and ``elapsed_s`` at the end of the iteration with the first complete training lap."""


class Trainer:
    """Trains the model in a folder, once.

    What it leaves behind goes into that folder, or to the job's ``training.output``. Nothing happens before `open`,
    which locks that place and may start processes: `run` it, or use it in a ``with`` statement, which opens it.

    Args:
        folder: The model.
        job: Its settings; default: those of the folder.
        resume: Continue where the last checkpoint there ends.
        wipe: Delete what an earlier training left there.
        listener: Shows what happens.
        minutes: Stop after so many from now, whatever ``training.max_minutes`` says; 0: no limit.
        iterations: Stop after so many from now, whatever ``training.max_iterations`` says; 0: no limit.
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
    ) -> None:
        self.folder = folder
        self.job = job or folder.job
        self.metadata = folder.metadata
        self.hyperparameters = folder.hyperparameters
        self.place = self.job.training.output or folder.path
        self._resume, self._wipe = resume, wipe
        self._minutes, self._iterations = minutes, iterations
        self._shown: Listener = listener or Silence()
        self._stopped = False
        self._held: ExitStack | None = None
        self._ahead: Batch | None = None
        self._before: dict[str, torch.Tensor] | None = None

    def open(self) -> Self:
        """Take the place and build everything, then take up an earlier training there, or delete it.

        Raises:
            ConfigError: If a bucket cannot be used, or a port for monitoring.
            MissingExtraError: If a library for monitoring is not installed.
            RecordError: If there is an earlier training and neither ``resume`` nor ``wipe`` is set, if the place is
                being trained at this moment, or if a bucket does not answer.
        """
        training = self.job.training
        torch.set_num_threads(training.threads or num_processors())
        self._clock = time.perf_counter()
        with ExitStack() as held:
            monitor = held.enter_context(Monitor(self.job.monitoring, self._shown.on_message))
            self.listener: Listener = Listeners(self._shown, monitor)
            self.stage = StageClock(self.listener)
            output = held.enter_context(
                open_output(
                    self.place,
                    self.listener.on_message,
                    resume=self._resume,
                    wipe=self._wipe,
                    clone=training.clone_from is not None,
                )
            )
            refuse(unavailable_algorithm(self.metadata))
            self.network = build_network(
                self.metadata, training.network, shared_encoder=training.shared_encoder, seed=training.seed
            )
            self.learner = build_learner(
                self.metadata.algorithm, self.network, dict(self.hyperparameters), training.precision
            )
            self._run = Run(self.folder, self.job, output, self.learner, self.listener, self.stage, self._elapsed)
            settle = self._run.take_up(resume=self._resume, wipe=self._wipe)
            setup = rollout_setup(self.folder, self.job)
            self.tracks = setup.tracks
            self.num_workers = min(self.job.num_workers, self.hyperparameters.num_episodes_between_training)
            self.fleet = build_fleet(setup, self.job, self.num_workers, self.listener.on_message)
            held.callback(self.fleet.close)
            held.push(monitor)  # ends while its files can still be written
            settle()  # only now, when all that the user gave has proved usable, is anything deleted
            monitor.begin(
                Beginning(
                    model_name(self.place),
                    self.store,
                    num_iterations=self.state.iteration,
                    num_steps=self.state.total_steps,
                    num_episodes=self.state.num_episodes,
                )
            )
            self._run.begin(self.tracks, self.num_workers)
            held.enter_context(self._run)
            self.selection = Selection(self._run, self.job, setup.races[0].rules, self.fleet, self.listener, self.stage)
            self._set_limits()
            self._held = held.pop_all()
        return self

    def _set_limits(self) -> None:
        training, minutes, iterations = self.job.training, self._minutes, self._iterations
        self.max_s = 60 * training.max_minutes if minutes is None else minutes and self.state.elapsed_s + 60 * minutes
        """Limit of the time spent training, over all resumes [s]; 0: none."""
        self.max_iterations = (
            training.max_iterations if iterations is None else iterations and self.state.iteration + iterations
        )
        """Limit of the iterations, over all resumes; 0: none."""

    def close(self) -> None:
        """End the processes that play for this training, bring all it wrote where it belongs, and unlock the place."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self if self._held else self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.__exit__(kind, error, trace)

    def stop(self) -> None:
        """Let `run` end after the present iteration; may be called from a signal handler or another thread."""
        self._stopped = True

    @property
    def state(self) -> TrainerState:
        """What the training has done so far."""
        return self._run.state

    @property
    def store(self) -> Store:
        """Where all that it writes goes."""
        return self._run.store

    @property
    def progress(self) -> ProgressLog:
        """The lines of all finished iterations."""
        return self._run.progress

    @property
    def cloned(self) -> CheckpointName | None:
        """The checkpoint that training begins with, if it is another model's."""
        return self._run.cloned

    @property
    def arithmetic(self) -> str:
        """Number format of the network's arithmetic, such as ``bfloat16``."""
        dtype = compute_dtype(self.job.training.precision, self.learner.device)
        return str(dtype).removeprefix("torch.")

    def run(self) -> TrainingResult:
        """Train until a stop rule applies.

        Raises:
            RewardError: If the reward function fails; all finished iterations are saved.
            TrainingError: If the numbers stay broken after going back to the last good checkpoint, or episodes cannot
                be played.
        """
        with self:
            reason = self._train()
            return TrainingResult(
                reason=reason,
                iterations=self.state.iteration,
                total_steps=self.state.total_steps,
                total_episodes=self.state.num_episodes,
                elapsed_s=self.state.elapsed_s,
                best=self.state.best,
                stages_s=self.stage.total,
                first_lap=self.state.extra.get("first_lap"),
            )

    def _train(self) -> str:
        """The loop; why it ended."""
        run, concurrent = self._run, self.fleet.concurrent
        lagged = self.job.training.max_policy_lag > 0
        self._clock = time.perf_counter() - self.state.elapsed_s
        bad_updates = 0
        if self.state.iteration == 0 and not run.checkpoints.list():
            run.save_checkpoint()
        if not concurrent:  # killed between checkpoint and record: the evaluation is done again
            self._wrap_up()
        while (reason := self._stop_reason()) is None:
            off_policy = self._ahead is not None
            collection = self._ahead or self._start_collection(self.state)
            if concurrent:
                self.selection.start()
                run.save()
            with self.stage("collect", self.hyperparameters.num_episodes_between_training):
                episodes = collection.result(self.listener.on_advance)
            next_state = after(self.state, episodes, self.num_workers)
            run.finish_checkpoint()  # its weights are about to change
            self._ahead = self._start_collection(next_state) if lagged else None
            update = self._update(episodes, off_policy=off_policy)
            if not update.finite:
                bad_updates += 1
                self._give_up_after(bad_updates)
                self._drop_ahead()
                run.state = replace(self.state, num_episodes=next_state.num_episodes)
                continue
            bad_updates = 0
            if self._settle():  # of the iteration before; the update is gone with the weights that it made
                self._drop_ahead()
                update = replace(update, metrics={}, epochs=())
            run.advance(episodes, next_state, update)
            del episodes, collection  # their frames lie in shared memory
            if not concurrent:
                self._wrap_up()
        self._drop_ahead()
        self._wrap_up()
        run.finish_checkpoint()
        if reason != "stopped":
            self.selection.run_off()
        return reason

    def _start_collection(self, state: TrainerState) -> Batch:
        """Let the fleet begin with the iteration that follows ``state``, with the present weights."""
        plans = plan_training(
            [start_rule(race, track) for race, track in zip(self.job.races, self.tracks, strict=True)],
            job_seed=state.seed,
            iteration=state.iteration,
            num_episodes=self.hyperparameters.num_episodes_between_training,
            first_number=state.num_episodes,
            num_workers=self.num_workers,
            earlier=[state.episodes_of(worker) for worker in range(self.num_workers)],
            clock=state.sim_time,
            steps_before=state.total_steps,
        )
        return self.fleet.start(CollectRequest(plans, self.learner.acting_weights(), step_cap=self._step_cap))

    def _drop_ahead(self) -> None:
        """Give up a collection that was started before the update."""
        if self._ahead is not None:
            self._ahead.cancel()
        self._ahead = None

    def _update(self, episodes: Sequence[PlayedEpisode], *, off_policy: bool) -> Update:
        """Learn from ``episodes``; weights and optimizer are as before if the numbers break."""
        number = self._run.checkpoint_name.number + 1  # an iteration is known by that of the checkpoint it makes
        experience = [episode.experience for episode in episodes if episode.experience is not None]
        if not experience:
            raise TrainingError(
                f"iteration {number} brought no step to learn from: its first episode alone exceeds the step cap of "
                f"{self._step_cap} steps. Raise training.step_cap in job.toml."
            )
        self._before = self.learner.state_dict(into=self._before)
        seed = int(np.random.SeedSequence([self.state.seed, self.state.iteration]).generate_state(1)[0])
        with self.stage("update"):
            update = self.learner.update(experience, seed=seed, lagged=off_policy)
        if not update.finite:
            self.learner.load_state_dict(self._before)
            self.listener.on_message(
                f"iteration {number}: the update gave numbers that are not finite. Went back to the weights before it; "
                "the episodes are played anew."
            )
        return update

    def _give_up_after(self, bad_updates: int) -> None:
        if bad_updates >= MAX_BAD_UPDATES:
            raise TrainingError(
                f"{MAX_BAD_UPDATES} updates in a row gave numbers that are not finite. The last good "
                f"checkpoint is {self._run.checkpoints.list()[-1]}. Lower lr in hyperparameters.json or the size "
                "of the rewards."
            )

    def _wrap_up(self) -> None:
        """Write all records of the open iteration, if there is one."""
        self._run.save()
        self.selection.start()
        self._settle()

    def _settle(self) -> bool:
        """Close the open iteration; whether training went back to the best checkpoint's weights."""
        best = self.selection.settle()
        name = CheckpointName.parse(best) if best else None
        if name is None:
            return False
        try:
            weights = self._run.checkpoints.load(name).weights
        except RecordError as error:
            self.listener.on_message(f"{error} Training goes on with the present weights.")
            return False
        self.learner.load_weights(weights)
        self.listener.on_message(
            f"the last {COLLAPSE_EVALUATIONS} evaluations drove less than {COLLAPSE_SHARE:.0%} as far as {best}: "
            "went back to its weights."
        )
        return True

    def _stop_reason(self) -> str | None:
        training = self.job.training
        if self._stopped:
            return "stopped"
        if training.goal_clean_share and self.state.extra.get("goal_evaluations", 0) >= training.goal_evaluations:
            return "goal"
        if self.max_s and self._elapsed() >= self.max_s:
            return "max_minutes" if self._minutes is None else "minutes"
        if self.max_iterations and self.state.iteration >= self.max_iterations:
            return "max_iterations" if self._iterations is None else "iterations"
        if self.state.iteration >= self.hyperparameters.term_cond_max_episodes:
            return "term_cond_max_episodes"
        if self._run.last_reward_mean >= self.hyperparameters.term_cond_avg_score:
            return "term_cond_avg_score"
        return None

    @property
    def _step_cap(self) -> int:
        return self.job.training.step_cap_for(self.metadata.network)

    def _elapsed(self) -> float:
        """Wall-clock spent training, over all resumes [s]."""
        return time.perf_counter() - self._clock

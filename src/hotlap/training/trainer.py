"""The trainer: one iteration is plan, collect, update, checkpoint, evaluate, record.

Where a fleet plays in other processes, they never wait for the trainer's book-keeping: as soon as the new weights are
there it starts the next collection, with the evaluation of those weights behind it, and only then writes the files of
the iteration before. The evaluation is played while the next update runs, and counted after it: if it reaches the goal,
or shows that the policy has forgotten how to drive, what was played and learned beside it is dropped, as if nobody had
begun with it. With a policy lag of one, the next collection starts even before the update, with the weights that are to
be updated.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from typing import Self

import torch

from hotlap.config.availability import refuse, unavailable_algorithm
from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import TrainingError
from hotlap.monitoring.monitor import Monitor
from hotlap.monitoring.sink import Beginning
from hotlap.records.address import model_name
from hotlap.records.checkpoints import CheckpointName
from hotlap.records.events import ProgressLog
from hotlap.records.folder import Folder
from hotlap.records.output import open_output
from hotlap.records.trainer_state import BestCheckpoint, TrainerState
from hotlap.resources import num_processors
from hotlap.rl.learner import Update
from hotlap.rl.precision import compute_dtype
from hotlap.rollouts.fleet import build_fleet
from hotlap.rollouts.model import build_network, rollout_setup
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.training.collector import Collector
from hotlap.training.driven import read_driven
from hotlap.training.iteration import after
from hotlap.training.listener import Listener, Listeners, Silence
from hotlap.training.method import Anneals, Method, Remembers
from hotlap.training.opened import Opened
from hotlap.training.run import Run
from hotlap.training.selection import Selection
from hotlap.training.stages import StageClock
from hotlap.training.stop_rules import StopRules
from hotlap.training.updater import Updater
from hotlap.wording import counted

MAX_BAD_UPDATES = 3  # updates in a row with numbers that are not finite before training gives up


@dataclass
class TrainingResult:
    """How a training ended."""

    reason: str
    """``goal``, ``plateau``, ``max_minutes``, ``max_iterations``, ``minutes``, ``iterations``,
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
    earlier: dict[str, TrainingResult] = field(default_factory=dict)
    """How the trainings before this one ended, by name, where one follows another: teacher, student."""


class Trainer(Opened):
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
        method: How it learns; default: by the algorithm of the metadata.
        name: Of this training, where one follows another.
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
        method: Method | None = None,
        name: str = "",
    ) -> None:
        self.folder, self.name = folder, name
        self.method = method or Method()
        self.job = job or folder.job
        self.metadata = folder.metadata
        self.hyperparameters = folder.hyperparameters
        self.place = self.job.training.output or folder.path
        self._resume, self._wipe = resume, wipe
        self._minutes, self._iterations = minutes, iterations
        self._shown: Listener = listener or Silence()
        self._stopped = False
        self._bad_updates = 0

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
                self.metadata, training.network, critic=training.critic_kind, seed=training.seed
            )
            self.learner = self.method.learner(self.network, self.folder, self.job)
            self._run = Run(self.folder, self.job, output, self.learner, self.listener, self.stage, self._elapsed)
            settle = self._run.take_up(resume=self._resume, wipe=self._wipe)
            setup = rollout_setup(self.folder, self.job, guide=self.method.guide, seed=self._run.seed)
            self.pools = setup.pools
            self.num_workers = min(self.job.num_workers, self.hyperparameters.num_episodes_between_training)
            self.fleet = build_fleet(
                setup, training, self.num_workers, cluster=training.cluster, on_message=self.listener.on_message
            )
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
                    measures={metric.name: str(metric) for metric in self.learner.metrics},
                )
            )
            if self._run.last_record and not self._run.open:  # perhaps a sink did not get it before a kill
                monitor.on_iteration(self._run.last_record)
            self._run.begin(self.pools, self.num_workers)
            held.enter_context(self._run)
            self.selection = Selection(
                self._run,
                self.job,
                setup.races[0].rules,
                self.pools,
                self.fleet,
                self.listener,
                self.stage,
                self.method.annealing,
            )
            self._updater = Updater(self.learner)
            self._collector = Collector(
                self.fleet,
                self.learner,
                self.job,
                self.pools,
                num_episodes=self.hyperparameters.num_episodes_between_training,
                num_workers=self.num_workers,
                step_cap=training.step_cap_for(self.metadata.network),
                guided_share=self.method.guided_share,
            )
            self.stop_rules = StopRules(
                training, self.hyperparameters, self.state, minutes=self._minutes, iterations=self._iterations
            )
            self.begun = self.state
            """What had been done before this run."""
            self._held = held.pop_all()
        return self

    def stop(self) -> None:
        """Let `run` end after the present iteration; may be called from a signal handler or another thread."""
        self._stopped = True

    @property
    def state(self) -> TrainerState:
        """What the training has done so far."""
        return self._run.state

    @property
    def store(self) -> Folder:
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
            self.listener.on_begin(self.name, self.stop_rules.max_s, self.stop_rules.max_iterations)
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
        run, selection, collector, concurrent = self._run, self.selection, self._collector, self.fleet.concurrent
        self._clock = time.perf_counter() - self.state.elapsed_s
        if self.state.iteration == 0 and not run.checkpoints.list():
            run.save_checkpoint()
        if not concurrent:  # what a killed run left open
            self._wrap_up()
        if isinstance(self.learner, Remembers) and self.state.iteration and self._stop_reason() is None:
            self._drive_again(self.learner)
        while (reason := self._stop_reason()) is None:
            collection = collector.begin(self.state)
            if concurrent:
                selection.start()
                run.save()
            with self.stage("collect", collector.num_episodes):
                episodes = collection.result(self.listener.on_advance)
            next_state = after(self.state, episodes, self.num_workers)
            run.finish_checkpoint()  # its weights are about to change
            collector.play_ahead(next_state)
            update = self._update(episodes)
            went_back = selection.settle()  # of the iteration before, whose laps a fleet drove meanwhile
            if went_back or selection.goal_reached:
                self._drop(undo=not went_back)
            elif not update.finite:
                self._play_anew(next_state)
            else:
                self._bad_updates = 0
                run.advance(episodes, next_state, update)
                if not concurrent:
                    self._wrap_up()
            del episodes, collection  # their frames lie in shared memory
        collector.drop_ahead()
        self._wrap_up()
        run.finish_checkpoint()
        if reason == "stopped":
            return reason
        selection.run_off(self._left_s)
        return "goal" if selection.goal_reached else reason

    def _drive_again(self, learner: Remembers) -> None:
        """Drive what the learner remembered once more: its pictures are not saved."""
        plans: list[EpisodePlan] = []
        num_steps, iteration = 0, self.state.iteration
        while iteration and num_steps < learner.memory:
            iteration -= 1
            driven = read_driven(self.store, iteration)
            num_steps += sum(len(plan.actions or ()) - 1 for plan in driven)  # the first one is not executed
            plans = driven + plans
        self.listener.on_message(f"Driving {counted(len(plans), 'episode')} again, which the student remembers.")
        played = self.fleet.start(CollectRequest(plans, self.learner.acting_weights())).result()
        learner.remember_again([episode.experience for episode in played if episode.experience is not None])

    def _wrap_up(self) -> None:
        """Write all records of the open iteration, if there is one: checkpoint, evaluation, line."""
        self._run.save()
        self.selection.start()
        self.selection.settle()

    def _update(self, episodes: Sequence[PlayedEpisode]) -> Update:
        self._anneal()
        with self.stage("update"):
            update = self._updater.update(episodes, self.state, lagged=self._collector.lagged)
        if update is None:
            raise TrainingError(
                f"iteration {self._next_number} brought no step to learn from: its first episode alone exceeds the "
                f"step cap of {self._collector.step_cap} steps. Raise training.step_cap in job.toml."
            )
        return update

    def _anneal(self) -> None:
        """Let the learner know how near the end is."""
        if not isinstance(self.learner, Anneals):
            return
        annealing = self.method.annealing
        if self.stop_rules.max_s and self.state.iteration:
            elapsed_s = self._elapsed()
            self._run.state = annealing.begun_in_time(
                self.state, self.stop_rules.max_s - elapsed_s, elapsed_s / self.state.iteration
            )
        self.learner.anneal(annealing.share(self.state, self.stop_rules.max_iterations))

    def _drop(self, *, undo: bool) -> None:
        """Forget an iteration that was played and learned beside an evaluation which shows that it should not be.

        A single process would have known before: so what is left, and learned next, does not depend on who plays.
        """
        if undo:
            self._updater.undo()
        self._collector.drop_ahead()
        self.stage.next_iteration()

    def _play_anew(self, next_state: TrainerState) -> None:
        """Take back an update whose numbers broke, and go on with episodes of other numbers.

        Raises:
            TrainingError: If this has happened too often in a row.
        """
        self._updater.undo()
        self.listener.on_message(
            f"iteration {self._next_number}: the update gave numbers that are not finite. Went back to the weights "
            "before it; the episodes are played anew."
        )
        self._bad_updates += 1
        if self._bad_updates >= MAX_BAD_UPDATES:
            raise TrainingError(
                f"{MAX_BAD_UPDATES} updates in a row gave numbers that are not finite. The last good "
                f"checkpoint is {self._run.checkpoints.list()[-1]}. Lower lr in hyperparameters.json or the size "
                "of the rewards."
            )
        self._collector.drop_ahead()
        self._run.state = replace(self.state, num_episodes=next_state.num_episodes)

    @property
    def _next_number(self) -> int:
        """An iteration is known by the number of the checkpoint that it makes."""
        return self._run.checkpoint_name.number + 1

    def _stop_reason(self) -> str | None:
        if self._stopped:
            return "stopped"
        if self.selection.goal_reached:
            return "goal"
        limit = self.stop_rules.reached(self.state, self._elapsed() + self._foreseen_s())
        return "plateau" if limit is None and self.method.annealing.done(self.state) else limit

    def _foreseen_s(self) -> float:
        """What a further iteration and the least of final drives after it would take [s], where that must fit in."""
        last = self._run.last_record
        if last is None or not self.method.keeps_time:
            return 0.0
        return sum((self._run.stages or last.stages_s).values()) + self.selection.round_s

    def _left_s(self) -> float:
        """Time that is left for final drives [s]."""
        limited = self.method.keeps_time and self.stop_rules.max_s
        return self.stop_rules.max_s - self._elapsed() if limited else math.inf

    def _elapsed(self) -> float:
        """Wall-clock spent training, over all resumes [s]."""
        return time.perf_counter() - self._clock

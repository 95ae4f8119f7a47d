"""The trainer: one iteration is plan, collect, update, checkpoint, evaluate, record.

Where a fleet plays in other processes, they never wait for the trainer's book-keeping: as soon as the new weights are
there it starts the next collection, with the evaluation of those weights behind it, and only then writes the files of
the iteration before. The evaluation is played while the next update runs, and counted after it. With a policy lag of
one, the next collection starts even before the update, with the weights that are to be updated.
"""

from __future__ import annotations

import json
import math
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from types import TracebackType

import numpy as np
import torch

from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import RecordError, TrainingError
from hotlap.evaluation.laps import laps_of
from hotlap.evaluation.statistics import EvaluationReport
from hotlap.monitoring.monitor import Monitor
from hotlap.monitoring.sink import Beginning
from hotlap.records.checkpoints import CheckpointName, CheckpointStore
from hotlap.records.events import IterationRecord, ProgressLog
from hotlap.records.layout import FINISHED
from hotlap.records.output import open_output
from hotlap.records.place import is_bucket_place, place_name
from hotlap.records.tallies import TALLIES, Tally, TallyLog
from hotlap.records.trainer_state import BestCheckpoint, TrainerState
from hotlap.records.typed_json import parse_record
from hotlap.rl.ppo import PPO, PPOConfig, UpdateStats
from hotlap.rl.precision import compute_dtype
from hotlap.rollouts.fleet import Batch, build_fleet
from hotlap.rollouts.model import build_network, rollout_setup, start_rule
from hotlap.rollouts.plan import SELECTION, EpisodePlan, plan_evaluation, plan_training
from hotlap.rollouts.run_description import describe_workers
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.training.background import Background
from hotlap.training.fit import changed_since, checksums, require_fit
from hotlap.training.iteration import OpenIteration, after, summarize
from hotlap.training.launch import announce
from hotlap.training.listener import Listener, Listeners, Silence
from hotlap.training.recorder import Recorder
from hotlap.training.selection import (
    candidate,
    contenders,
    final_drivers,
    index_entry,
    index_metric,
    leading,
    next_drivers,
    with_laps,
)
from hotlap.training.stages import StageClock
from hotlap.training.training_log import LOG_BYTES, TrainingLog
from hotlap.training.verdict import COLLAPSE_EVALUATIONS, COLLAPSE_SHARE, judge

FILES = "files"  # in the trainer's state: checksums of what the user wrote
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


def ppo_config(hyperparameters: Hyperparameters) -> PPOConfig:
    """PPO's settings from the names of hyperparameters.json."""
    return PPOConfig(
        lr=hyperparameters.lr,
        batch_size=hyperparameters.batch_size,
        num_epochs=hyperparameters.num_epochs,
        gamma=hyperparameters.discount_factor,
        beta_entropy=hyperparameters.beta_entropy,
        loss_type="huber" if hyperparameters.loss_type == "huber" else "mse",
    )


class Trainer:
    """Trains the model in a folder, once.

    What it leaves behind goes into that folder, or to the job's ``training.output``. It locks that place and may hold
    processes: `run` it, or `close` it, or use it in a ``with`` statement.

    Args:
        folder: The model.
        job: Its settings; default: those of the folder.
        resume: Continue where the last checkpoint there ends.
        wipe: Delete what an earlier training left there.
        listener: Shows what happens.
        minutes: Stop after so many from now, whatever ``training.max_minutes`` says; 0: no limit.
        iterations: Stop after so many from now, whatever ``training.max_iterations`` says; 0: no limit.

    Raises:
        ConfigError: If a bucket cannot be used, or a port for monitoring.
        MissingExtraError: If a library for monitoring is not installed.
        RecordError: If there is an earlier training and neither ``resume`` nor ``wipe`` is set, if the place is being
            trained at this moment, or if a bucket does not answer.
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
        training = self.job.training
        torch.set_num_threads(training.threads or os.cpu_count() or 1)

        self.last_reward_mean = -math.inf
        self._clock = time.perf_counter()
        self._stopped = False
        self._minutes, self._iterations = minutes, iterations
        self._saving = Background()
        self._open: OpenIteration | None = None
        self._ahead: Batch | None = None
        self._before: dict[str, torch.Tensor] | None = None
        self.place = training.output or folder.path
        self.cloned: CheckpointName | None = None
        """The checkpoint that training begins with, if it is another model's."""
        with ExitStack() as held:
            shown: Listener = listener or Silence()
            self.monitor = held.enter_context(Monitor(self.job.monitoring, shown.on_message))
            self.listener: Listener = Listeners(shown, self.monitor)
            self.stage = StageClock(self.listener)
            self.output = held.enter_context(
                open_output(
                    self.place,
                    self.listener.on_message,
                    resume=resume,
                    wipe=wipe,
                    clone=training.clone_from is not None,
                )
            )
            self._begin(held, resume=resume, wipe=wipe)
            self._held = held.pop_all()

    def _begin(self, held: ExitStack, *, resume: bool, wipe: bool) -> None:
        """Build everything, then take up an earlier training or delete it."""
        training = self.job.training
        self.store = self.output.store
        keep, every = training.kept_checkpoints
        self.checkpoints = CheckpointStore(self.store, keep=keep, every=every)
        # The first weights of a training that ended before its first iteration are no loss.
        earlier = bool(self.checkpoints.list()) and (resume or self.checkpoints.worth_keeping() is not None)
        wipe = wipe or (not earlier and bool(self.checkpoints.list()))
        self.network = build_network(self.metadata, shared_encoder=training.shared_encoder, seed=training.seed)
        self.ppo = PPO(self.network, ppo_config(self.hyperparameters), precision=training.precision)
        self.state = TrainerState(
            iteration=0, total_steps=0, num_episodes=0, elapsed_s=0.0, sim_time=0.0, seed=training.seed
        )
        if training.clone_from and not (earlier and resume):
            self._clone(training.clone_from)
        self.setup = rollout_setup(self.folder, self.job)
        self._checksums = checksums(self.folder)
        self.num_workers = min(self.job.num_workers, self.hyperparameters.num_episodes_between_training)
        self.tracks = self.setup.tracks
        self.fleet = build_fleet(self.setup, self.job, self.num_workers, self.listener.on_message)
        held.callback(self.fleet.close)
        held.push(self.monitor)  # ends while its files can still be written

        # Only now, when all that the user gave has proved usable, is anything deleted.
        if wipe:
            self.output.wipe()
        elif earlier:
            self._restore()
        self.monitor.begin(
            Beginning(
                place_name(self.place),
                self.store,
                num_iterations=self.state.iteration,
                num_steps=self.state.total_steps,
                num_episodes=self.state.num_episodes,
            )
        )
        self.recorder = Recorder(
            self.store,
            self.state,
            num_lines=max(0, self.state.iteration - bool(self._open)),
            num_workers=self.num_workers,
            tracks=self.tracks,
            best_model_metric=index_metric(training.best_model_metric),
            log=TrainingLog(
                self.store,
                describe_workers(self.folder, self.job, self.tracks, self.num_workers),
                kept=self.state.extra.get(LOG_BYTES, {}) if earlier and not wipe else None,
                metric=training.best_model_metric,
                steps=training.log_steps,
                echo=self.listener.on_log,
            ),
        )
        begin, done = self.state.elapsed_s, self.state.iteration
        minutes, iterations = self._minutes, self._iterations
        self.max_s = 60 * training.max_minutes if minutes is None else minutes and begin + 60 * minutes
        """Limit of the time spent training, over all resumes [s]; 0: none."""
        self.max_iterations = training.max_iterations if iterations is None else iterations and done + iterations
        """Limit of the iterations, over all resumes; 0: none."""
        self.tallies = TallyLog(
            self.store,
            num_iterations=max(0, self.state.iteration - bool(self._open)),
            kept=self.state.extra.get(LOG_BYTES, {}).get(TALLIES),
        )
        self.store.delete(FINISHED)
        held.push(self._announce_end)
        held.callback(self._saving.wait)
        announce(self.folder, self.store, elsewhere=is_bucket_place(self.place))

    def __enter__(self) -> Trainer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.__exit__(kind, error, trace)

    def close(self) -> None:
        """End the processes that play for this training, bring all it wrote where it belongs, and unlock the place."""
        self._held.close()

    def stop(self) -> None:
        """Let `run` end after the present iteration; may be called from a signal handler or another thread."""
        self._stopped = True

    @property
    def progress(self) -> ProgressLog:
        """The lines of all finished iterations."""
        return self.recorder.progress

    @property
    def arithmetic(self) -> str:
        """Number format of the network's arithmetic, such as ``bfloat16``."""
        dtype = compute_dtype(self.job.training.precision, self.ppo.device)
        return str(dtype).removeprefix("torch.")

    def run(self) -> TrainingResult:
        """Train until a stop rule applies.

        Raises:
            RewardError: If the reward function fails; all finished iterations are saved.
            TrainingError: If the numbers stay broken after going back to the last good checkpoint, or episodes cannot
                be played.
        """
        with self:
            return self._run()

    def _run(self) -> TrainingResult:
        self._clock = time.perf_counter() - self.state.elapsed_s
        concurrent = self.fleet.concurrent
        lagged = self.job.training.max_policy_lag > 0
        bad_updates = 0
        if self.state.iteration == 0 and not self.checkpoints.list():
            self._checkpoint()
        if not concurrent:  # killed between checkpoint and record: the evaluation is done again
            self._wrap_up()
        while (reason := self._stop_reason()) is None:
            off_policy = self._ahead is not None
            collection = self._ahead or self._start_collection(self.state)
            if concurrent:
                self._start_evaluation()
                self._save()
            with self.stage("collect", self.hyperparameters.num_episodes_between_training):
                episodes = collection.result(self.listener.on_advance)
            next_state = after(self.state, episodes, self.num_workers)
            self._finish_checkpoint()  # its weights are about to change
            self._ahead = self._start_collection(next_state) if lagged else None
            stats = self._update(episodes, off_policy=off_policy)
            if not stats.finite:
                bad_updates += 1
                self._give_up_after(bad_updates)
                self._drop_ahead()
                self.state = replace(self.state, num_episodes=next_state.num_episodes)
                continue
            bad_updates = 0
            if self._settle():  # of the iteration before; other weights than those that were to be updated
                self._drop_ahead()
            self._advance(episodes, next_state, stats)
            del episodes, collection  # their frames lie in shared memory
            if not concurrent:
                self._wrap_up()
        self._drop_ahead()
        self._wrap_up()
        self._finish_checkpoint()
        if reason != "stopped":
            self._run_off()
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
        return self.fleet.start(self._policy_weights(), plans, explore=True, step_cap=self._step_cap)

    def _drop_ahead(self) -> None:
        """Give up a collection that was started before the update."""
        if self._ahead is not None:
            self._ahead.cancel()
        self._ahead = None

    def _update(self, episodes: Sequence[PlayedEpisode], *, off_policy: bool) -> UpdateStats:
        """Learn from ``episodes``; weights and optimizer are as before if the numbers break."""
        experience = [episode.experience for episode in episodes if episode.experience is not None]
        if not experience:
            raise TrainingError(
                f"iteration {self._iteration_number} brought no step to learn from: its first episode alone exceeds "
                f"the step cap of {self._step_cap} steps. Raise training.step_cap in job.toml."
            )
        self._before = self.ppo.state_dict(into=self._before)
        seed = int(np.random.SeedSequence([self.state.seed, self.state.iteration]).generate_state(1)[0])
        with self.stage("update"):
            stats = self.ppo.update(experience, seed=seed, lagged=off_policy)
        if not stats.finite:
            self.ppo.load_state_dict(self._before)
            self.listener.on_message(
                f"iteration {self._iteration_number}: the update gave numbers that are not finite. "
                "Went back to the weights before it; the episodes are played anew."
            )
        return stats

    def _give_up_after(self, bad_updates: int) -> None:
        if bad_updates >= MAX_BAD_UPDATES:
            raise TrainingError(
                f"{MAX_BAD_UPDATES} updates in a row gave numbers that are not finite. The last good "
                f"checkpoint is {self.checkpoints.list()[-1]}. Lower lr in hyperparameters.json or the size "
                "of the rewards."
            )

    def _advance(self, episodes: Sequence[PlayedEpisode], next_state: TrainerState, stats: UpdateStats) -> None:
        """Open the record of the iteration that was just learned from."""
        self.recorder.add(episodes, self.state.iteration)
        iteration, elapsed_s = self.state.iteration, self._elapsed()
        extra = dict(self.state.extra)
        if "first_lap" not in extra and any(episode.completed for episode in episodes):
            extra["first_lap"] = {"steps": next_state.total_steps, "elapsed_s": elapsed_s}
        # What the evaluation before has changed meanwhile stays.
        self.state = replace(next_state, best=self.state.best, elapsed_s=elapsed_s)
        record = summarize(
            iteration, episodes, stats, self.state, self._checkpoint_name(), self.tracks, self.num_workers
        )
        self.state = replace(self.state, extra=extra | {"record": asdict(record)})
        self.recorder.log.learned(record, episodes, stats, lr=self.ppo.config.lr)
        self._open = OpenIteration(record, self.stage.next_iteration())

    def _wrap_up(self) -> None:
        """Write all records of the open iteration, if there is one."""
        self._save()
        self._start_evaluation()
        self._settle()

    def _save(self) -> None:
        """Write traces, metrics and checkpoint of the open iteration."""
        if self._open is None or self._open.saved:
            return
        with self.stage("record", iteration=self._open.stages):
            written = self.recorder.write(self._open.record.iteration)
        self.listener.on_episodes(written)
        self._checkpoint()
        self._open.saved = True

    def _start_evaluation(self) -> None:
        """Let the fleet begin to evaluate the weights of the open iteration, if they are to be evaluated."""
        training = self.job.training
        if self._open is None or self._open.evaluation or self.state.iteration % training.eval_every:
            return
        self._open.evaluation = self.fleet.start(self._policy_weights(), self._plan_set(0), explore=False)

    def _settle(self) -> bool:
        """Wait for the evaluation of the open iteration, choose the best checkpoint, add the iteration's line.

        Returns:
            Whether training went back to the best checkpoint's weights.
        """
        if self._open is None:
            return False
        record, evaluation = self._open.record, self._open.evaluation
        collapsed = False
        if evaluation is not None:
            with self.stage("evaluate", self.job.training.eval_laps, iteration=self._open.stages):
                episodes = evaluation.result(self.listener.on_advance)
            with self.stage("record", iteration=self._open.stages):
                written = self.recorder.write_evaluation(episodes, record.iteration, clock=self.state.sim_time)
            self.listener.on_episodes(written)
            self._finish_checkpoint()  # before the index names it
            report, rewards = self._report(episodes)
            challenger, incumbent = self._compare(with_laps(Tally(record.checkpoint), report, rewards))
            verdict = judge(
                record, report, float(np.mean(rewards)), self.state, self.job.training, challenger, incumbent
            )
            self.recorder.log.evaluated(verdict.record, episodes, verdict.new, former=self.state.best)
            record, self.state, collapsed = verdict.record, verdict.state, verdict.collapsed
            self._keep_contenders(challenger, incumbent)
            self.tallies.append([tally for tally in (incumbent, challenger) if tally is not None], record.iteration)
            self.checkpoints.write_index(
                best=index_entry(verdict.best, self.state.sim_time), last=index_entry(verdict.new, self.state.sim_time)
            )
            if collapsed:
                self._go_back_to(verdict.best.name)
        self._finish_checkpoint()
        # Where laps are driven beside the next update, an iteration ends when its weights are there.
        elapsed_s = record.elapsed_s if self.fleet.concurrent else self._elapsed()
        stages_s = {name: round(seconds, 3) for name, seconds in sorted(self._open.stages.items())}
        record = replace(record, elapsed_s=elapsed_s, stages_s=stages_s)
        self.state = replace(self.state, elapsed_s=elapsed_s)
        self._open = None
        self.progress.append(record)
        self.last_reward_mean = record.reward_mean
        self.listener.on_iteration(record)
        return collapsed

    def _go_back_to(self, best: str) -> None:
        """Take the best checkpoint's weights again, with a fresh optimizer."""
        weights = self.checkpoints.load("best").weights
        self.ppo = PPO(self.network, self.ppo.config, precision=self.job.training.precision)
        state = self.ppo.state_dict() | {f"model.{name}": value for name, value in weights.items()}
        self.ppo.load_state_dict(state)
        self.listener.on_message(
            f"the last {COLLAPSE_EVALUATIONS} evaluations drove less than {COLLAPSE_SHARE:.0%} as far as {best}: "
            "went back to its weights."
        )

    def _report(self, episodes: Sequence[PlayedEpisode]) -> tuple[EvaluationReport, list[float]]:
        """What came of an evaluation, and the reward of each episode."""
        rules = self.setup.races[0].rules
        return laps_of(episodes, rules), [float(episode.reward) for episode in episodes]

    def _plan_set(self, number: int) -> list[EpisodePlan]:
        """A set of cars, the same for every checkpoint of the job."""
        return plan_evaluation(
            job_seed=self.state.seed,
            number=number,
            num_laps=max(self.job.training.eval_laps, len(self.job.races)),
            reverse=[race.reverse_dir for race in self.job.races],
            purpose=SELECTION,
        )

    def _compare(self, challenger: Tally) -> tuple[Tally, Tally | None]:
        """Let a newly evaluated checkpoint and the best one drive until the better can be chosen."""
        metric, best = self.job.training.best_model_metric, self.state.best
        incumbent: Tally | None = None
        if best is not None and best.name != challenger.checkpoint:
            incumbent = {tally.checkpoint: tally for tally in self._contenders}.get(best.name, Tally(best.name))
        while drivers := next_drivers(challenger, incumbent, metric):
            driven = {tally.checkpoint: tally for tally in self._drive(drivers)}
            if not driven:
                break
            challenger = driven.get(challenger.checkpoint, challenger)
            incumbent = driven.get(incumbent.checkpoint, incumbent) if incumbent else None
        return challenger, incumbent

    def _drive(self, tallies: Sequence[Tally]) -> list[Tally]:
        """Let checkpoints drive their next set of cars, side by side; empty if one of them cannot be read."""
        batches = []
        for tally in tallies:
            name = CheckpointName.parse(tally.checkpoint)
            assert name is not None
            try:
                weights = self.checkpoints.load(name).weights
            except RecordError as error:
                self.listener.on_message(f"{error} It is compared by the laps it has driven.")
                return []
            batches.append(self.fleet.start(_of_policy(weights), self._plan_set(tally.num_sets), explore=False))
        stages = self._open.stages if self._open else None
        driven = []
        for tally, batch in zip(tallies, batches, strict=True):
            with self.stage("evaluate", self.job.training.eval_laps, iteration=stages):
                driven.append(with_laps(tally, *self._report(batch.result(self.listener.on_advance))))
        return driven

    @property
    def _contenders(self) -> tuple[Tally, ...]:
        """The best checkpoint and those that may still turn out to be better, of the trainer's state."""
        return tuple(parse_record(Tally, json.dumps(each)) for each in self.state.extra.get("tallies", ()))

    def _keep_contenders(self, *driven: Tally | None) -> None:
        """Take what checkpoints have driven into the state, and keep the files of the most promising ones."""
        assert self.state.best is not None
        tallies = {tally.checkpoint: tally for tally in (*self._contenders, *driven) if tally is not None}
        best = tallies[self.state.best.name]
        kept = contenders(
            tallies.values(), best, self.job.training.best_model_metric, number=self.job.training.num_contenders
        )
        self.state = replace(self.state, extra=self.state.extra | {"tallies": [asdict(tally) for tally in kept]})
        # Whoever was driven against stays until the next checkpoint: killed before, training drives against it again.
        self._protect(*driven)

    def _protect(self, *others: Tally | None) -> None:
        """Let the files of all contenders stay, and those of others."""
        names = (CheckpointName.parse(tally.checkpoint) for tally in (*self._contenders, *others) if tally is not None)
        self.checkpoints.contenders = frozenset(name for name in names if name is not None)

    def _run_off(self) -> None:
        """Let the most promising checkpoints drive on, now that no further one will come, and choose the best.

        A training that resumes does not know of it: it goes on as if it had not been interrupted.
        """
        tallies = {tally.checkpoint: tally for tally in self._contenders}
        if not tallies:
            return
        training = self.job.training
        while drivers := final_drivers(list(tallies.values()), training.best_model_metric):
            driven = self._drive(drivers)
            if not driven:
                break
            tallies |= {tally.checkpoint: tally for tally in driven}
        best = candidate(leading(tallies.values(), training.best_model_metric), training.best_model_metric)
        self.state = replace(self.state, best=best)
        self.tallies.append(list(tallies.values()), self.state.iteration)
        last = self.checkpoints.last()
        entry = index_entry(best, self.state.sim_time)
        self.checkpoints.write_index(best=entry, last=last or entry)

    def _checkpoint(self) -> None:
        stages = self._open.stages if self._open else None
        name = self._checkpoint_name()
        log = self.recorder.log
        with self.stage("record", iteration=stages):
            log.saves(name)
            log.write()
        self._protect()
        num_bytes = self.recorder.num_bytes | {TALLIES: self.tallies.num_bytes}
        extra = self.state.extra | {LOG_BYTES: num_bytes, FILES: self._checksums}
        if math.isfinite(self.last_reward_mean):
            extra["reward_mean"] = self.last_reward_mean
        if stages is not None:  # what a resumed training cannot measure again
            extra["record"] = extra["record"] | {"stages_s": stages | {"checkpoint": 0.0}}
        self.state = replace(self.state, extra=extra)
        with self.stage("checkpoint", iteration=stages):
            save = partial(
                self.checkpoints.save,
                name.number,
                name.steps,
                self.network.state_dict(),
                metadata={
                    "network": self.metadata.network,
                    "sensors": list(self.metadata.sensors),
                    "action_space": self.metadata.action_space.model_dump(mode="json"),
                    "shared_encoder": self.job.training.shared_encoder,
                    "seed": self.state.seed,
                },
                optimizer=self.ppo.optimizer_state(),
                state=self.state,
            )
            self._saving.start(save)

    def _finish_checkpoint(self) -> None:
        """Wait until the last checkpoint is where it belongs."""
        if self._saving.busy:
            with self.stage("checkpoint", iteration=self._open.stages if self._open else None):
                self._saving.wait()

    def _checkpoint_name(self) -> CheckpointName:
        """Name of the checkpoint of the present state; a clone's numbers follow those of the model it came from."""
        return CheckpointName(
            self.state.extra.get("first_checkpoint", 0) + self.state.iteration, self.state.total_steps
        )

    @property
    def _iteration_number(self) -> int:
        """Of the iteration in hand: that of the checkpoint which it will make."""
        return self._checkpoint_name().number + 1

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
        if self.last_reward_mean >= self.hyperparameters.term_cond_avg_score:
            return "term_cond_avg_score"
        return None

    def _restore(self) -> None:
        """Take weights, optimizer and state from the last checkpoint."""
        checkpoint = self.checkpoints.load("last")
        if checkpoint.state is None:
            raise RecordError(
                f"checkpoint {checkpoint.name} in {self.place} has no trainer state, so training cannot be "
                "resumed from it. Begin anew with --wipe."
            )
        way_out = "Put the files back as they were, or begin anew with --wipe."
        require_fit(checkpoint, self.metadata, self.network, place=self.place, way_out=way_out)
        state = self.ppo.state_dict() | {f"model.{name}": value for name, value in checkpoint.weights.items()}
        self.ppo.load_state_dict(state | (checkpoint.optimizer or {}))
        self.state = checkpoint.state
        if sentence := changed_since(self.state.extra.get(FILES, {}), self._checksums):
            self.listener.on_message(sentence)
        self.last_reward_mean = self.state.extra.get("reward_mean", -math.inf)
        self._protect()
        self.checkpoints.point_at(checkpoint.name)  # drops what is not protected
        if pending := checkpoint.state.extra.get("record"):
            record = IterationRecord.from_json(pending)
            self._open = OpenIteration(record, dict(record.stages_s), saved=True)

    def _clone(self, source: str) -> None:
        """Begin with the weights of another model; its numbers go on, its statistics do not."""
        checkpoint = CheckpointStore(source).load(self.job.training.clone_checkpoint)
        way_out = "Clone a model of the same network, sensors and number of actions."
        require_fit(checkpoint, self.metadata, self.network, place=source, way_out=way_out)
        self.cloned = checkpoint.name
        self.network.load_state_dict(checkpoint.weights)
        self.ppo = PPO(self.network, self.ppo.config, precision=self.job.training.precision)
        self.state = replace(self.state, extra={"first_checkpoint": checkpoint.name.number + 1})

    def _policy_weights(self) -> dict[str, torch.Tensor]:
        """What a worker needs to act."""
        return _of_policy(self.network.state_dict())

    def _announce_end(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let those who watch the place know, if it can still be written to."""
        with suppress(RecordError):
            self.recorder.log.end(error)
            self.store.put(FINISHED, b"")

    @property
    def _step_cap(self) -> int:
        return self.job.training.step_cap_for(self.metadata.network)

    def _elapsed(self) -> float:
        """Wall-clock spent training, over all resumes [s]."""
        return time.perf_counter() - self._clock


def _of_policy(weights: Mapping[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    return {name: value for name, value in weights.items() if name.startswith("policy.")}

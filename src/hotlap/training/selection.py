"""Which checkpoint is the best so far, how near the goal is, and whether the policy has forgotten how to drive."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch

from hotlap.config.job import Job, Training
from hotlap.errors import RecordError
from hotlap.evaluation.laps import laps_of
from hotlap.evaluation.statistics import EvaluationReport
from hotlap.records.checkpoints import CheckpointName
from hotlap.records.events import EvaluationSummary, IterationRecord
from hotlap.records.tallies import Tally
from hotlap.records.trainer_state import BestCheckpoint, TrainerState
from hotlap.rollouts.fleet import Batch, Fleet
from hotlap.rollouts.plan import SELECTION, plan_evaluation
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.sim.scene import RaceRules
from hotlap.tracks.pool import TrackPool
from hotlap.training.annealing import Annealing
from hotlap.training.listener import Listener
from hotlap.training.ranking import (
    candidate,
    contenders,
    final_drivers,
    index_entry,
    is_better,
    leading,
    next_drivers,
    with_laps,
)
from hotlap.training.run import Run
from hotlap.training.stages import StageClock

COLLAPSE_SHARE = 0.3  # of the best checkpoint's progress: an evaluation below it drives as if it had forgotten …
COLLAPSE_EVALUATIONS = 3  # … and after so many of them in a row training goes back to the best checkpoint


@dataclass(frozen=True)
class Verdict:
    """What comes of an evaluation."""

    record: IterationRecord
    """The iteration's record with its evaluation."""
    state: TrainerState
    """The trainer's state with the best checkpoint and the counts of evaluations in a row."""
    new: BestCheckpoint
    """The evaluated checkpoint."""
    best: BestCheckpoint
    """The best so far."""
    collapsed: bool
    """Whether the policy has forgotten how to drive, so that training should go back to the best checkpoint."""


def weigh(
    record: IterationRecord,
    report: EvaluationReport,
    reward_mean: float,
    state: TrainerState,
    training: Training,
    challenger: Tally,
    incumbent: Tally | None,
) -> Verdict:
    """Take an evaluation into the records.

    Args:
        record: Of the iteration that made the checkpoint.
        report: The laps of the first set of cars, which the goal counts.
        reward_mean: Mean reward of its episodes.
        state: The trainer's state.
        training: The job's settings.
        challenger: All laps of the checkpoint.
        incumbent: All laps of the best checkpoint so far, if there is one.
    """
    metric = training.best_model_metric
    new = candidate(challenger, metric)
    better = is_better(challenger, incumbent, metric)
    clean_rate = report.clean_rate.value if report.clean_rate else 0.0
    completion = report.completion_mean or 0.0
    lap_time = report.clean_lap_time
    extra = dict(state.extra)
    if better:
        extra["best_completion"] = completion
    best = new if better or incumbent is None else candidate(incumbent, metric)
    reached = training.goal_clean_share > 0 and clean_rate >= training.goal_clean_share
    extra["goal_evaluations"] = extra.get("goal_evaluations", 0) + 1 if reached else 0
    poor = completion < COLLAPSE_SHARE * extra.get("best_completion", 0.0)
    bad_evaluations = extra.get("bad_evaluations", 0) + 1 if poor else 0
    collapsed = bad_evaluations >= COLLAPSE_EVALUATIONS
    extra["bad_evaluations"] = 0 if collapsed else bad_evaluations
    return Verdict(
        record=replace(
            record,
            is_best=better,
            evaluation=EvaluationSummary(
                num_laps=report.num_laps,
                completion_mean=completion,
                clean_rate=clean_rate,
                reward_mean=reward_mean,
                lap_time_median_s=lap_time.median if lap_time else None,
                lap_time_best_s=lap_time.min if lap_time else None,
            ),
        ),
        state=replace(state, best=best, extra=extra),
        new=new,
        best=best,
        collapsed=collapsed,
    )


class Selection:
    """Lets checkpoints drive the same sets of cars until the best of them can be told.

    Args:
        run: Of the training.
        job: Its settings.
        rules: Of the laps.
        pools: The tracks of each race.
        fleet: Plays them.
        listener: Is told.
        stage: Times the laps.
        annealing: Of the training, which may depend on its laps.
    """

    def __init__(
        self,
        run: Run,
        job: Job,
        rules: RaceRules,
        pools: Sequence[TrackPool],
        fleet: Fleet,
        listener: Listener,
        stage: StageClock,
        annealing: Annealing,
    ) -> None:
        self.run, self.job, self.rules, self.pools, self.fleet = run, job, rules, pools, fleet
        self.listener, self.stage, self.annealing = listener, stage, annealing
        self.metric = job.training.best_model_metric
        self._reverse = [race.reverse_dir for race in job.races]
        self._num_sets = 0  # of cars that were driven in this run

    @property
    def goal_reached(self) -> bool:
        """Whether as many evaluations in a row as the job asks for were good enough."""
        training = self.job.training
        return bool(training.goal_clean_share) and (
            self.run.state.extra.get("goal_evaluations", 0) >= training.goal_evaluations
        )

    def start(self) -> None:
        """Let the fleet begin to evaluate the weights of the open iteration, if they are to be evaluated."""
        run = self.run
        if run.open is None or run.open.evaluation or run.state.iteration % self.job.training.eval_every:
            return
        run.open.evaluation = self._begin(0, run.learner.acting_weights())

    def settle(self) -> bool:
        """Wait for the evaluation of the open iteration, choose the best checkpoint, close the iteration.

        Returns:
            Whether the policy had forgotten how to drive, and training went back to the weights of the best checkpoint.
        """
        run = self.run
        if run.open is None:
            return False
        record, evaluation = run.open.record, run.open.evaluation
        verdict: Verdict | None = None
        if evaluation is not None:
            episodes = self._wait(evaluation)
            with self.stage("record", iteration=run.stages):
                written = run.recorder.write_evaluation(episodes, record.iteration, clock=run.state.sim_time)
            self.listener.on_episodes(written)
            run.finish_checkpoint()  # before the index names it
            verdict = self._weigh(record, episodes)
            record = verdict.record
        run.finish_checkpoint()
        best = verdict.best.name if verdict is not None and verdict.collapsed else None
        went_back = best is not None and run.go_back(best)
        # Where laps are driven beside the next update, an iteration ends when its weights are there.
        run.close_iteration(record, elapsed_s=record.elapsed_s if self.fleet.concurrent else run.elapsed())
        if went_back:
            self.listener.on_message(
                f"the last {COLLAPSE_EVALUATIONS} evaluations drove less than {COLLAPSE_SHARE:.0%} as far as "
                f"{best}: went back to its weights."
            )
        return went_back

    @property
    def round_s(self) -> float:
        """What a set of cars for each of the most promising checkpoints would take [s]; 0 before any has driven."""
        return self._round_s(final_drivers(self.run.contenders, self.metric)) if self.run.contenders else 0.0

    def run_off(self, left_s: Callable[[], float] = lambda: math.inf) -> None:
        """Let the most promising checkpoints drive on, now that no further one will come, and choose the best.

        A training that goes on all the same forgets of it: it is then as if it had not been interrupted.

        Args:
            left_s: Time that is left for it [s].
        """
        run = self.run
        tallies = {tally.checkpoint: tally for tally in (*run.contenders, *run.run_off)}
        if not tallies:
            return
        drove = False
        while drivers := final_drivers(list(tallies.values()), self.metric):
            if self._round_s(drivers) > left_s():
                break
            driven = self._drive(drivers)
            if not driven:
                break
            drove = True
            tallies |= {tally.checkpoint: tally for tally in driven}
        if drove:
            run.keep_run_off(list(tallies.values()))
        best = candidate(leading(tallies.values(), self.metric), self.metric)
        run.state = replace(run.state, best=best)
        run.tallies.append(list(tallies.values()), run.state.iteration)
        last = run.checkpoints.last()
        entry = index_entry(best, run.state.sim_time)
        run.checkpoints.write_index(best=entry, last=last or entry)

    def _weigh(self, record: IterationRecord, episodes: Sequence[PlayedEpisode]) -> Verdict:
        """Take the evaluation of a checkpoint into the state, the log, the tallies and the index."""
        run = self.run
        report, rewards = measured(episodes, self.rules)
        challenger, incumbent = self._compare(with_laps(Tally(record.checkpoint), report, rewards))
        verdict = weigh(record, report, float(np.mean(rewards)), run.state, self.job.training, challenger, incumbent)
        run.recorder.log.evaluated(verdict.record, episodes, verdict.new, former=run.state.best)
        run.state = self.annealing.judged(verdict.state, challenger)
        self._keep_contenders(challenger, incumbent)
        run.tallies.append([tally for tally in (incumbent, challenger) if tally is not None], record.iteration)
        run.checkpoints.write_index(
            best=index_entry(verdict.best, run.state.sim_time), last=index_entry(verdict.new, run.state.sim_time)
        )
        return verdict

    def _compare(self, challenger: Tally) -> tuple[Tally, Tally | None]:
        """Let a newly evaluated checkpoint and the best one drive until the better can be chosen."""
        best = self.run.state.best
        incumbent: Tally | None = None
        if best is not None and best.name != challenger.checkpoint:
            incumbent = {tally.checkpoint: tally for tally in self.run.contenders}.get(best.name, Tally(best.name))
        while drivers := next_drivers(challenger, incumbent, self.metric):
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
                weights = self.run.checkpoints.load(name).weights
            except RecordError as error:
                self.listener.on_message(f"{error} It is compared by the laps it has driven.")
                return []
            batches.append(self._begin(tally.num_sets, weights))
        return [
            with_laps(tally, *measured(self._wait(batch), self.rules))
            for tally, batch in zip(tallies, batches, strict=True)
        ]

    def _round_s(self, drivers: Sequence[Tally]) -> float:
        return len(drivers) * self.stage.total.get("evaluate", 0.0) / max(1, self._num_sets)

    def _wait(self, batch: Batch) -> list[PlayedEpisode]:
        self._num_sets += 1
        with self.stage("evaluate", self.job.training.eval_laps, iteration=self.run.stages):
            return batch.result(self.listener.on_advance)

    def _begin(self, set_number: int, weights: Mapping[str, torch.Tensor]) -> Batch:
        """Let the fleet begin with a set of cars, the same for every checkpoint of the job."""
        plans = plan_evaluation(
            job_seed=self.run.state.seed,
            number=set_number,
            num_laps=max(self.job.training.eval_laps, len(self._reverse)),
            reverse=self._reverse,
            tracks=[pool.evaluated for pool in self.pools],
            purpose=SELECTION,
        )
        return self.fleet.start(CollectRequest.evaluation(plans, weights))

    def _keep_contenders(self, *driven: Tally | None) -> None:
        """Take what checkpoints have driven into the state, and keep the files of the most promising ones."""
        run = self.run
        assert run.state.best is not None
        tallies = {tally.checkpoint: tally for tally in (*run.contenders, *driven) if tally is not None}
        best = tallies[run.state.best.name]
        run.keep_contenders(contenders(tallies.values(), best, self.metric, number=self.job.training.num_contenders))
        # Whoever was driven against stays until the next checkpoint: killed before, training drives against it again.
        run.protect(*driven)


def measured(episodes: Sequence[PlayedEpisode], rules: RaceRules) -> tuple[EvaluationReport, list[float]]:
    """What came of an evaluation, and the reward of each episode."""
    return laps_of(episodes, rules), [float(episode.reward) for episode in episodes]

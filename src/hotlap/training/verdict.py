"""What the evaluation of a checkpoint changes: the best one, the way to the goal, a return to the best."""

from __future__ import annotations

from dataclasses import dataclass, replace

from hotlap.config.job import Training
from hotlap.evaluation.statistics import EvaluationReport
from hotlap.records.events import EvaluationSummary, IterationRecord
from hotlap.records.tallies import Tally
from hotlap.records.trainer_state import BestCheckpoint, TrainerState
from hotlap.training.selection import candidate, is_better

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


def judge(
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

"""Which checkpoint is the best: the one that drives the most clean laps, or by one of the original's measures."""

from __future__ import annotations

import math

from hotlap.config.job import BestModelMetric
from hotlap.evaluation.statistics import EvaluationReport
from hotlap.records.checkpoints import CheckpointName, IndexEntry
from hotlap.records.metrics import BestModelMetric as IndexMetric
from hotlap.records.trainer_state import BestCheckpoint

INCOMPLETE_LAP_MS = 999_999  # what a lap that was not finished counts in a mean lap time, as in the original


def candidate(
    name: CheckpointName,
    report: EvaluationReport,
    *,
    metric: BestModelMetric = "clean_laps",
    reward_mean: float | None = None,
) -> BestCheckpoint:
    """What an evaluation says about a checkpoint.

    Args:
        name: The checkpoint.
        report: Its evaluation.
        metric: What the index file tells: mean lap time [ms] for "laptime", mean reward for "reward", else mean
            progress [%].
        reward_mean: Mean reward of the evaluation's episodes; needed for "reward".
    """
    lap_time = report.clean_lap_time
    return BestCheckpoint(
        name=str(name),
        metric=_measured(report, metric, reward_mean),
        clean_rate=report.clean_rate.value if report.clean_rate else 0.0,
        lap_time_ms=lap_time.median * 1000 if lap_time else None,
    )


def is_better(new: BestCheckpoint, old: BestCheckpoint | None, *, metric: BestModelMetric = "clean_laps") -> bool:
    """Whether ``new`` becomes the best; both must be candidates by the same ``metric``.

    "clean_laps": more clean laps, at a tie more of the lap, then faster laps. The other three are those of the
    original, with its ties decided: first by the measure, then by clean laps, then by faster laps. The newer one is
    better at a complete tie.

    The original ranks by the mean of five laps alone, where the luckiest five win.
    """
    if old is None:
        return True
    return _rank(new, metric) >= _rank(old, metric)


def _measured(report: EvaluationReport, metric: BestModelMetric, reward_mean: float | None) -> float:
    if metric == "reward":
        assert reward_mean is not None, "the mean reward is not part of a report"
        return reward_mean
    if metric == "laptime":
        times = [lap.time_ms if lap.complete else INCOMPLETE_LAP_MS for lap in report.laps]
        return sum(times) / len(times) if times else float(INCOMPLETE_LAP_MS)
    return report.completion_mean or 0.0


def _rank(checkpoint: BestCheckpoint, metric: BestModelMetric) -> tuple[float, float, float]:
    lap_time = checkpoint.lap_time_ms
    speed = -(lap_time if lap_time is not None else math.inf)
    if metric == "clean_laps":
        return checkpoint.clean_rate, checkpoint.metric, speed
    return -checkpoint.metric if metric == "laptime" else checkpoint.metric, checkpoint.clean_rate, speed


def index_entry(checkpoint: BestCheckpoint, sim_time: float) -> IndexEntry:
    """What the index file says about an evaluated checkpoint, at a time of the simulation clock [s]."""
    name = CheckpointName.parse(checkpoint.name)
    assert name is not None
    return IndexEntry(name, checkpoint.metric, sim_time)


def index_metric(metric: BestModelMetric) -> IndexMetric:
    """What the index and metrics files, which know no clean laps, name as the measure of the best checkpoint."""
    return "progress" if metric == "clean_laps" else metric

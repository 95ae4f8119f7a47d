"""Which checkpoint is the best: the one that drives the most clean laps."""

from __future__ import annotations

import math

from hotlap.evaluation.statistics import EvaluationReport
from hotlap.records.checkpoints import CheckpointName
from hotlap.records.trainer_state import BestCheckpoint


def candidate(name: CheckpointName, report: EvaluationReport) -> BestCheckpoint:
    """What an evaluation says about a checkpoint."""
    lap_time = report.clean_lap_time
    return BestCheckpoint(
        name=str(name),
        metric=report.completion_mean or 0.0,
        clean_rate=report.clean_rate.value if report.clean_rate else 0.0,
        lap_time_ms=lap_time.median * 1000 if lap_time else None,
    )


def is_better(new: BestCheckpoint, old: BestCheckpoint | None) -> bool:
    """More clean laps; at a tie more of the lap; then faster laps; the newer one at a complete tie.

    The original ranks by mean progress of five laps alone, where the luckiest five win.
    """
    if old is None:
        return True
    return _rank(new) >= _rank(old)


def _rank(checkpoint: BestCheckpoint) -> tuple[float, float, float]:
    lap_time = checkpoint.lap_time_ms
    return checkpoint.clean_rate, checkpoint.metric, -(lap_time if lap_time is not None else math.inf)

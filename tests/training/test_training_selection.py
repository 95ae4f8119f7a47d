"""Which checkpoint is the best."""

from __future__ import annotations

import pytest

from hotlap.evaluation.statistics import EvaluationReport, LapResult
from hotlap.records.checkpoints import CheckpointName
from hotlap.records.trainer_state import BestCheckpoint
from hotlap.training.selection import candidate, is_better


def best(number: int, clean_rate: float, metric: float, lap_time_ms: float | None) -> BestCheckpoint:
    return BestCheckpoint(f"{number}_Step-0.ckpt", metric, clean_rate, lap_time_ms)


RANKING = [
    best(1, 0.0, 20.0, None),
    best(2, 0.0, 60.0, None),  # as many clean laps, got farther
    best(3, 0.1, 40.0, 30_000),  # a clean lap is worth more than getting far
    best(4, 0.1, 40.0, 20_000),  # faster
    best(5, 0.1, 50.0, 40_000),  # farther is worth more than faster
    best(6, 1.0, 100.0, 60_000),
    best(7, 1.0, 100.0, 9_000),
]


@pytest.mark.parametrize("worse", range(len(RANKING)))
@pytest.mark.parametrize("better", range(len(RANKING)))
def test_clean_laps_first_then_progress_then_speed(worse: int, better: int):
    """A strict order; only at a complete tie the newer one wins, as in the original."""
    assert is_better(RANKING[better], RANKING[worse]) == (better >= worse)


def test_the_first_evaluated_checkpoint_is_the_best_so_far():
    """However bad it is."""
    assert is_better(RANKING[0], None)


def test_a_candidate_sums_up_its_evaluation():
    """Mean progress, share of clean laps, and the median time of the clean ones only."""

    def lap(progress: float, time_ms: int, clean: bool) -> LapResult:
        return LapResult(1, time_ms, progress, "", clean=clean)

    laps = (lap(100, 10_000, True), lap(100, 14_000, True), lap(100, 3_000, False), lap(20, 2_000, False))
    name = CheckpointName(7, 1234)
    assert candidate(name, EvaluationReport(laps)) == BestCheckpoint("7_Step-1234.ckpt", 80.0, 0.5, 12_000)
    assert candidate(name, EvaluationReport(laps[3:])) == BestCheckpoint("7_Step-1234.ckpt", 20.0, 0.0, None)

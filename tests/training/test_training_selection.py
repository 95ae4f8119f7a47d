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


# The measure of each, from worse to better; the clean laps and their times decide only where it is equal.
ORIGINAL = {
    "progress": [best(1, 1.0, 60.0, 9_000), best(2, 0.0, 80.0, None), best(3, 0.5, 80.0, 9_000)],
    "reward": [best(1, 1.0, -5.0, 9_000), best(2, 0.5, 3.0, 9_000), best(3, 0.5, 3.0, 8_000)],
    "laptime": [best(1, 1.0, 999_999.0, 9_000), best(2, 0.5, 12_000.0, 9_000), best(3, 0.0, 11_000.0, None)],
}


@pytest.mark.parametrize("metric", ORIGINAL)
def test_the_measures_of_the_original_count_first(metric):
    """Highest mean progress or reward, or lowest mean lap time; ties by clean laps, then by speed."""
    for worse, one in enumerate(ORIGINAL[metric]):
        for better, other in enumerate(ORIGINAL[metric]):
            assert is_better(other, one, metric=metric) == (better >= worse)
        assert is_better(one, None, metric=metric)


def test_a_candidate_is_measured_as_in_the_original():
    """A lap time of 999,999 ms for each incomplete lap, whatever it took; the reward is that of the episodes."""
    laps = (LapResult(1, 10_000, 100.0, "", clean=True), LapResult(2, 3_000, 20.0, ""))
    name, report = CheckpointName(1, 0), EvaluationReport(laps)
    assert candidate(name, report, metric="progress").metric == 60.0
    assert candidate(name, report, metric="laptime").metric == (10_000 + 999_999) / 2
    assert candidate(name, report, metric="reward", reward_mean=-7.5).metric == -7.5
    assert candidate(name, EvaluationReport(()), metric="laptime").metric == 999_999
    for metric in ORIGINAL:
        found = candidate(name, report, metric=metric, reward_mean=0.0)
        assert (found.clean_rate, found.lap_time_ms) == (0.5, 10_000)


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

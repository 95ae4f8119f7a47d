"""Which checkpoint is the best, and how many laps it takes to know."""

from __future__ import annotations

import numpy as np
import pytest

from hotlap.evaluation.statistics import EvaluationReport, LapResult
from hotlap.records.folder import Folder
from hotlap.records.tallies import Tally, TallyLog
from hotlap.training.ranking import (
    MAX_FINAL_SETS,
    MAX_SETS,
    candidate,
    contenders,
    estimate,
    final_drivers,
    is_better,
    leading,
    next_drivers,
    with_laps,
)

LAPS = 32


def tally(number: int, clean: int, num_laps: int = LAPS, progress: float = 50.0, lap_time: int = 20_000) -> Tally:
    """A checkpoint that drove so many laps clean and got so far in the others."""
    laps = [
        LapResult(k + 1, lap_time if k < clean else 3_000, 100.0 if k < clean else progress, "", clean=k < clean)
        for k in range(num_laps)
    ]
    drawn = Tally(f"{number}_Step-0.ckpt")
    for begin in range(0, num_laps, LAPS):
        part = tuple(laps[begin : begin + LAPS])
        drawn = with_laps(drawn, EvaluationReport(part), [lap.completion_percentage for lap in part])
    return drawn


RANKING = [
    tally(1, 0, progress=20.0),
    tally(2, 0, progress=60.0),  # as many clean laps, got farther
    tally(3, 3, progress=40.0),  # a clean lap is worth more than getting far
    tally(4, 3, progress=40.0, lap_time=19_000),  # faster
    tally(5, 3, progress=50.0, lap_time=40_000),  # farther is worth more than faster
    tally(6, 32, lap_time=60_000),
    tally(7, 126, num_laps=128),  # surer, though not all were clean
]


@pytest.mark.parametrize("worse", range(len(RANKING)))
@pytest.mark.parametrize("better", range(len(RANKING)))
def test_sure_clean_laps_first_then_progress_then_speed(worse: int, better: int):
    """A strict order by the lower end of the interval; only at a complete tie the newer one wins."""
    assert is_better(RANKING[better], RANKING[worse]) == (better >= worse)


PACES = [
    tally(1, 0, progress=20.0),
    tally(2, 0, progress=60.0),
    tally(3, 3, lap_time=8_000),  # hardly any lap is clean
    tally(4, 24, lap_time=8_000),  # faster than the next, but every fourth lap is lost
    tally(5, 32, lap_time=11_000),
    tally(6, 32, lap_time=8_000),
    tally(7, 31, lap_time=7_000),
]


@pytest.mark.parametrize("worse", range(len(PACES)))
@pytest.mark.parametrize("better", range(len(PACES)))
def test_the_pace_of_clean_laps_weighs_speed_against_mistakes(worse: int, better: int):
    assert is_better(PACES[better], PACES[worse], "clean_pace") == (better >= worse)


def test_the_first_evaluated_checkpoint_is_the_best_so_far():
    """However bad it is, and nobody has to drive again."""
    assert is_better(RANKING[0], None)
    assert next_drivers(RANKING[0], None) == []


def test_a_candidate_sums_up_all_its_laps():
    """Share of clean laps, their median time, and the measure of the original over all sets of cars."""
    one = LapResult(1, 10_000, 100.0, "", clean=True)
    other = LapResult(2, 3_000, 20.0, "")
    drawn = with_laps(Tally("7_Step-12.ckpt"), EvaluationReport((one, other)), [1.0, 2.0])
    drawn = with_laps(drawn, EvaluationReport((other, other)), [3.0, 6.0])
    assert (drawn.num_sets, drawn.num_laps, drawn.clean_laps) == (2, 4, 1)
    assert candidate(drawn).clean_rate == 0.25
    assert candidate(drawn).lap_time_ms == 10_000
    assert candidate(drawn, "progress").metric == 40.0
    assert candidate(drawn, "reward").metric == 3.0
    assert candidate(drawn, "laptime").metric == (10_000 + 3 * 999_999) / 4


@pytest.mark.parametrize(("metric", "sign"), [("progress", 1), ("reward", 1), ("laptime", -1)])
def test_the_measures_of_the_original_have_an_interval_too(metric, sign):
    """Its middle is the mean, more is better, and further laps make it narrower."""
    few, many = estimate(tally(1, 16), metric), estimate(tally(1, 64, num_laps=128), metric)
    assert sign * few.value == pytest.approx(candidate(tally(1, 16), metric).metric)
    assert few.high - few.low > 1.5 * (many.high - many.low)


def test_a_bad_checkpoint_costs_one_set_of_cars():
    """While neither drives well, and when the newcomer is clearly worse."""
    assert next_drivers(tally(2, 2), tally(1, 0)) == []
    assert next_drivers(tally(2, 0), tally(1, 2)) == []
    assert next_drivers(tally(2, 20), tally(1, 126, num_laps=128)) == []


def test_a_newcomer_with_few_laps_is_not_locked_out():
    """All clean on one set, it drives those that the incumbent has driven before anyone is chosen."""
    incumbent, newcomer = tally(1, 124, num_laps=128), tally(2, 32)
    assert not is_better(newcomer, incumbent)
    assert next_drivers(newcomer, incumbent) == [newcomer]
    assert next_drivers(tally(2, 64, num_laps=64), incumbent)[0].num_sets == 2


def test_a_lucky_incumbent_drives_again_beside_its_challenger():
    """32 of 32 against 31 of 32 tells nothing: both drive on, and no more than the limit."""
    assert next_drivers(tally(2, 31), tally(1, 32)) == [tally(2, 31), tally(1, 32)]
    assert next_drivers(tally(2, 127, num_laps=MAX_SETS * LAPS), tally(1, 127, num_laps=MAX_SETS * LAPS)) == []


def drive(shares: list[float], seed: int) -> tuple[Tally, int]:
    """Choose among checkpoints that drive clean with these probabilities; the best, and the number of laps driven."""
    random = np.random.default_rng(seed)

    def further(one: Tally) -> Tally:
        clean = random.random(LAPS) < shares[int(one.checkpoint.partition("_")[0])]
        laps = tuple(LapResult(k + 1, 9_000, 100.0 if ok else 50.0, "", clean=bool(ok)) for k, ok in enumerate(clean))
        return with_laps(one, EvaluationReport(laps), [0.0] * LAPS)

    best: Tally | None = None
    seen: dict[str, Tally] = {}
    for number in range(len(shares)):
        new = further(Tally(f"{number}_Step-0.ckpt"))
        while drivers := next_drivers(new, best):
            driven = {one.checkpoint: further(one) for one in drivers}
            new = driven.get(new.checkpoint, new)
            best = driven.get(best.checkpoint, best) if best else None
        seen |= {one.checkpoint: one for one in (new, best) if one}
        best = new if is_better(new, best) else best
        assert best is not None
    assert best is not None
    rivals = {one.checkpoint: one for one in contenders(seen.values(), best)}
    while drivers := final_drivers(list(rivals.values())):
        rivals |= {one.checkpoint: further(one) for one in drivers}
    assert max(one.num_sets for one in rivals.values()) <= MAX_FINAL_SETS
    seen |= rivals
    return leading(rivals.values()), sum(one.num_laps for one in seen.values())


def test_the_winner_is_good_and_not_lucky():
    """Among many checkpoints of 90 % and one of 99 %, the good one is nearly always found."""
    shares = [0.0] * 5 + [0.3, 0.5] + [0.9] * 10 + [0.99] + [0.9] * 2
    chosen = [drive(shares, seed) for seed in range(40)]
    true = [shares[int(best.checkpoint.partition("_")[0])] for best, _ in chosen]
    assert np.mean([share == 0.99 for share in true]) >= 0.9
    assert np.mean([best.clean_rate for best, _ in chosen]) <= np.mean(true) + 0.01
    assert np.mean([laps for _, laps in chosen]) <= 4 * LAPS * len(shares)


def test_the_record_of_laps_is_cut_where_training_resumes(tmp_path):
    """The last line of a checkpoint counts; a torn line and those of later iterations are dropped."""
    log = TallyLog(Folder(tmp_path), num_iterations=0)
    log.append([tally(1, 3)], 0)
    log.append([tally(1, 40, num_laps=64), tally(2, 31)], 1)
    assert log.read()["1_Step-0.ckpt"] == tally(1, 40, num_laps=64)
    with (tmp_path / "metrics" / "checkpoints.jsonl").open("a") as file:
        file.write('{"iteration": 1, "tal')
    assert set(TallyLog(Folder(tmp_path)).read()) == {"1_Step-0.ckpt", "2_Step-0.ckpt"}
    assert TallyLog(Folder(tmp_path), num_iterations=1).read() == {"1_Step-0.ckpt": tally(1, 3)}

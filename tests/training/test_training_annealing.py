"""When the last updates of a training begin: in time for its limits, or when its laps do not get better."""

from __future__ import annotations

from dataclasses import replace

import pytest

from hotlap.records.tallies import Tally
from hotlap.records.trainer_state import TrainerState
from hotlap.training.annealing import NO_ANNEALING, Annealing

ANNEALING = Annealing(updates=4, patience=3)
START = TrainerState(iteration=0, total_steps=0, num_episodes=0, elapsed_s=0.0, sim_time=0.0, seed=0)


def after_evaluations(*found: tuple[int, float], annealing: Annealing = ANNEALING) -> TrainerState:
    """The state after evaluations of iterations 0, 1, … that found so many of 10 laps clean, in so many seconds."""
    state = START
    for iteration, (clean, lap_s) in enumerate(found):
        tally = Tally("1_Step-1.ckpt", 1, 10, clean, (round(1000 * lap_s),) * clean)
        state = annealing.judged(replace(state, iteration=iteration + 1), tally)
    return state


def shares(state: TrainerState, *iterations: int, limit: int = 0) -> list[float]:
    return [ANNEALING.share(replace(state, iteration=each), limit) for each in iterations]


def test_the_last_updates_before_a_limit_learn_less_and_less():
    assert shares(START, 0, 6, 7, 8, 9, 10, 11, limit=10) == [0.0, 0.0, 0.25, 0.5, 0.75, 1.0, 1.0]
    assert shares(START, 0, 100) == [0.0, 0.0]
    assert NO_ANNEALING.share(replace(START, iteration=10), 10) == 0.0


def test_laps_that_stay_as_they_are_begin_the_end():
    """Here the third evaluation after the best one is that of iteration 3; beside it update 4 may have begun."""
    state = after_evaluations((10, 9.0), (10, 8.9), (10, 9.3), (10, 8.83))
    assert shares(state, 4, 5, 6, 9) == [0.0, 0.0, 0.25, 1.0]
    assert [ANNEALING.done(replace(state, iteration=each)) for each in (8, 9)] == [False, True]


@pytest.mark.parametrize(
    "found",
    [
        [(10, 9.0), (10, 8.9), (10, 8.9), (10, 8.7)],
        [(9, 9.0), (9, 9.0), (9, 9.0), (10, 9.0)],
        [(8, 9.0)] * 9,
        [(0, 9.0)] * 8,
    ],
    ids=["faster", "more clean laps", "few clean laps are waited for", "none at all too"],
)
def test_better_laps_or_bad_ones_do_not_begin_it(found: list[tuple[int, float]]):
    state = after_evaluations(*found)
    assert shares(state, 1000) == [0.0]
    assert not ANNEALING.done(replace(state, iteration=1000))


def test_bad_laps_are_not_waited_for_for_ever():
    assert shares(after_evaluations(*[(8, 9.0)] * 10), 10, 11, 12) == [0.0, 0.0, 0.25]


def test_laps_make_no_difference_without_patience():
    assert after_evaluations(*[(10, 9.0)] * 20, annealing=Annealing(4)).extra == {}


def test_the_end_begins_when_only_the_last_updates_fit_into_the_time():
    state = replace(START, iteration=7)
    assert ANNEALING.begun_in_time(state, left_s=9.0, iteration_s=2.0) is state
    begun = ANNEALING.begun_in_time(state, left_s=8.0, iteration_s=2.0)
    assert shares(begun, 7, 8, 11) == [0.0, 0.25, 1.0]
    assert ANNEALING.begun_in_time(replace(begun, iteration=8), left_s=1.0, iteration_s=2.0).extra == begun.extra
    assert NO_ANNEALING.begun_in_time(state, left_s=0.0, iteration_s=2.0) is state

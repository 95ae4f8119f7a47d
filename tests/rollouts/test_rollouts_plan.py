"""Which episodes an iteration plays."""

from __future__ import annotations

import numpy as np
import pytest

from hotlap.rollouts.plan import StartRule, episode_seed, plan_evaluation, plan_training

ROUND_ROBIN = StartRule(spread=False)


def starts(
    rule: StartRule, num_episodes: int, *, iteration: int = 0, first_number: int = 0, **more: bool
) -> list[float]:
    plans = plan_training(
        rule, job_seed=0, iteration=iteration, num_episodes=num_episodes, first_number=first_number, **more
    )
    return [plan.start.ndist for plan in plans]


@pytest.mark.parametrize("num_episodes", [1, 3, 20])
def test_spread_starts_share_the_lap_evenly_and_move_on(num_episodes: int):
    """The gaps within an iteration are all alike; no two of many iterations start at the same places."""
    phases = []
    for iteration in range(50):
        ndist = np.sort(starts(StartRule(), num_episodes, iteration=iteration))
        assert np.all((ndist >= 0) & (ndist < 1))
        np.testing.assert_allclose(np.diff(np.append(ndist, ndist[0] + 1)), 1 / num_episodes)
        phases.append(ndist[0] * num_episodes)
    gaps = np.diff(np.sort(phases))
    assert gaps.min() > 0.2 / 50  # golden ratio: evenly filled, never twice the same
    assert gaps.max() < 3.0 / 50


def test_round_robin_advances_after_every_episode_through_all_iterations():
    """start_ndist = (start_ndist + ROUND_ROBIN_ADVANCE_DIST) mod 1 after each training episode, from the offset."""
    rule = StartRule(spread=False, offset=0.9, advance=0.05)
    expected, ndist = [], 0.9
    for _ in range(60):
        expected.append(ndist)
        ndist = (ndist + 0.05) % 1.0
    played = [each for i in range(3) for each in starts(rule, 20, iteration=i, first_number=20 * i)]
    # On the circle: 0 and 0.999… are the same place.
    difference = (np.array(played) - expected + 0.5) % 1.0 - 0.5
    np.testing.assert_allclose(difference, 0.0, atol=1e-9)


def test_fixed_starts_stay_at_the_offset():
    """CHANGE_START_POSITION false."""
    rule = StartRule(spread=False, change_start_position=False, offset=0.25)
    assert starts(rule, 4, iteration=7, first_number=28) == [0.25] * 4


@pytest.mark.parametrize("rule", [StartRule(), ROUND_ROBIN])
def test_open_tracks_are_started_at_their_beginning(rule: StartRule):
    """There is no lap to spread over: from the middle the end could not be reached as a lap."""
    assert starts(rule, 5, iteration=3, first_number=15, open_tracks=True) == [0.0] * 5


@pytest.mark.parametrize("reverse", [False, True])
def test_alternating_turns_round_after_each_episode(reverse: bool):
    """ALTERNATE_DRIVING_DIRECTION goes on over iterations of an odd number of episodes; REVERSE_DIR is the first."""
    rule = StartRule(reverse=reverse, alternate_direction=True)
    directions = [
        plan.start.reverse
        for iteration in range(2)
        for plan in plan_training(rule, job_seed=0, iteration=iteration, num_episodes=3, first_number=3 * iteration)
    ]
    assert directions == [reverse, not reverse] * 3


def test_every_episode_has_a_seed_of_its_own():
    """Of the job, the iteration, the number, and of what it is for: none repeats."""
    seeds = {
        episode_seed(job, iteration, number, purpose=purpose)
        for job in range(3)
        for iteration in range(20)
        for number in range(40)
        for purpose in (0, 1)
    }
    assert len(seeds) == 3 * 20 * 40 * 2
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_a_plan_does_not_depend_on_the_other_episodes():
    """Episode 25 is the same whether 20 or 30 are planned, so any share of them can be played anywhere."""
    few = plan_training(ROUND_ROBIN, job_seed=1, iteration=2, num_episodes=6, first_number=20)
    many = plan_training(ROUND_ROBIN, job_seed=1, iteration=2, num_episodes=30, first_number=20)
    assert few == many[:6]


def test_tracks_take_turns():
    """With several tracks in a scene each gets its share, in training and in evaluation."""
    training = plan_training(StartRule(), job_seed=0, iteration=0, num_episodes=7, first_number=3, num_tracks=3)
    assert [plan.start.track for plan in training] == [0, 1, 2, 0, 1, 2, 0]
    evaluation = plan_evaluation(job_seed=0, iteration=0, num_laps=4, num_tracks=3)
    assert [plan.start.track for plan in evaluation] == [0, 1, 2, 0]


def test_evaluation_laps_start_at_the_line_and_differ_by_seed_only():
    """Every checkpoint meets laps of its own."""
    plans = plan_evaluation(job_seed=0, iteration=4, num_laps=8, reverse=True)
    assert {(plan.start.ndist, plan.start.reverse) for plan in plans} == {(0.0, True)}
    assert len({plan.start.seed for plan in plans}) == 8
    later = plan_evaluation(job_seed=0, iteration=5, num_laps=8, reverse=True)
    assert not {plan.start.seed for plan in plans} & {plan.start.seed for plan in later}

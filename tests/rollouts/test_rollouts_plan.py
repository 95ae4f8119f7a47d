"""Which episodes an iteration plays."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from hotlap.rollouts.plan import EpisodePlan, StartRule, episode_seed, plan_evaluation, plan_training

ROUND_ROBIN = StartRule(evenly=False)


def plans_of(
    rule: StartRule, num_episodes: int, *, iteration: int = 0, num_workers: int = 1, played: int = 0
) -> list[EpisodePlan]:
    """An iteration after which each worker has played its share of ``played`` earlier episodes."""
    return plan_training(
        [rule],
        job_seed=0,
        iteration=iteration,
        num_episodes=num_episodes,
        first_number=played,
        num_workers=num_workers,
        earlier=[len(range(worker, played, num_workers)) for worker in range(num_workers)],
    )


def starts(rule: StartRule, num_episodes: int, *, iteration: int = 0, played: int = 0) -> list[float]:
    return [plan.start.ndist for plan in plans_of(rule, num_episodes, iteration=iteration, played=played)]


@pytest.mark.parametrize("num_episodes", [1, 3, 20])
def test_even_starts_share_the_lap_evenly_and_move_on(num_episodes: int):
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
    rule = StartRule(evenly=False, offset=0.9, advance=0.05)
    expected, ndist = [], 0.9
    for _ in range(60):
        expected.append(ndist)
        ndist = (ndist + 0.05) % 1.0
    played = [each for i in range(3) for each in starts(rule, 20, iteration=i, played=20 * i)]
    # On the circle: 0 and 0.999… are the same place.
    difference = (np.array(played) - expected + 0.5) % 1.0 - 0.5
    np.testing.assert_allclose(difference, 0.0, atol=1e-9)


def test_fixed_starts_stay_at_the_offset():
    """CHANGE_START_POSITION false."""
    rule = StartRule(evenly=False, change_start_position=False, offset=0.25)
    assert starts(rule, 4, iteration=7, played=28) == [0.25] * 4


@pytest.mark.parametrize("rule", [StartRule(), ROUND_ROBIN])
def test_open_tracks_are_started_at_their_beginning(rule: StartRule):
    """There is no lap to share out: from the middle the end could not be reached as a lap."""
    assert starts(replace(rule, closed=(False,)), 5, iteration=3, played=15) == [0.0] * 5


@pytest.mark.parametrize("reverse", [False, True])
def test_alternating_turns_round_after_each_episode(reverse: bool):
    """ALTERNATE_DRIVING_DIRECTION goes on over iterations of an odd number of episodes; REVERSE_DIR is the first."""
    rule = StartRule(reverse=reverse, alternate_direction=True)
    directions = [
        plan.start.reverse
        for iteration in range(2)
        for plan in plans_of(rule, 3, iteration=iteration, played=3 * iteration)
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


@pytest.mark.parametrize(("num_episodes", "num_workers"), [(20, 1), (20, 3), (7, 4), (4, 4)])
def test_episodes_are_divided_as_in_the_original(num_episodes: int, num_workers: int):
    """E // n each, one more for the first E mod n; worker k plays k, k + n, k + 2n, …"""
    plans = plans_of(StartRule(), num_episodes, num_workers=num_workers)
    assert [plan.number for plan in plans] == list(range(num_episodes))
    for worker in range(num_workers):
        share = [plan for plan in plans if plan.worker == worker]
        assert len(share) == num_episodes // num_workers + (worker < num_episodes % num_workers)
        assert [plan.number for plan in share] == list(range(worker, num_episodes, num_workers))
        assert [plan.worker_number for plan in share] == list(range(len(share)))


def test_round_robin_and_direction_count_the_episodes_of_each_worker():
    """Each worker begins at the same offset and keeps a count of its own through all iterations."""
    rule = StartRule(evenly=False, offset=0.5, advance=0.05, alternate_direction=True)
    for worker in range(3):
        share = [
            plan
            for iteration in range(4)
            for plan in plans_of(rule, 6, iteration=iteration, num_workers=3, played=6 * iteration)
            if plan.worker == worker
        ]
        np.testing.assert_allclose([plan.start.ndist for plan in share], 0.5 + 0.05 * np.arange(8))
        assert [plan.start.reverse for plan in share] == [False, True] * 4


@pytest.mark.parametrize("num_workers", [2, 4])
def test_even_starts_and_seeds_do_not_depend_on_the_number_of_workers(num_workers: int):
    """Our own default: the same episodes, whoever plays them."""
    alone, shared = plans_of(StartRule(), 20), plans_of(StartRule(), 20, num_workers=num_workers)
    assert [plan.start for plan in alone] == [plan.start for plan in shared]
    assert [(plan.steps_before, plan.pace) for plan in alone] == [(plan.steps_before, plan.pace) for plan in shared]


def test_each_worker_may_have_a_rule_of_its_own():
    """Multi-config: other directions and offsets per worker."""
    rules = [StartRule(evenly=False, offset=0.1), StartRule(evenly=False, offset=0.6, reverse=True)]
    plans = plan_training(rules, job_seed=0, iteration=0, num_episodes=4, first_number=0, num_workers=2)
    assert [plan.start.reverse for plan in plans] == [False, True] * 2
    np.testing.assert_allclose([plan.start.ndist for plan in plans], [0.1, 0.6, 0.15, 0.65])


def test_evaluation_laps_take_turns_on_the_races():
    """Each race is driven, in its own direction."""
    plans = plan_evaluation(job_seed=0, number=0, num_laps=5, reverse=[False, True])
    assert [(plan.worker, plan.start.reverse) for plan in plans] == [(k % 2, k % 2 == 1) for k in range(5)]


def test_evaluation_laps_start_at_the_line_and_differ_by_seed_only():
    """Every checkpoint meets laps of its own."""
    plans = plan_evaluation(job_seed=0, number=4, num_laps=8, reverse=[True])
    assert {(plan.start.ndist, plan.start.reverse) for plan in plans} == {(0.0, True)}
    assert len({plan.start.seed for plan in plans}) == 8
    later = plan_evaluation(job_seed=0, number=5, num_laps=8, reverse=[True])
    assert not {plan.start.seed for plan in plans} & {plan.start.seed for plan in later}


def test_every_episode_draws_its_track_by_its_own_seed():
    """All tracks come, about equally often, and the same episode has the same track whoever plays it."""
    rule = StartRule(closed=(True,) * 4)
    plans = [plan for iteration in range(20) for plan in plans_of(rule, 20, iteration=iteration, played=20 * iteration)]
    counts = np.bincount([plan.start.track for plan in plans], minlength=4)
    assert counts.min() > 60  # of 400; four standard deviations below 100 are 65
    shared = [
        plan
        for iteration in range(20)
        for plan in plans_of(rule, 20, iteration=iteration, num_workers=3, played=20 * iteration)
    ]
    assert [plan.start for plan in plans] == [plan.start for plan in shared]


def test_open_tracks_among_others_are_started_at_their_beginning():
    plans = plans_of(StartRule(closed=(True, False), offset=0.25), 40, iteration=1)
    assert {plan.start.ndist for plan in plans if plan.start.track == 1} == {0.25}
    assert len({plan.start.ndist for plan in plans if plan.start.track == 0}) > 10


def test_evaluation_laps_take_turns_on_the_tracks_of_each_race():
    """The next set goes on with the track after the last one."""
    plans = plan_evaluation(job_seed=0, number=0, num_laps=8, reverse=[False, True], tracks=[range(3, 6), [0]])
    assert [plan.start.track for plan in plans if plan.worker == 0] == [3, 4, 5, 3]
    assert {plan.start.track for plan in plans if plan.worker == 1} == {0}
    later = plan_evaluation(job_seed=0, number=1, num_laps=8, reverse=[False, True], tracks=[range(3, 6), [0]])
    assert [plan.start.track for plan in later if plan.worker == 0] == [4, 5, 3, 4]

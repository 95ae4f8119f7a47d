"""The book of a batch: nothing twice, nothing lost, and nothing kept that the step cap rules out."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hotlap.records.steps import Steps
from hotlap.rollouts.episode_ledger import EpisodeLedger
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.worker import PlayedEpisode, within_cap
from hotlap.sim.starts import Start


def played(plan: EpisodePlan, num_steps: int) -> PlayedEpisode:
    return PlayedEpisode(plan, Steps.of(step=np.arange(num_steps)), np.zeros(num_steps), experience=None)


@given(
    lengths=st.lists(st.integers(1, 9), min_size=1, max_size=12),
    cap=st.none() | st.integers(1, 40),
    data=st.data(),
)
def test_in_whatever_order_episodes_come_those_under_the_cap_are_kept(lengths: list[int], cap: int | None, data):
    """Whoever plays them, with losses on the way; and never more steps are held than the cap allows."""
    plans = [EpisodePlan(number=10 + k, start=Start()) for k in range(len(lengths))]
    steps = {plan.number: length for plan, length in zip(plans, lengths, strict=True)}
    ledger = EpisodeLedger(plans, cap)
    under_way: set[int] = set()
    while not ledger.finished:
        under_way |= {plan.number for plan in ledger.give_out()}
        number = data.draw(st.sampled_from(sorted(under_way)))
        under_way.discard(number)
        lost = data.draw(st.booleans())
        if lost:
            ledger.give_back([number])
        else:
            ledger.take(played(ledger.plans[number], steps[number]))
        assert cap is None or ledger.num_steps <= cap
        assert ledger.waiting.isdisjoint(ledger.episodes)
    everything = [played(plan, length) for plan, length in zip(plans, lengths, strict=True)]
    assert [each.plan.number for each in ledger.result()] == [each.plan.number for each in within_cap(everything, cap)]


def test_what_a_worker_leaves_out_is_not_waited_for():
    """It has played enough steps before: what comes after cannot fit, wherever it would be played."""
    ledger = EpisodeLedger([EpisodePlan(number=k, start=Start()) for k in range(4)], 10)
    ledger.give_out()
    ledger.take(played(ledger.plans[0], 6))
    ledger.cut(1)
    ledger.give_back([2])
    assert ledger.finished
    assert not ledger.waiting
    assert [episode.plan.number for episode in ledger.result()] == [0]

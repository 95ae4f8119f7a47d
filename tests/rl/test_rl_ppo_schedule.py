"""What PPO does differently from update to update: smaller steps, the value first, rewards of any size."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from hotlap.deepracer.metadata_names import DENSE
from hotlap.deepracer.sensors import observation_shapes
from hotlap.deepracer.state_values import STATE
from hotlap.rl.episode import Episode
from hotlap.rl.networks import ActorCritic
from hotlap.rl.ppo import PPO, PPOConfig
from hotlap.rl.specs import DiscreteActions

SHAPES = observation_shapes([STATE])
CONFIG = PPOConfig(lr=1e-3, batch_size=32, num_epochs=2, beta_entropy=0.01)


def learner(**settings) -> PPO:
    return PPO(ActorCritic(DENSE, SHAPES, DiscreteActions(3)), replace(CONFIG, **settings))


def episodes(size: float = 1.0) -> list[Episode]:
    rng = np.random.default_rng(0)
    return [
        Episode(
            {STATE: rng.normal(size=(40, *SHAPES[STATE])).astype(np.float32)},
            rng.integers(0, 3, 40),
            np.full(40, -np.log(3), dtype=np.float32),
            (size * rng.normal(size=40)).astype(np.float32),
            terminated=True,
            truncated=False,
        )
        for _ in range(3)
    ]


def state(of: PPO) -> dict[str, torch.Tensor]:
    return of.state_dict()


def test_steps_and_exploration_come_down():
    ppo = learner()
    seen = []
    for share in (0.0, 0.25, 0.5, 0.75, 1.0):
        ppo.anneal(share)
        ppo.update(episodes(), 0)
        seen += [(tower.adam.lr, tower.beta_entropy) for name, tower in ppo._learners.items() if name == "policy"]
    assert [lr for lr, _ in seen] == pytest.approx([1e-3, 7.75e-4, 5.5e-4, 3.25e-4, 1e-4])
    assert [beta for _, beta in seen] == pytest.approx([0.01, 0.0075, 0.005, 0.0025, 0.0])


def test_what_it_counts_goes_on_where_it_was_saved():
    first = learner(value_first=2, scale_rewards=True)
    first.update(episodes(), 0)
    second = learner(value_first=2, scale_rewards=True)
    second.load_state_dict(first.state_dict())
    for each in (first, second):
        each.update(episodes(), 1)
    ours, theirs = state(first), state(second)
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_the_value_learns_alone_at_first():
    ppo = learner(value_first=1)
    before = state(ppo)
    update = ppo.update(episodes(), 0)
    assert update.finite
    assert (update.metrics["approx_kl"], update.metrics["policy_loss"]) == (0.0, 0.0)
    after = state(ppo)
    changed = {name for name in after if not torch.equal(before[name], after[name])}
    assert any(name.startswith("model.value.") for name in changed)
    assert not any(name.startswith(("model.policy.", "adam.policy.")) for name in changed)
    assert ppo.update(episodes(), 1).metrics["entropy"] > 0
    assert any(
        not torch.equal(after[name], now) for name, now in state(ppo).items() if name.startswith("model.policy.")
    )


@pytest.mark.parametrize("size", [2.0**-10, 2.0**12])
def test_rewards_of_any_size_teach_the_same(size: float):
    """Powers of two, with which nothing rounds differently."""
    plain, scaled = learner(scale_rewards=True), learner(scale_rewards=True)
    for update in range(3):
        plain.update(episodes(), update)
        scaled.update(episodes(size), update)
    ours, theirs = state(plain), state(scaled)
    assert ours.pop("returns_size") * size == theirs.pop("returns_size")
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)


def test_no_rewards_at_all_are_learned_from_as_they_are():
    ppo = learner(scale_rewards=True)
    assert ppo.update(episodes(0.0), 0).finite
    assert float(ppo.optimizer_state()["returns_size"]) == 0.0

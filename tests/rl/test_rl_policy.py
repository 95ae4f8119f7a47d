"""Acting: the noise decides, alone; exploration follows its schedule."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.rl.distributions import Categorical, Gaussian
from hotlap.rl.networks import ActorCritic
from hotlap.rl.policy import EpsilonGreedy, Policy
from hotlap.rl.specs import ContinuousActions, DiscreteActions

TINY = {"FRONT_FACING_CAMERA": (1, 40, 64)}
STEERING_AND_SPEED = ContinuousActions((-30.0, 0.6), (30.0, 1.0))


def frames(num: int, seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    return {"FRONT_FACING_CAMERA": torch.randint(0, 256, (num, 1, 40, 64), dtype=torch.uint8, generator=generator)}


def test_categorical_sample_inverts_the_cumulative_distribution():
    """Evenly spread noise gives every action its share, to one grid step."""
    probs = torch.tensor([[0.1, 0.0, 0.6, 0.3]]).expand(1000, 4)
    noise = (torch.arange(1000, dtype=torch.float64)[:, None] + 0.5) / 1000
    counts = Categorical(probs).sample(noise).bincount(minlength=4)
    assert (counts - torch.tensor([100, 0, 600, 300])).abs().max() <= 1


@pytest.mark.parametrize("noise", [0.0, 1.0 - 2**-53])
def test_extreme_noise_gives_a_possible_action(noise):
    probs = torch.softmax(torch.randn(500, 5, generator=torch.Generator().manual_seed(0)), dim=-1)
    actions = Categorical(probs).sample(torch.full((500, 1), noise, dtype=torch.float64))
    assert set(actions.tolist()) == {0 if noise == 0.0 else 4}


def test_distributions_agree_with_torch():
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(20, 5, generator=generator, dtype=torch.float64)
    choice = torch.distributions.Categorical(logits=logits)
    actions = torch.arange(20) % 5
    ours = Categorical.from_logits(logits)
    torch.testing.assert_close(ours.log_prob(actions), choice.log_prob(actions))
    torch.testing.assert_close(ours.entropy(), choice.entropy())

    mean = torch.randn(20, 2, generator=generator, dtype=torch.float64)
    std = torch.tensor([0.5, 2.0], dtype=torch.float64)
    normal = torch.distributions.Independent(torch.distributions.Normal(mean, std.expand(20, 2)), 1)
    gaussian = Gaussian(mean, std)
    samples = gaussian.sample(torch.randn(20, 2, generator=generator, dtype=torch.float64))
    torch.testing.assert_close(gaussian.log_prob(samples), normal.log_prob(samples))
    torch.testing.assert_close(gaussian.entropy(), normal.entropy())


def test_probabilities_and_spread_have_their_limits():
    assert Categorical.from_logits(torch.tensor([[0.0, -100.0]])).probs[0, 1].item() == pytest.approx(1e-8)
    stds = Gaussian.from_log_std(torch.zeros(1, 2), torch.tensor([-50.0, 50.0])).std
    assert stds.tolist() == pytest.approx([np.exp(-20.0) + np.finfo(np.float32).eps, np.exp(3.0)])


@pytest.mark.parametrize(("precision", "rounding"), [("bfloat16", 2**-6), ("float32", 1e-5), ("float64", 1e-6)])
@pytest.mark.parametrize("actions", [DiscreteActions(5), STEERING_AND_SPEED])
def test_a_world_acts_alone_as_among_others(precision, rounding, actions):
    """But for rounding, as math libraries take other routes for other batches; log-probabilities are float32."""
    policy = Policy(ActorCritic(SHALLOW, TINY, actions), precision=precision)
    obs = frames(64)
    noise = torch.rand(64, policy.noise_size, generator=torch.Generator().manual_seed(1))
    together = policy.act(obs, noise)
    for some in ([0], [63], [7, 21], [40, 3, 9], list(range(10, 31))):
        apart = policy.act({name: images[some] for name, images in obs.items()}, noise[some])
        torch.testing.assert_close(apart.action, together.action[some], rtol=0, atol=rounding)
        torch.testing.assert_close(apart.log_prob, together.log_prob[some], rtol=0, atol=rounding)


@pytest.mark.parametrize("actions", [DiscreteActions(5), STEERING_AND_SPEED])
def test_worlds_and_cars_act_as_one_batch(actions):
    """(num_worlds, num_cars) is only another way to count the rows."""
    policy = Policy(ActorCritic(SHALLOW, TINY, actions), precision="float32")
    obs = frames(6)
    noise = torch.rand(6, policy.noise_size, generator=torch.Generator().manual_seed(1))
    flat = policy.act(obs, noise)
    acted = policy.act({name: images.unflatten(0, (3, 2)) for name, images in obs.items()}, noise.unflatten(0, (3, 2)))
    assert acted.log_prob.shape == (3, 2)
    assert torch.equal(acted.action.flatten(0, 1), flat.action)
    assert torch.equal(acted.log_prob.flatten(), flat.log_prob)


def test_log_prob_is_that_of_the_network():
    actor_critic = ActorCritic(SHALLOW, TINY, STEERING_AND_SPEED)
    policy = Policy(actor_critic, precision="float32")
    obs = frames(6)
    acted = policy.act(obs, torch.randn(6, 2, generator=torch.Generator().manual_seed(0)))
    tower = actor_critic.policy
    expected = tower(tower.pack(obs)).policy.log_prob(acted.action)
    torch.testing.assert_close(acted.log_prob, expected)
    assert acted.action.abs().max() > 1  # the unclipped sample


def test_greedy_ignores_the_noise():
    policy = Policy(ActorCritic(SHALLOW, TINY, DiscreteActions(5)))
    obs = frames(8)
    actions = [policy.act(obs, torch.full((8, 1), noise), greedy=True).action for noise in (0.1, 0.9)]
    assert torch.equal(*actions)


def test_policy_follows_the_weights_when_refreshed():
    actor_critic = ActorCritic(SHALLOW, {"FRONT_FACING_CAMERA": (1, 120, 160)}, DiscreteActions(2))
    policy = Policy(actor_critic, precision="bfloat16")
    obs = {"FRONT_FACING_CAMERA": torch.full((4, 1, 120, 160), 128, dtype=torch.uint8)}
    noise = torch.zeros(4, 1)
    before = policy.act(obs, noise).log_prob
    with torch.no_grad():
        actor_critic.policy.middleware.get_submodule("dense1").weight.mul_(3.0)
    policy.refresh()
    assert not torch.equal(policy.act(obs, noise).log_prob, before)


def test_epsilon_falls_linearly_to_its_final_value():
    schedule = EpsilonGreedy(final=0.1, num_steps=1000)
    assert schedule.epsilon(torch.tensor([0, 500, 1000, 5000])).tolist() == pytest.approx([1.0, 0.55, 0.1, 0.1])


def test_epsilon_greedy_is_uniform_below_epsilon_and_greedy_above():
    actor_critic = ActorCritic(SHALLOW, TINY, DiscreteActions(4))
    policy = Policy(actor_critic, exploration=EpsilonGreedy(final=0.4, num_steps=100))
    obs = {name: images.expand(1000, -1, -1, -1) for name, images in frames(1).items()}
    noise = (torch.arange(1000, dtype=torch.float64)[:, None] + 0.5) / 1000
    best = int(Policy(actor_critic).act(obs, noise, greedy=True).action[0])
    steps = torch.full((1000,), 100)
    counts = policy.act(obs, noise, steps_taken=steps).action.bincount(minlength=4)
    expected = torch.full((4,), 100)
    expected[best] += 600
    assert (counts - expected).abs().max() <= 1
    # An evaluation, in training as later, judges what a car will do: nothing is random.
    assert set(policy.act(obs, noise, greedy=True).action.tolist()) == {best}


def test_epsilon_greedy_needs_discrete_actions():
    with pytest.raises(ValueError, match="discrete"):
        Policy(ActorCritic(SHALLOW, TINY, STEERING_AND_SPEED), exploration=EpsilonGreedy())


def test_weights_of_another_network_are_refused():
    """A misspelt name must not leave random weights in its place; the value's weights need not come along."""
    policy = Policy(ActorCritic(SHALLOW, TINY, DiscreteActions(3)), precision="float32")
    other = ActorCritic(SHALLOW, TINY, DiscreteActions(3), seed=7)
    weights = other.state_dict()
    acting = {name: weight for name, weight in weights.items() if name.startswith("policy.")}
    policy.load(acting)
    noise = torch.rand(8, 1, generator=torch.Generator().manual_seed(0))
    expected = Policy(other, precision="float32").act(frames(8), noise)
    assert torch.equal(policy.act(frames(8), noise).log_prob, expected.log_prob)
    name = next(iter(acting))
    misspelt = {key if key != name else f"{key}s": weight for key, weight in acting.items()}
    with pytest.raises(ValueError, match="belong to another network: 2 names"):
        policy.load(misspelt)
    with pytest.raises(ValueError, match="1 names or shapes differ"):
        policy.load(acting | {name: acting[name][..., :1]})

"""Advantages and losses: by their definitions, and against TorchRL."""

from __future__ import annotations

import itertools
from types import ModuleType

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hotlap.rl.distributions import Categorical, Gaussian
from hotlap.rl.gae import gae
from hotlap.rl.losses import policy_loss, value_loss

finite = st.floats(-10, 10, allow_nan=False)


@given(
    steps=st.lists(st.tuples(finite, finite), min_size=1, max_size=12),
    final_value=finite,
    gamma=st.floats(0, 1),
    gae_lambda=st.floats(0, 1),
)
def test_gae_is_the_discounted_sum_of_its_deltas(steps, final_value, gamma, gae_lambda):
    rewards, values = map(list, zip(*steps, strict=True))
    following = [*values[1:], final_value]
    deltas = [r + gamma * v_next - v for r, v_next, v in zip(rewards, following, values, strict=True)]
    expected = [
        sum((gamma * gae_lambda) ** k * delta for k, delta in enumerate(deltas[t:])) for t in range(len(deltas))
    ]
    np.testing.assert_allclose(
        gae(rewards, values, final_value, gamma=gamma, gae_lambda=gae_lambda), expected, atol=1e-9
    )


@given(
    steps=st.lists(st.tuples(finite, finite, st.floats(0, 3)), min_size=1, max_size=12),
    final_value=finite,
    gamma=st.floats(0, 1),
    gae_lambda=st.floats(0, 1),
)
def test_weights_make_the_targets_of_v_trace(steps, final_value, gamma, gae_lambda):
    """v_s = V_s + sum_t gamma^(t-s) (prod_{i=s}^{t-1} c_i) rho_t delta_t, in the paper's words and indices."""
    rewards, values, ratios = map(np.array, zip(*steps, strict=True))
    rho = np.minimum(1.0, ratios)
    c = gae_lambda * np.minimum(1.0, ratios)
    deltas = rewards + gamma * np.append(values[1:], final_value) - values
    num = len(steps)
    corrections = np.array(
        [sum(gamma ** (t - s) * c[s:t].prod() * rho[t] * deltas[t] for t in range(s, num)) for s in range(num)]
    )
    advantages = gae(rewards, values, final_value, gamma=gamma, gae_lambda=gae_lambda, weights=rho)
    np.testing.assert_allclose(values + rho * advantages, values + corrections, atol=1e-9)
    following = np.append(corrections[1:], 0.0)  # v_{s+1} - V_{s+1}
    np.testing.assert_allclose(advantages, deltas + gamma * gae_lambda * following, atol=1e-9)


# A chain of three states. Action 1 goes right, beyond the last state to the end; action 0 goes left, or stays at the
# first. Every step costs 0.1, the end brings 1. Rows: probability of each action in each state.
GAMMA = 0.9
BEHAVIOR = np.array([[0.6, 0.4], [0.5, 0.5], [0.3, 0.7]])
TARGET = np.array([[0.2, 0.8], [0.3, 0.7], [0.1, 0.9]])


def follow(state: int, action: int) -> tuple[float, int | None]:
    """Reward and next state; None after the end."""
    if action == 1 and state == 2:
        return 0.9, None
    return -0.1, max(0, state + (1 if action == 1 else -1))


def look_ahead(values: np.ndarray) -> np.ndarray:
    """Action values, (states, actions), of values."""
    steps = [[follow(state, action) for action in (0, 1)] for state in range(3)]
    return np.array([[r + (0.0 if s is None else GAMMA * values[s]) for r, s in row] for row in steps])


def values_of(policy: np.ndarray) -> np.ndarray:
    """Of the policy, by solving its Bellman equation."""
    offset = (policy * look_ahead(np.zeros(3))).sum(axis=1)
    slope = np.array([(policy * (look_ahead(unit) - look_ahead(np.zeros(3)))).sum(axis=1) for unit in np.eye(3)]).T
    return np.linalg.solve(np.eye(3) - slope, offset)


def expect_advantages(values: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Mean advantage of each first action, (states, actions), over all attempts of four steps that BEHAVIOR makes.

    Args:
        values: Estimates; those of the last state count where an attempt is cut.
        weights: Importance of each action in each state.
    """
    mean = np.zeros((3, 2))
    for start, *actions in itertools.product(range(3), *[(0, 1)] * 4):
        state: int | None = start
        visited, rewards, probability = [], [], 1.0
        for action in actions:
            probability *= 1.0 if state is None else BEHAVIOR[state, action]
            if state is None:
                # The rest is the same attempt again: count it once.
                probability *= 0.5
                continue
            visited.append((state, action))
            reward, state = follow(state, action)
            rewards.append(reward)
        estimates = gae(
            rewards,
            [values[s] for s, _ in visited],
            0.0 if state is None else values[state],
            gamma=GAMMA,
            gae_lambda=0.95,
            weights=[weights[s, a] for s, a in visited],
        )
        mean[start, actions[0]] += probability / BEHAVIOR[start, actions[0]] * estimates[0]
    return mean


def learn_values(weights: np.ndarray) -> np.ndarray:
    """Where values end that are set to their expected targets again and again."""
    values = np.zeros(3)
    for _ in range(60):
        values = values + (BEHAVIOR * weights * expect_advantages(values, weights)).sum(axis=1)
    return values


def test_weighted_targets_teach_the_values_of_a_policy_that_did_not_act():
    """Without weights one learns the values of who acted; with them those of the target policy; with truncated ones
    those of the policy proportional to min(behavior, target), which lies between the two (V-trace, theorem 1)."""
    ratios = TARGET / BEHAVIOR
    between = np.minimum(BEHAVIOR, TARGET)
    between /= between.sum(axis=1, keepdims=True)
    uncorrected, truncated = learn_values(np.ones((3, 2))), learn_values(np.minimum(1.0, ratios))
    wanted = values_of(TARGET)
    np.testing.assert_allclose(uncorrected, values_of(BEHAVIOR), atol=1e-9)
    np.testing.assert_allclose(learn_values(ratios), wanted, atol=1e-9)
    np.testing.assert_allclose(truncated, values_of(between), atol=1e-9)
    # The target policy is the more eager to arrive in every state.
    assert (uncorrected < truncated).all()
    assert (truncated < wanted).all()


def test_weighted_advantages_are_those_of_the_policy_that_did_not_act():
    """The step itself bears no weight yet: whoever took it, it is followed by the target policy."""
    values = values_of(TARGET)
    expected = look_ahead(values) - values[:, None]
    np.testing.assert_allclose(expect_advantages(values, TARGET / BEHAVIOR), expected, atol=1e-12)
    assert np.abs(expect_advantages(values, np.ones((3, 2))) - expected).max() > 0.02


def test_gae_with_lambda_one_is_the_return_less_the_value():
    advantages = gae([1.0, 2.0, 4.0], [0.3, 0.2, 0.1], 8.0, gamma=0.5, gae_lambda=1.0)
    np.testing.assert_allclose(advantages, [1 + 1 + 1 + 1 - 0.3, 2 + 2 + 2 - 0.2, 4 + 4 - 0.1])


def test_time_limit_bootstraps_but_an_end_does_not():
    """A last step is worth gamma * V(s') more when time ran out."""
    ended = gae([1.0], [0.5], 0.0, gamma=0.9, gae_lambda=0.95)
    cut = gae([1.0], [0.5], 2.0, gamma=0.9, gae_lambda=0.95)
    assert cut[0] - ended[0] == pytest.approx(0.9 * 2.0)


def test_episodes_one_after_the_other_are_what_each_is_alone():
    """To the last bit, however long they are."""
    rng = np.random.default_rng(3)
    lengths = [1, 7, 300, 7, 2]
    rewards, values, weights = rng.normal(size=(3, sum(lengths)))
    final_values = rng.normal(size=len(lengths))
    together = gae(rewards, values, final_values, gamma=0.97, gae_lambda=0.9, weights=weights, lengths=lengths)
    ends = np.cumsum(lengths)
    for begin, end, final in zip(ends - lengths, ends, final_values, strict=True):
        one = slice(begin, end)
        alone = gae(rewards[one], values[one], final, gamma=0.97, gae_lambda=0.9, weights=weights[one])
        assert together[one].tobytes() == alone.tobytes()


@pytest.fixture(scope="module")
def torchrl() -> ModuleType:
    """What asks TorchRL: imported here, since every process of a run collects this file and one of them needs it."""
    import torchrl_losses

    return torchrl_losses


def test_gae_agrees_with_torchrl(torchrl):
    rng = np.random.default_rng(0)
    rewards, values = rng.normal(size=(2, 50))
    theirs = torchrl.advantages(rewards, values, 3.0, gamma=0.99, gae_lambda=0.95)
    ours = gae(rewards, values, 3.0, gamma=0.99, gae_lambda=0.95)
    # TorchRL holds gamma and lambda in float32, also for float64 rewards.
    np.testing.assert_allclose(ours, theirs, rtol=1e-5)


@pytest.mark.parametrize(("ours_type", "theirs_type"), [("huber", "smooth_l1"), ("mse", "l2")])
@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_losses_agree_with_torchrl(torchrl, kind, ours_type, theirs_type):
    generator = torch.Generator().manual_seed(0)

    def normal(*shape: int) -> torch.Tensor:
        return torch.randn(*shape, generator=generator, dtype=torch.float64)

    if kind == "discrete":
        parameters = {"logits": normal(64, 5).requires_grad_()}
        policy = Categorical.from_logits(parameters["logits"])
        distribution = torch.distributions.Categorical
        action = torch.randint(0, 5, (64,), generator=generator)
    else:
        mean, std = normal(64, 2).requires_grad_(), torch.tensor([0.7, 1.3], dtype=torch.float64)
        parameters = {"loc": mean, "scale": std.expand(64, 2)}
        policy = Gaussian(mean, std)

        def distribution(loc, scale):
            return torch.distributions.Independent(torch.distributions.Normal(loc, scale), 1)

        action = normal(64, 2)
    # Ratios on both sides of the clip range, advantages of both signs.
    old_log_probs = policy.log_prob(action).detach() + 0.3 * normal(64)
    advantages, values, targets = normal(64), normal(64).requires_grad_(), 2.0 * normal(64)
    theirs = torchrl.losses(
        parameters, distribution, action, old_log_probs, advantages, values, targets, loss_type=theirs_type
    )

    ours = policy_loss(policy, action, old_log_probs, advantages, clip_coef=0.2, beta_entropy=0.03)
    torch.testing.assert_close(ours.surrogate, theirs["loss_objective"])
    torch.testing.assert_close(ours.entropy, theirs["entropy"])
    torch.testing.assert_close(ours.clip_fraction.double(), theirs["clip_fraction"].double())
    torch.testing.assert_close(value_loss(values, targets, ours_type), theirs["loss_critic"])

    leaf = next(iter(parameters.values()))
    (our_gradient,) = torch.autograd.grad(ours.loss, leaf, retain_graph=True)
    (their_gradient,) = torch.autograd.grad(theirs["loss_objective"] + theirs["loss_entropy"], leaf)
    torch.testing.assert_close(our_gradient, their_gradient)


def test_clipped_ratios_have_no_gradient():
    """Where the ratio has already moved by more than 0.2 in the direction that the advantage asks for."""
    logits = torch.zeros(4, 2, dtype=torch.float64, requires_grad=True)
    policy = Categorical.from_logits(logits)
    old = policy.log_prob(torch.zeros(4, dtype=torch.int64)).detach() - torch.tensor([0.5, 0.5, -0.5, -0.5])
    advantages = torch.tensor([1.0, -1.0, 1.0, -1.0], dtype=torch.float64)
    loss = policy_loss(policy, torch.zeros(4, dtype=torch.int64), old, advantages, clip_coef=0.2, beta_entropy=0.0)
    loss.loss.backward()
    assert logits.grad is not None
    assert logits.grad.any(dim=1).tolist() == [False, True, True, False]


def test_huber_is_quadratic_up_to_one():
    targets = torch.tensor([0.5, 3.0])
    assert value_loss(torch.zeros(2), targets, "huber").item() == pytest.approx((0.5 * 0.25 + 2.5) / 2)
    assert value_loss(torch.zeros(2), targets, "mse").item() == pytest.approx((0.25 + 9.0) / 2)

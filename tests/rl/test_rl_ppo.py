"""The update: exactly the recipe, the same bytes every time, and it learns."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.deepracer.sensors import observation_shapes
from hotlap.deepracer.state_values import STATE
from hotlap.rl.adam import Adam
from hotlap.rl.episode import Episode
from hotlap.rl.learner import Update
from hotlap.rl.networks import ActorCritic
from hotlap.rl.policy import Policy
from hotlap.rl.ppo import METRICS, PPO, PPOConfig, minibatch_size
from hotlap.rl.precision import Precision
from hotlap.rl.specs import ContinuousActions, DiscreteActions

pytestmark = pytest.mark.usefixtures("slim_networks")

SENSOR = "FRONT_FACING_CAMERA"
TINY = {SENSOR: (1, 40, 64)}
STEERING_AND_SPEED = ContinuousActions((-30.0, 0.6), (30.0, 1.0))


def episodes_of(
    actor_critic: ActorCritic,
    lengths: list[int],
    *,
    seed: int = 0,
    truncated: bool = False,
    precision: Precision = "auto",
) -> list[Episode]:
    """Episodes of random frames and rewards, acted by the actor-critic."""
    rng = np.random.default_rng(seed)
    shape = actor_critic.observations[SENSOR]
    policy = Policy(actor_critic, precision=precision)
    episodes = []
    for steps in lengths:
        frames = rng.integers(0, 256, (steps, *shape), dtype=np.uint8)
        discrete = isinstance(actor_critic.actions, DiscreteActions)
        noise = rng.random((steps, 1)) if discrete else rng.normal(size=(steps, 2))
        acted = policy.act({SENSOR: torch.from_numpy(frames)}, torch.from_numpy(noise))
        episodes.append(
            Episode(
                {SENSOR: frames},
                acted.action.numpy(),
                acted.log_prob.numpy(),
                rng.normal(size=steps).astype(np.float32),
                terminated=not truncated,
                truncated=truncated,
                final_obs={SENSOR: rng.integers(0, 256, shape, dtype=np.uint8)} if truncated else None,
            )
        )
    return episodes


def older(actor_critic: ActorCritic) -> ActorCritic:
    """One that acts somewhat differently."""
    actor = deepcopy(actor_critic)
    generator = torch.Generator().manual_seed(9)
    with torch.no_grad():
        for parameter in actor.policy.head.parameters():
            parameter += 0.1 * torch.randn(parameter.shape, generator=generator)
    return actor


def same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


class PlainTower(nn.Module):
    """The shallow network as anyone would write it, on frames scaled to [0, 1]."""

    def __init__(self, weights: dict[str, torch.Tensor]) -> None:
        super().__init__()
        self.weights = nn.ParameterDict({name.replace(".", "/"): weight for name, weight in weights.items()})

    def layer(self, name: str) -> tuple[torch.Tensor, torch.Tensor]:
        return self.weights[f"{name}/weight"], self.weights[f"{name}/bias"]

    def values(self, frames: torch.Tensor) -> torch.Tensor:
        return F.linear(self.features(frames), *self.layer("head/value")).squeeze(-1)

    def distribution(self, frames: torch.Tensor) -> torch.distributions.Distribution:
        features = self.features(frames)
        if "head/log_std" not in self.weights:
            return torch.distributions.Categorical(logits=F.linear(features, *self.layer("head/logits")))
        std = self.weights["head/log_std"].exp() + torch.finfo(torch.float32).eps
        normal = torch.distributions.Normal(F.linear(features, *self.layer("head/mean")), std)
        return torch.distributions.Independent(normal, 1)

    def features(self, frames: torch.Tensor) -> torch.Tensor:
        x = frames.double() / 255.0
        for index, stride in enumerate((4, 2, 1), start=1):
            x = F.relu(F.conv2d(x, *self.layer(f"embedder/{SENSOR}/conv{index}"), stride=stride))
        return F.relu(F.linear(x.permute(0, 2, 3, 1).flatten(1), *self.layer("middleware/dense1")))


@pytest.mark.parametrize(
    ("loss_type", "actions", "lagged"),
    [
        ("huber", DiscreteActions(3), False),
        ("mse", DiscreteActions(3), False),
        ("huber", DiscreteActions(3), True),
        ("huber", STEERING_AND_SPEED, True),
    ],
)
def test_update_is_the_recipe_in_plain_float64(loss_type, actions, lagged):
    """Two epochs of minibatches with plain convolutions, one loss for both towers, and torch's own Adam.

    If lagged, targets are those of V-trace and the surrogate is that of decoupled PPO, in the words of their papers.
    """
    actor_critic = ActorCritic(SHALLOW, TINY, actions)
    actor = older(actor_critic) if lagged else actor_critic
    episodes = [*episodes_of(actor, [9, 4]), *episodes_of(actor, [8], seed=1, truncated=True)]
    actor_critic.double()
    config = PPOConfig(lr=1e-3, batch_size=8, num_epochs=2, beta_entropy=0.02, loss_type=loss_type)
    state = {name: weight.clone() for name, weight in actor_critic.state_dict().items()}
    towers = {
        name: PlainTower({key.removeprefix(f"{name}."): state[key] for key in state if key.startswith(name)})
        for name in ("policy", "value")
    }
    stats = PPO(actor_critic, config, precision="float64").update(episodes, seed=5, lagged=lagged)

    frames, chosen, noted = (
        torch.from_numpy(np.concatenate(parts))
        for parts in (
            [episode.obs[SENSOR] for episode in episodes],
            [episode.actions for episode in episodes],
            [episode.log_probs for episode in episodes],
        )
    )
    with torch.no_grad():
        proximal = towers["policy"].distribution(frames).log_prob(chosen) if lagged else noted.double()
    importance = np.exp(proximal.numpy() - noted.double().numpy())
    weights = np.minimum(1.0, importance)
    assert (weights.min() < 0.95) == lagged
    advantages, targets = [], []
    with torch.no_grad():
        for episode in episodes:
            values = towers["value"].values(torch.from_numpy(episode.obs[SENSOR]))
            after = 0.0
            if episode.truncated:
                assert episode.final_obs is not None
                after = towers["value"].values(torch.from_numpy(episode.final_obs[SENSOR])[None]).item()
            first = len(targets)
            target = following = after
            estimates, corrected = [], []
            for t in reversed(range(episode.num_steps)):
                rho = weights[first + t]
                c = 0.95 * rho
                delta = episode.rewards[t] + 0.99 * following - values[t].item()
                estimates.insert(0, delta + 0.99 * 0.95 * (target - following))
                target = values[t].item() + rho * delta + 0.99 * c * (target - following)
                corrected.insert(0, target)
                following = values[t].item()
            advantages += estimates
            targets += corrected
    advantages = np.array(advantages)
    advantages = torch.from_numpy(((advantages - advantages.mean()) / (advantages.std() + 1e-8)).astype(np.float32))
    targets = torch.tensor(targets, dtype=torch.float32)

    optimizer = torch.optim.Adam([*towers["policy"].parameters(), *towers["value"].parameters()], lr=1e-3, eps=1e-5)
    generator = torch.Generator().manual_seed(5)
    for _ in range(2):
        order = torch.randperm(21, generator=generator)
        for indices in (order[:8], order[8:16]):  # 5 of 21 samples fill no minibatch
            policy = towers["policy"].distribution(frames[indices])
            ratio = (policy.log_prob(chosen[indices]) - proximal[indices]).exp()
            gain = torch.min(ratio * advantages[indices], ratio.clamp(0.8, 1.2) * advantages[indices])
            gain = torch.from_numpy(weights)[indices] * gain
            error = towers["value"].values(frames[indices]) - targets[indices]
            quadratic = 0.5 * error**2 if loss_type == "huber" else error**2
            value = torch.where(error.abs() <= 1, quadratic, error.abs() - 0.5) if loss_type == "huber" else quadratic
            optimizer.zero_grad()
            (value.mean() - gain.mean() - 0.02 * policy.entropy().mean()).backward()
            optimizer.step()

    for name, tower in towers.items():
        for key, expected in tower.weights.items():
            actual = actor_critic.state_dict()[f"{name}.{key.replace('/', '.')}"]
            # Four steps moved the weights by up to 4e-3; advantages and targets were rounded to float32 on the way.
            torch.testing.assert_close(actual, expected.detach(), rtol=0, atol=1e-7)
    assert stats.num_samples == 32
    assert stats.metrics["behavior_kl"] == pytest.approx((importance - 1.0 - np.log(importance)).mean(), abs=1e-12)


def test_adam_is_adam_with_and_without_copies():
    generator = torch.Generator().manual_seed(0)
    start = {"large": torch.randn(500, 700, generator=generator), "small": torch.randn(7, generator=generator)}
    ours = {name: weight.clone() for name, weight in start.items()}
    theirs = {name: weight.clone().requires_grad_() for name, weight in start.items()}
    copies = {"large": start["large"].bfloat16()}
    adam = Adam(ours, lr=1e-2, betas=(0.9, 0.999), eps=1e-5)
    reference = torch.optim.Adam(theirs.values(), lr=1e-2, eps=1e-5)
    for _ in range(3):
        gradients = {name: torch.randn(weight.shape, generator=generator) for name, weight in start.items()}
        gradients["large"] = gradients["large"].bfloat16()
        adam.step([gradients], copies)
        for name, weight in theirs.items():
            weight.grad = gradients[name].float()
        reference.step()
    for name in ours:
        torch.testing.assert_close(ours[name], theirs[name].detach(), rtol=1e-5, atol=1e-7)
    assert torch.equal(copies["large"], ours["large"].bfloat16())


@pytest.mark.parametrize("lagged", [False, True])
@pytest.mark.parametrize("actions", [DiscreteActions(5), STEERING_AND_SPEED])
def test_first_minibatch_has_ratio_one(actions, lagged):
    """Acting and learning see the same probabilities, so nothing is clipped and KL is zero before the first step.

    If lagged, the probabilities of acting are others, but what is clipped is the way from the present ones.
    """
    actor_critic = ActorCritic(SHALLOW, observation_shapes([SENSOR]), actions)
    config = PPOConfig(batch_size=16, num_epochs=1)
    actor = older(actor_critic) if lagged else actor_critic
    stats = PPO(actor_critic, config).update(episodes_of(actor, [16]), seed=0, lagged=lagged)
    # One minibatch; what is left is the float32 rounding of the heads over another batch size.
    assert stats.num_samples == 16
    assert stats.metrics["approx_kl"] == pytest.approx(0.0, abs=1e-8)
    assert stats.metrics["clip_fraction"] == 0.0
    assert (stats.metrics["behavior_kl"] > 1e-3) == lagged


@pytest.mark.parametrize(
    ("actions", "critic"),
    [(DiscreteActions(3), "camera"), (STEERING_AND_SPEED, "camera"), (DiscreteActions(3), "shared")],
)
def test_correction_changes_nothing_where_the_present_policy_acted(actions, critic):
    """Only if asked for, and then only by rounding; where older weights acted, it does change something."""

    def learn(aged: bool = False, **settings: bool) -> dict[str, torch.Tensor]:
        actor_critic = ActorCritic(SHALLOW, TINY, actions, critic=critic)
        actor = older(actor_critic) if aged else actor_critic
        episodes = episodes_of(actor, [20, 13], precision="float32")
        episodes += episodes_of(actor, [7], seed=1, truncated=True, precision="float32")
        ppo = PPO(actor_critic, PPOConfig(batch_size=8, num_epochs=2), precision="float32")
        ppo.update(episodes, seed=0, **settings)
        return ppo.state_dict()

    assert same(learn(), learn(lagged=False))
    for aged in (False, True):
        plain, corrected = learn(aged), learn(aged, lagged=True)
        difference = max(float((corrected[name] - plain[name]).abs().max()) for name in plain)
        # Ten steps moved the weights by up to 3e-3; log probabilities are rounded at 1e-7.
        assert (difference < 1e-5) == (not aged)


def test_a_policy_that_has_come_far_enough_takes_no_more_steps():
    """Its value network goes through all epochs all the same; without a target nothing changes."""
    episodes = episodes_of(ActorCritic(SHALLOW, TINY, DiscreteActions(3)), [200, 200], precision="float32")

    def update(target_kl: float) -> tuple[PPO, Update]:
        config = PPOConfig(lr=1e-4, batch_size=16, num_epochs=3, target_kl=target_kl)
        ppo = PPO(ActorCritic(SHALLOW, TINY, DiscreteActions(3)), config, precision="float32")
        return ppo, ppo.update(episodes, seed=3)

    free, freely = update(0.0)
    held, near = update(0.001)
    same_path, _ = update(1e9)
    assert len(freely.epochs) == len(near.epochs) == 3
    of_policy = [epoch["approx_kl"] for epoch in near.epochs if "approx_kl" in epoch]
    assert len(of_policy) == 2
    assert of_policy[0] < 0.001 < of_policy[1] < freely.epochs[1]["approx_kl"]
    assert all("value_loss" in epoch for epoch in near.epochs)
    assert same(
        *(
            {name: w for name, w in each.network.state_dict().items() if name.startswith("value.")}
            for each in (free, held)
        )
    )
    assert same(free.state_dict(), same_path.state_dict())


def test_a_critic_of_the_state_learns_what_pictures_do_not_show():
    """The frames are noise, the return stands in the state; the policy has no tower for it."""
    rng = np.random.default_rng(0)
    size = observation_shapes([STATE])[STATE]
    actor_critic = ActorCritic(SHALLOW, TINY, DiscreteActions(3), critic="state")
    ppo = PPO(actor_critic, PPOConfig(lr=3e-3, batch_size=32, num_epochs=10), precision="float32")
    assert not any("conv" in name for name in actor_critic.state_dict() if name.startswith("value."))
    explained = []
    for seed in range(3):
        episodes = []
        for episode in episodes_of(actor_critic, [1] * 200, seed=seed, precision="float32"):
            state = rng.normal(size=(1, *size)).astype(np.float32)
            episodes.append(replace(episode, obs=episode.obs | {STATE: state}, rewards=state[:, 3]))
        explained.append(ppo.update(episodes, seed).metrics["explained_variance"])
    assert explained[0] < 0.2
    assert explained[-1] > 0.7


@pytest.mark.parametrize("critic", ["camera", "shared"])
def test_same_seed_gives_the_same_bytes(critic):
    states = []
    for _ in range(2):
        actor_critic = ActorCritic(SHALLOW, TINY, DiscreteActions(3), critic=critic, seed=1)
        ppo = PPO(actor_critic, PPOConfig(batch_size=8, num_epochs=2))
        for iteration in range(2):
            ppo.update(episodes_of(actor_critic, [20, 13]), seed=iteration)
        states.append(ppo.state_dict())
    assert same(*states)
    other = PPO(ActorCritic(SHALLOW, TINY, DiscreteActions(3), critic=critic, seed=1), PPOConfig())
    assert not same(states[0], other.state_dict())


def test_epochs_are_told_one_by_one():
    """More epochs begin with the same ones, and their means are those of the update."""
    found = []
    for num_epochs in (2, 3):
        actor_critic = ActorCritic(SHALLOW, TINY, DiscreteActions(3))
        episodes = episodes_of(actor_critic, [20, 13])
        ppo = PPO(actor_critic, PPOConfig(lr=1e-3, batch_size=8, num_epochs=num_epochs))
        found.append(ppo.update(episodes, seed=3))
    two, three = found
    assert (len(two.epochs), len(three.epochs)) == (2, 3)
    assert three.epochs[:2] == two.epochs
    assert len({epoch["approx_kl"] for epoch in three.epochs}) == 3
    for name in three.epochs[0]:
        mean = np.mean([epoch[name] for epoch in three.epochs])
        assert three.metrics[name] == pytest.approx(mean, rel=1e-12)
    assert three.metrics.keys() == {metric.name for metric in METRICS}


def test_towers_side_by_side_are_towers_one_after_the_other():
    states = []
    before = torch.get_num_threads()
    for num_threads in (1, 2):
        actor_critic = ActorCritic(SHALLOW, TINY, DiscreteActions(3))
        episodes = episodes_of(actor_critic, [40])
        ppo = PPO(actor_critic, PPOConfig(batch_size=8, num_epochs=2))
        torch.set_num_threads(num_threads)
        try:
            ppo.update(episodes, seed=0)
            assert torch.get_num_threads() == num_threads
        finally:
            torch.set_num_threads(before)
        states.append(ppo.state_dict())
    # The values that advantages rest on are computed with all threads: they may differ in the last bit.
    for name in states[0]:
        torch.testing.assert_close(states[0][name], states[1][name], rtol=1e-4, atol=1e-6)


def test_parts_of_minibatches_add_up_to_the_whole():
    """Batches of 33 make parts of 17 and 16 samples; a middleware of 180 thousand weights makes no copies, one of five
    million does."""
    before = torch.get_num_threads()
    for shape, precision, tolerance in (((1, 40, 64), "float64", 1e-12), ((1, 120, 160), "bfloat16", 0.03)):
        states = []
        for num_threads in (1, 2, 2):
            actor_critic = ActorCritic(SHALLOW, {SENSOR: shape}, DiscreteActions(3), critic="shared")
            episodes = episodes_of(actor_critic, [67])
            if precision == "float64":
                actor_critic.double()
            ppo = PPO(actor_critic, PPOConfig(batch_size=33, num_epochs=1), precision=precision)
            torch.set_num_threads(num_threads)
            try:
                stats = ppo.update(episodes, seed=0)
                assert torch.get_num_threads() == num_threads
            finally:
                torch.set_num_threads(before)
            states.append((stats, ppo.state_dict()))
        (whole, expected), (parts, actual), (_, again) = states
        assert same(actual, again)
        # Mean gradients: the weights themselves move by about the learning rate whatever the gradient.
        gradient, reference = (
            torch.cat([moment.flatten() for name, moment in state.items() if ".first." in name])
            for state in (actual, expected)
        )
        assert (gradient - reference).norm() <= tolerance * reference.norm()
        for term in parts.epochs[0]:
            assert parts.metrics[term] == pytest.approx(whole.metrics[term], rel=1e-3, abs=1e-3)


@pytest.mark.parametrize("actions", [DiscreteActions(5), STEERING_AND_SPEED])
def test_resuming_continues_byte_for_byte(actions):
    """Five million weights take the path with copies."""
    shapes = observation_shapes([SENSOR])
    config = PPOConfig(batch_size=4, num_epochs=1)
    actor_critic = ActorCritic(SHALLOW, shapes, actions)
    first, second = (episodes_of(actor_critic, [9], seed=seed) for seed in (0, 1))
    ppo = PPO(actor_critic, config)
    ppo.update(first, seed=0)
    saved = ppo.state_dict()
    ppo.update(second, seed=1)

    resumed = PPO(ActorCritic(SHALLOW, shapes, actions, seed=9), config)
    resumed.load_state_dict(saved)
    resumed.update(second, seed=1)
    assert same(resumed.state_dict(), ppo.state_dict())
    assert not same(saved, ppo.state_dict())


@pytest.mark.gpu
def test_gpu_learns_what_the_cpu_learns():
    if not torch.cuda.is_available():
        pytest.skip("no CUDA device")
    states = []
    for device in ("cpu", "cuda"):
        actor_critic = ActorCritic(SHALLOW, TINY, DiscreteActions(3))
        episodes = episodes_of(actor_critic, [20, 13])
        ppo = PPO(actor_critic, PPOConfig(batch_size=8, num_epochs=2), device, precision="float32")
        ppo.update(episodes, seed=0)
        states.append({name: tensor.cpu() for name, tensor in ppo.state_dict().items() if name.startswith("model")})
    for name, weight in states[0].items():
        # Eight steps of 3e-4; convolutions on a GPU round to 10 bits by default.
        torch.testing.assert_close(states[1][name], weight, rtol=0, atol=3e-4)


def test_state_of_another_model_is_refused():
    ppo = PPO(ActorCritic(SHALLOW, TINY, DiscreteActions(3)), PPOConfig())
    with pytest.raises(ValueError, match=r"another model: .*policy\.head\.logits"):
        ppo.load_state_dict(PPO(ActorCritic(SHALLOW, TINY, DiscreteActions(4)), PPOConfig()).state_dict())


@pytest.mark.parametrize(("num_steps", "expected"), [(1000, 64), (65, 64), (64, 64), (63, 32), (5, 4), (1, 1)])
def test_batch_shrinks_to_a_power_of_two(num_steps, expected):
    assert minibatch_size(64, num_steps) == expected


def test_numbers_that_are_none_are_reported():
    actor_critic = ActorCritic(SHALLOW, TINY, DiscreteActions(3))
    episodes = episodes_of(actor_critic, [8])
    ppo = PPO(actor_critic, PPOConfig(batch_size=8, num_epochs=1))
    assert ppo.update(episodes, seed=0).finite
    before = ppo.state_dict()
    episodes[0].rewards[3] = np.inf
    assert not ppo.update(episodes, seed=1).finite
    assert same(ppo.state_dict(), before)
    with torch.no_grad():
        actor_critic.policy.head.logits.weight[0, 0] = np.nan
    episodes[0].rewards[3] = 0.0
    assert not ppo.update(episodes, seed=2).finite


@pytest.mark.parametrize(
    ("actions", "critic", "lagged"),
    [
        (DiscreteActions(2), "camera", False),
        (STEERING_AND_SPEED, "camera", False),
        (DiscreteActions(2), "shared", False),
        (DiscreteActions(2), "camera", True),
        (STEERING_AND_SPEED, "camera", True),
    ],
)
def test_learns_which_half_of_the_frame_is_bright(actions, critic, lagged):
    """A random policy is right half of the time; a dozen iterations are more than enough.

    If lagged, the policy that acts and is judged is always one update behind.
    """
    rng = np.random.default_rng(0)
    actor_critic = ActorCritic(SHALLOW, TINY, actions, critic=critic)
    ppo = PPO(actor_critic, PPOConfig(lr=1e-3, batch_size=32, num_epochs=4, gamma=0.0))
    policy = Policy(actor_critic)

    def show(num: int) -> tuple[np.ndarray, np.ndarray]:
        right_is_bright = rng.integers(0, 2, num)
        frames = rng.integers(0, 60, (num, 1, 40, 64), dtype=np.uint8)
        for frame, right in zip(frames, right_is_bright, strict=True):
            frame[:, :, 32 * right : 32 * right + 32] += 120
        return frames, right_is_bright

    def points_right(action: torch.Tensor) -> np.ndarray:
        return action.numpy() if action.ndim == 1 else action[:, 0].numpy() > 0

    for iteration in range(12):
        frames, answers = show(256)
        noise = rng.random((256, 1)) if isinstance(actions, DiscreteActions) else rng.normal(size=(256, 2))
        acted = policy.act({SENSOR: torch.from_numpy(frames)}, torch.from_numpy(noise))
        rewards = (points_right(acted.action) == answers).astype(np.float32)
        episode = Episode({SENSOR: frames}, acted.action.numpy(), acted.log_prob.numpy(), rewards, True, False)
        if lagged:
            policy.refresh()
        ppo.update([episode], seed=iteration, lagged=lagged)
        if not lagged:
            policy.refresh()
        frames, answers = show(256)
        acted = policy.act({SENSOR: torch.from_numpy(frames)}, torch.zeros(256, policy.noise_size), greedy=True)
        if (points_right(acted.action) == answers).mean() > 0.98:
            break
    else:
        pytest.fail("not learned in 12 iterations of 256 frames")

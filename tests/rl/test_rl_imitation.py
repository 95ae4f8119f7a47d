"""A student learns what its teacher would do, from what it sees itself."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor

from hotlap.deepracer.metadata_names import DENSE, SHALLOW
from hotlap.deepracer.sensors import observation_shapes
from hotlap.deepracer.state_values import STATE
from hotlap.rl.episode import Episode
from hotlap.rl.imitation import Imitation, ImitationConfig, _Drawn
from hotlap.rl.networks import ActorCritic
from hotlap.rl.pictures import NUM_NUMBERS
from hotlap.rl.specs import ActionSpec, ContinuousActions, DiscreteActions

SENSOR = "FRONT_FACING_CAMERA"
TINY = {SENSOR: (1, 40, 64)}
STATE_SHAPE = observation_shapes([STATE])
STEERING_AND_SPEED = ContinuousActions((-30.0, 0.6), (30.0, 1.0))
CONFIG = ImitationConfig(lr=1e-3, num_samples=1024, batch_size=32, memory=600)


@torch.no_grad()
def teacher_of(actions: ActionSpec) -> ActorCritic:
    """Does one thing where the first value of the state is above 0, and another below."""
    network = ActorCritic(DENSE, STATE_SHAPE, actions)
    first, second = network.policy.embedder[STATE].children()
    head = network.policy.head.logits if isinstance(actions, DiscreteActions) else network.policy.head.mean
    for layer in (first, second, head):
        layer.weight.zero_()
        layer.bias.zero_()
    first.weight[0, 0], first.weight[1, 0] = 1.0, -1.0
    second.weight[0, 0] = second.weight[1, 1] = 1.0
    # A surer teacher would leave gradients of nearly nothing, with which processors compute five times as long.
    strength = 2.5 if isinstance(actions, DiscreteActions) else 0.5
    head.weight[0, 0] = head.weight[1, 1] = strength
    return network


def seen_episodes(seed: int, num: int = 4, num_steps: int = 50) -> list[Episode]:
    """The half of the frame that is bright shows the sign of the first value of the state; whoever drove."""
    rng = np.random.default_rng(seed)
    episodes = []
    for _ in range(num):
        right = rng.integers(2, size=num_steps)
        frames = rng.integers(0, 60, (num_steps, *TINY[SENSOR]), dtype=np.uint8)
        for frame, side in zip(frames, right, strict=True):
            frame[:, :, 32 * side : 32 * side + 32] += 150
        state = rng.normal(size=(num_steps, *STATE_SHAPE[STATE])).astype(np.float32)
        state[:, 0] = 1.0 - 2.0 * right
        nothing = np.zeros(num_steps, dtype=np.float32)
        episodes.append(
            Episode({SENSOR: frames, STATE: state}, rng.integers(2, size=num_steps), nothing, nothing, True, False)
        )
    return episodes


SWAPPED = torch.tensor([[0.0, 1.0], [1.0, 0.0]])


def student(actions: ActionSpec, config: ImitationConfig = CONFIG, mirror: Tensor | None = None) -> Imitation:
    network = ActorCritic(SHALLOW, TINY, actions)
    return Imitation(network, teacher_of(actions), config, precision="float32", mirror=mirror)


def drawn(randomize: bool = False, mirror: Tensor | None = None) -> _Drawn:
    """A hundred steps, each once."""
    learner = student(DiscreteActions(2))
    learner.remember(seen_episodes(0, num=2))
    numbers = torch.rand(100, 1 + NUM_NUMBERS, generator=torch.Generator().manual_seed(0))
    return _Drawn(learner._lessons, torch.randperm(100), numbers, randomize, mirror)


@pytest.mark.parametrize("actions", [DiscreteActions(2), STEERING_AND_SPEED], ids=["discrete", "continuous"])
def test_a_student_does_what_its_teacher_would(actions: ActionSpec):
    """By its averaged weights, too, on frames that it has never seen; its value network is left alone."""
    learner = student(actions)
    value = {name: w.clone() for name, w in learner.network.state_dict().items() if name.startswith("value.")}
    updates = [learner.update(seen_episodes(seed), seed) for seed in range(4)]
    assert updates[-1].metrics["imitation_loss"] < 0.8 * updates[0].metrics["imitation_loss"]
    assert updates[-1].metrics["agreement"] > 0.95
    assert all(update.finite and update.num_samples == 1024 for update in updates)
    (episode,) = seen_episodes(99, num=1)
    asked = learner._ask(episode)
    with torch.no_grad():
        policy = learner.network.policy(learner.network.policy.pack(asked.seen)).policy
    if isinstance(actions, DiscreteActions):
        assert (policy.mode() == asked.targets.argmax(dim=-1)).float().mean() > 0.95
    else:
        assert (policy.mean - asked.targets[:, :2]).abs().mean() < 0.1
        assert (policy.std < 0.95).all()  # the teacher's is 1, and is to be halved; one step changes it little
    assert all(torch.equal(w, value[name]) for name, w in learner.network.state_dict().items() if name in value)


def test_the_sharper_the_answers_the_surer_the_student():
    """A teacher that explored is asked for what it thinks best."""
    (episode,) = seen_episodes(0, num=1)
    shares = [
        student(DiscreteActions(2), replace(CONFIG, sharpness=s))._ask(episode).targets.amax(dim=-1) for s in (1, 3)
    ]
    assert shares[0].mean() < 0.99 < shares[1].mean()


def test_only_the_newest_steps_are_remembered():
    learner = student(DiscreteActions(2), replace(CONFIG, num_samples=32))
    episodes = [seen_episodes(seed, num=1, num_steps=250)[0] for seed in range(4)]
    learner.update(episodes[:1], 0)
    assert int(learner._num_asked) == 250
    learner.update(episodes[1:], 1)
    assert int(learner._num_asked) == 1000 > CONFIG.memory == learner.memory
    kept = torch.cat([learner._ask(episode).seen[SENSOR] for episode in episodes])[-CONFIG.memory :]
    found = {bytes(frame) for frame in learner._lessons.seen[SENSOR].numpy()}
    assert found == {bytes(frame) for frame in kept.numpy()}


def test_a_student_goes_on_byte_for_byte():
    """After loading its state and being shown again what it remembered."""
    first = student(DiscreteActions(2))
    first.update(seen_episodes(0), 0)
    saved = first.state_dict()
    first.update(seen_episodes(1), 1)
    other = student(DiscreteActions(2))
    other.load_state_dict(saved)
    other.remember_again(seen_episodes(0))
    other.update(seen_episodes(1), 1)
    ours, theirs = first.state_dict(), other.state_dict()
    assert ours.keys() == theirs.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    with pytest.raises(ValueError, match="belongs to another model"):
        other.load_state_dict({})
    other.load_weights({name.removeprefix("model."): w for name, w in saved.items() if name.startswith("model.")})
    assert float(other.state_dict()["num_asked"]) == 0.0
    assert torch.equal(other.state_dict()["learning.head.logits.weight"], saved["model.policy.head.logits.weight"])


def test_a_student_sees_what_was_seen_unless_it_is_randomized():
    samples = drawn()
    shown, seen = samples.select(torch.arange(100), [SENSOR]), samples.lessons.select(samples.places, [SENSOR])
    assert torch.equal(shown.seen[SENSOR], seen.seen[SENSOR])
    assert torch.equal(shown.targets, seen.targets)


def test_what_is_changed_does_not_depend_on_the_parts_of_a_minibatch():
    """Threads take a part each."""
    samples = drawn(randomize=True, mirror=SWAPPED)
    whole = samples.select(torch.arange(100), [SENSOR])
    parts = [samples.select(part, [SENSOR]) for part in torch.arange(100).tensor_split(3)]
    assert torch.equal(torch.cat([part.seen[SENSOR] for part in parts]), whole.seen[SENSOR])
    assert torch.equal(torch.cat([part.targets for part in parts]), whole.targets)


def test_half_of_the_samples_are_mirrored_with_their_answers():
    """So each bright half still goes with the same answer."""
    samples = drawn(mirror=SWAPPED)
    shown = samples.select(torch.arange(100), [SENSOR])
    as_seen = samples.lessons.select(samples.places, [SENSOR]).seen[SENSOR]
    turned = (shown.seen[SENSOR] != as_seen).flatten(1).any(dim=1)
    assert 30 < turned.sum() < 70
    assert torch.equal(shown.seen[SENSOR][turned], as_seen[turned].flip(-1))
    left, right = shown.seen[SENSOR].float().unflatten(-1, (2, 32)).mean(dim=(1, 2, 4)).T
    assert torch.equal(shown.targets.argmax(dim=-1) == 0, left > right)


@pytest.mark.parametrize("actions", [DiscreteActions(2), STEERING_AND_SPEED], ids=["discrete", "continuous"])
def test_randomized_updates_are_the_same_with_the_same_seed_and_others_with_another(actions: ActionSpec):
    mirror = SWAPPED if isinstance(actions, DiscreteActions) else torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))

    def weights(seed: int, randomize: bool = True, mirror: Tensor | None = None) -> Tensor:
        learner = student(actions, replace(CONFIG, num_samples=64, randomize=randomize), mirror)
        learner.update(seen_episodes(0), seed)
        return torch.cat([each.detach().flatten() for each in learner.network.policy.parameters()])

    first = weights(1, mirror=mirror)
    assert torch.equal(first, weights(1, mirror=mirror))
    others = [weights(2, mirror=mirror), weights(1), weights(1, False, mirror), weights(1, False)]
    assert not any(torch.equal(first, other) for other in others)

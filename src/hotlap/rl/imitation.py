"""Learning by imitation: a network that sees what a car sees learns to do what a teacher does that sees the state.

The teacher is asked about every state that was visited, whoever drove there; so the student learns what to do after its
own mistakes, which the teacher alone would not make.

Source: Ross, Gordon and Bagnell (2011), arXiv:1011.0686.
"""

from __future__ import annotations

import math
import time
from collections.abc import Mapping, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor

from hotlap.rl.distributions import Categorical, Distribution
from hotlap.rl.episode import Episode
from hotlap.rl.learner import Metric, Update
from hotlap.rl.minibatches import TowerLearner, optimize
from hotlap.rl.network_learner import NetworkLearner
from hotlap.rl.networks import ActorCritic, acting_part
from hotlap.rl.pictures import NUM_NUMBERS, changed, is_picture, mirrored
from hotlap.rl.precision import Precision, compute_dtype

METRICS = (
    Metric("imitation_loss", "", "Divergence of the student from the teacher, in nat if actions are discrete."),
    Metric("agreement", "", "Share of samples in which both would choose the same action."),
    Metric("entropy", "nat", "Mean entropy of the student's policy."),
)
CLOSE = 0.1  # of the range of -1 to 1: continuous actions that are no farther apart agree
_AVERAGE_EVERY = 8  # minibatches between two steps of the averaged weights, which pass over all of them


@dataclass(frozen=True)
class ImitationConfig:
    """Settings of the student's updates."""

    lr: float = 1e-3
    final_lr: float = 5e-5
    """Where the learning rate comes down to, along a cosine; see `Imitation.anneal`."""
    batch_size: int = 64
    num_samples: int = 12_288
    """Samples of an update, drawn from what is remembered."""
    memory: int = 40_000
    """Steps that are remembered at most; older ones are overwritten."""
    sharpness: float = 2.0
    """The student is to have the teacher's probabilities to this power: it need not explore as the teacher did."""
    averaging: float = 0.995
    """Share of the averaged weights that a minibatch leaves as it is."""
    randomize: bool = False
    """Whether the student learns from pictures that are changed at random, each time anew; see `pictures.changed`."""


@dataclass(frozen=True)
class Lessons:
    """Steps with the teacher's answers, on the device; the first axis counts them."""

    seen: dict[str, Tensor]
    """What the student saw, by sensor."""
    targets: Tensor
    """Probabilities (n, num_actions), or means and standard deviations (n, 2 num_dims)."""

    def select(self, indices: Tensor, sensors: Sequence[str]) -> Lessons:
        """Some of the steps, with what these sensors saw."""
        seen = {sensor: self.seen[sensor].index_select(0, indices) for sensor in sensors}
        return Lessons(seen, self.targets.index_select(0, indices))

    def randomized(self, numbers: Tensor) -> Lessons:
        """With pictures changed by ``numbers``; see `pictures.changed`."""
        seen = {sensor: changed(obs, numbers) if is_picture(obs) else obs for sensor, obs in self.seen.items()}
        return replace(self, seen=seen)

    def mirrored(self, which: Tensor, answers: Tensor) -> Lessons:
        """With some steps, bool (n,), as they would be if left were right; ``answers`` as of `Imitation`."""
        seen = {
            sensor: torch.where(which[:, None, None, None], mirrored(sensor, pictures), pictures)
            for sensor, pictures in self.seen.items()
        }
        return Lessons(seen, torch.where(which[:, None], self.targets @ answers, self.targets))


@dataclass(frozen=True)
class _Drawn:
    """Steps drawn out of what is remembered, some of them several times, and never quite the same."""

    lessons: Lessons
    places: Tensor
    """Which step each of them is, (n,)."""
    numbers: Tensor
    """Uniform in [0, 1), (n, 1 + NUM_NUMBERS), by which it is mirrored and changed."""
    randomize: bool
    mirror: Tensor | None

    def select(self, indices: Tensor, sensors: Sequence[str]) -> Lessons:
        """Some of them as the student is to see them."""
        lessons = self.lessons.select(self.places[indices], sensors)
        numbers = self.numbers[indices]
        if self.mirror is not None:
            lessons = lessons.mirrored(numbers[:, 0] < 0.5, self.mirror)
        return lessons.randomized(numbers[:, 1:]) if self.randomize else lessons


class _Pupil(TowerLearner[Lessons]):
    """The student's tower on its way through lessons."""

    def loss(self, batch: Lessons) -> tuple[Tensor, dict[str, Tensor]]:
        policy = self.weights.forward(self.tower.pack(batch.seen)).policy
        assert policy is not None
        loss, same = _divergence(policy, batch.targets)
        terms = {"imitation_loss": loss, "agreement": same, "entropy": policy.entropy().mean()}
        return loss, terms


def _divergence(policy: Distribution, targets: Tensor) -> tuple[Tensor, Tensor]:
    """How far a policy is from the teacher's answers, and in which share of them it would do the same; scalars."""
    if isinstance(policy, Categorical):
        divergence = (targets * (targets.clamp_min(1e-8).log() - policy.probs.log())).sum(dim=-1).mean()
        return divergence, (policy.mode() == targets.argmax(dim=-1)).float().mean()
    mean, std = targets.chunk(2, dim=-1)
    off, wider = policy.mean - mean, policy.std.log() - std.log()
    return (off**2 + wider**2).sum(dim=-1).mean(), (off.abs().amax(dim=-1) < CLOSE).float().mean()


class Imitation(NetworkLearner):
    """The `Learner` of a student.

    The model's weights are an average over the last minibatches of those that learn. What is remembered is no part of
    the state: `remember_again`.

    Args:
        network: The student; its policy learns, its value is left as it is.
        teacher: Is asked what to do; sees other sensors of the same steps.
        config: Settings.
        device: Where to compute.
        precision: Arithmetic before the heads; weights are kept and updated in float32.
        mirror: Turns a row of `Lessons.targets` into that of the mirrored pictures, by multiplication from the right.
            With it half of the samples are mirrored; all sensors must be pictures then. None: no sample is.
    """

    metrics = METRICS

    def __init__(
        self,
        network: ActorCritic,
        teacher: ActorCritic,
        config: ImitationConfig,
        device: str | torch.device = "cpu",
        *,
        precision: Precision = "auto",
        mirror: Tensor | None = None,
    ) -> None:
        self.device = torch.device(device)
        self.network, self.teacher = network.to(self.device), teacher.to(self.device)
        self.config = config
        self._mirror = None if mirror is None else mirror.to(self.device)
        self._pupil = _Pupil(deepcopy(network.policy), compute_dtype(precision, self.device), lr=config.lr)
        self._num_asked = torch.zeros((), dtype=torch.int64)  # steps about which the teacher was asked, in all
        self._lessons: Lessons | None = None

    @property
    def memory(self) -> int:
        """Steps that are remembered at most."""
        return self.config.memory

    def anneal(self, share: float) -> None:
        """Set the learning rate, ``share`` (0 to 1) of the way down to the lowest."""
        lowest = self.config.final_lr
        self._pupil.adam.lr = lowest + 0.5 * (self.config.lr - lowest) * (1.0 + math.cos(math.pi * share))

    def update(self, episodes: Sequence[Episode], seed: int, *, lagged: bool = False) -> Update:
        """See `Learner.update`; ``lagged`` makes no difference: any state is worth asking about."""
        clock = [time.perf_counter()]
        self.remember(episodes)
        assert self._lessons is not None
        clock.append(time.perf_counter())
        num_lessons = min(int(self._num_asked), self.config.memory)
        batch_size = min(self.config.batch_size, num_lessons)
        generator = torch.Generator().manual_seed(seed)
        num_batches = -(-self.config.num_samples // batch_size)
        drawn = torch.randint(num_lessons, (num_batches * batch_size,), generator=generator)
        numbers = torch.rand(len(drawn), 1 + NUM_NUMBERS, generator=generator)
        samples = _Drawn(
            self._lessons, drawn.to(self.device), numbers.to(self.device), self.config.randomize, self._mirror
        )
        found: list[dict[str, float]] = []
        for batches in torch.arange(len(drawn), device=self.device).view(num_batches, batch_size).split(_AVERAGE_EVERY):
            found += optimize([self._pupil], samples, [list(batches)], self.device)[0]
            self._average(len(batches))
        terms = {metric.name: float(np.mean([each[metric.name] for each in found])) for metric in METRICS}
        clock.append(time.perf_counter())
        return Update(
            metrics=terms,
            epochs=(),
            finite=all(np.isfinite(list(terms.values()))),
            num_samples=num_batches * batch_size,
            seconds=dict(zip(("ask", "optimize"), np.diff(clock).tolist(), strict=True)),
        )

    def remember(self, episodes: Sequence[Episode]) -> None:
        """Ask the teacher about these steps, and keep its answers with what the student saw."""
        for episode in episodes:
            lessons = self._ask(episode)
            if self._lessons is None:
                self._lessons = Lessons(
                    {sensor: _room(obs, self.config.memory) for sensor, obs in lessons.seen.items()},
                    _room(lessons.targets, self.config.memory),
                )
            places = (self._num_asked + torch.arange(episode.num_steps)).to(self.device) % self.config.memory
            for sensor, obs in lessons.seen.items():
                self._lessons.seen[sensor][places] = obs
            self._lessons.targets[places] = lessons.targets
            self._num_asked += episode.num_steps

    def remember_again(self, episodes: Sequence[Episode]) -> None:
        """Take up again what was remembered when the state was saved.

        Args:
            episodes: The last ones from then, which have as many steps as are remembered, or all.
        """
        self._num_asked -= sum(episode.num_steps for episode in episodes)
        self.remember(episodes)

    @torch.no_grad()
    def _ask(self, episode: Episode) -> Lessons:
        seen = {sensor: torch.from_numpy(obs).to(self.device) for sensor, obs in episode.obs.items()}
        answer = self.teacher.policy(self.teacher.policy.pack(seen)).policy
        if isinstance(answer, Categorical):
            sharp = answer.probs**self.config.sharpness
            targets = sharp / sharp.sum(dim=-1, keepdim=True)
        else:
            assert answer is not None
            std = (answer.std / self.config.sharpness).expand_as(answer.mean)
            targets = torch.cat([answer.mean, std], dim=-1)
        return Lessons({sensor: seen[sensor] for sensor in self.network.policy.sensors}, targets)

    @torch.no_grad()
    def _average(self, num_minibatches: int) -> None:
        """Draw the averaged weights towards those that learn; faster at first, as these come from nowhere."""
        steps = float(self._pupil.adam.num_steps)
        kept = min(self.config.averaging, steps / (steps + 10.0)) ** num_minibatches
        for average, weight in zip(self.network.policy.parameters(), self._pupil.tower.parameters(), strict=True):
            average.lerp_(weight, 1.0 - kept)

    def optimizer_state(self) -> dict[str, Tensor]:
        """See `Learner.optimizer_state`: Adam's moments, and the weights that learn."""
        moments = {f"adam.policy.{name}": tensor for name, tensor in self._pupil.adam.state_dict().items()}
        learning = {f"learning.{name}": weight.detach() for name, weight in self._pupil.tower.state_dict().items()}
        return moments | learning | {"num_asked": self._num_asked}

    def fresh_optimizer_state(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """See `NetworkLearner.fresh_optimizer_state`: learning begins with these weights."""
        policy = {name.removeprefix("policy."): weight for name, weight in acting_part(weights).items()}
        return super().fresh_optimizer_state(weights) | {f"learning.{name}": weight for name, weight in policy.items()}

    def refresh(self) -> None:
        """See `NetworkLearner.refresh`."""
        self._pupil.weights.refresh()


def _room(rows: Tensor, number: int) -> Tensor:
    return rows.new_empty((number, *rows.shape[1:]))

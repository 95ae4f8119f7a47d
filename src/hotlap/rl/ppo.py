"""Clipped PPO on whole episodes.

Differences from the original, which only hurt learning there: a time limit bootstraps, and ratios are taken to the log
probabilities that acting noted, not to ones computed again.

Where older weights acted, two things that are one elsewhere come apart: the update is kept near the policy that it
begins with, and what the older policy did counts by how much of it this policy would have done.

Source: DeepRacer simapp, `rl_coach/agents/clipped_ppo_agent.py`; Schulman et al. (2017), arXiv:1707.06347; Hilton et
al. (2022), arXiv:2110.00641.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any

import numpy as np
import torch
from torch import Tensor

from hotlap.rl.episode import Episode, num_steps
from hotlap.rl.gae import gae
from hotlap.rl.learner import Metric, Update, register
from hotlap.rl.losses import LossType, policy_loss, value_loss
from hotlap.rl.minibatches import TowerLearner, optimize
from hotlap.rl.network_learner import NetworkLearner
from hotlap.rl.networks import ActorCritic, Outputs, Tower
from hotlap.rl.precision import Precision, compute_dtype

EVALUATION_BATCH = 256  # [samples] in the passes before the update

METRICS = (
    Metric("policy_loss", "", "Clipped surrogate, without the entropy term."),
    Metric("value_loss", "", "Huber or mean squared error."),
    Metric("entropy", "nat", "Mean entropy of the policy."),
    Metric("approx_kl", "nat", "KL between the policy before the update and the updated one."),
    Metric("clip_fraction", "", "Share of samples outside of the clip range."),
    Metric(
        "explained_variance",
        "",
        "1 - var(targets - values) / var(targets) with the values before the update; NaN if the targets are all equal.",
    ),
    Metric(
        "behavior_kl",
        "nat",
        "KL between the policy that acted and the one before the update; 0 if they are taken as one.",
    ),
)
_FOLLOWS = 0.1  # share of an iteration's returns in the size that rewards are divided by
_LOSS_TERMS = tuple(metric.name for metric in METRICS[:5])  # which every minibatch has


@dataclass(frozen=True)
class PPOConfig:
    """Settings of an update; defaults are those of the stock DRfC hyperparameters.json and of the original's code."""

    lr: float = 3e-4
    batch_size: int = 64
    """Samples per minibatch. With too few steps, the largest power of two that is not more than the steps."""
    num_epochs: int = 5
    gamma: float = 0.99
    gae_lambda: float = 0.95
    clip_coef: float = 0.2
    beta_entropy: float = 0.01
    loss_type: LossType = "huber"
    adam_betas: tuple[float, float] = (0.9, 0.999)
    adam_eps: float = 1e-5
    normalize_eps: float = 1e-8
    target_kl: float = 0.0
    """Divergence from the policy before the update [nat] that ends its passes over the samples; 0: none does."""
    value_first: int = 0
    """Updates at the beginning in which only the value learns, if it has a network of its own."""
    scale_rewards: bool = False
    """Divide rewards by the size of the returns so far, so that one learning rate fits any reward function."""


@dataclass(frozen=True)
class Samples:
    """Steps of all episodes on the device; the first axis counts them."""

    packed: dict[str, Tensor]
    actions: Tensor
    old_log_probs: Tensor
    advantages: Tensor
    value_targets: Tensor

    def select(self, indices: Tensor, sensors: Sequence[str]) -> Samples:
        """Some of the steps, with what these sensors saw."""
        return Samples(
            {sensor: self.packed[sensor].index_select(0, indices) for sensor in sensors},
            self.actions.index_select(0, indices),
            self.old_log_probs.index_select(0, indices),
            self.advantages.index_select(0, indices),
            self.value_targets.index_select(0, indices),
        )


class _PPOTower(TowerLearner[Samples]):
    """A tower on its way through the samples of an iteration; what it has no head for it does not learn."""

    def __init__(self, tower: Tower, config: PPOConfig, dtype: torch.dtype) -> None:
        super().__init__(
            tower, dtype, lr=config.lr, betas=config.adam_betas, eps=config.adam_eps, target_kl=config.target_kl
        )
        self.config = config
        self.beta_entropy = config.beta_entropy

    def loss(self, batch: Samples) -> tuple[Tensor, dict[str, Tensor]]:
        config = self.config
        outputs = self.weights.forward(batch.packed)
        losses: list[Tensor] = []
        terms: dict[str, Tensor] = {}
        if outputs.policy is not None:
            policy = policy_loss(
                outputs.policy,
                batch.actions,
                batch.old_log_probs,
                batch.advantages,
                clip_coef=config.clip_coef,
                beta_entropy=self.beta_entropy,
            )
            losses.append(policy.loss)
            terms |= {
                "policy_loss": policy.surrogate,
                "entropy": policy.entropy,
                "approx_kl": policy.approx_kl,
                "clip_fraction": policy.clip_fraction,
            }
        if outputs.values is not None:
            value = value_loss(outputs.values, batch.value_targets, config.loss_type)
            losses.append(value)
            terms["value_loss"] = value
        return sum(losses[1:], start=losses[0]), terms


class PPO(NetworkLearner):
    """The `Learner` of clipped PPO.

    If ``lagged``, an update weighs each step by min(1, present probability / noted probability), and clips around the
    present policy. That costs one more pass forward.

    Args:
        network: Moved to ``device`` and changed in place by `update`.
        config: Settings.
        device: Where to compute.
        precision: Arithmetic before the heads; weights are kept and updated in float32.
    """

    metrics = METRICS

    def __init__(
        self,
        network: ActorCritic,
        config: PPOConfig,
        device: str | torch.device = "cpu",
        *,
        precision: Precision = "auto",
    ) -> None:
        self.device = torch.device(device)
        self.network = network.to(self.device)
        self.config = config
        self.dtype = compute_dtype(precision, self.device)
        towers = {"policy": network.policy, "value": network.value}
        self._learners = {
            name: _PPOTower(tower, config, self.dtype) for name, tower in towers.items() if tower is not None
        }
        self._num_updates = torch.zeros((), dtype=torch.int64)
        self._returns_size = torch.zeros((), dtype=torch.float64)

    def anneal(self, share: float) -> None:
        """Set the learning rate, which comes down to a tenth, and the entropy bonus, which comes down to nothing.

        Args:
            share: Of that way, 0 to 1.
        """
        for learner in self._learners.values():
            learner.adam.lr = self.config.lr * (1.0 - 0.9 * share)
            learner.beta_entropy = self.config.beta_entropy * (1.0 - share)

    def update(self, episodes: Sequence[Episode], seed: int, *, lagged: bool = False) -> Update:
        """See `Learner.update`."""
        total = num_steps(episodes)
        if total == 0:
            raise ValueError("an update needs at least one step")
        batch_size = minibatch_size(self.config.batch_size, total)
        learning = self._begin_update()
        clock = [time.perf_counter()]
        packed = self._pack([episode.obs for episode in episodes], *self._learners.values())
        clock.append(time.perf_counter())
        actions = self._to_device(np.concatenate([episode.actions for episode in episodes]))
        noted = self._to_device(np.concatenate([episode.log_probs for episode in episodes]).astype(np.float32))
        old_log_probs = self._log_probs(packed, actions) if lagged else noted
        log_importance = old_log_probs.double() - noted
        weights = log_importance.clamp_max(0.0).exp().cpu().numpy()
        values, advantages = self._estimate(episodes, packed, weights)
        targets = weights * advantages + values
        finite = bool(np.isfinite(targets).all())
        normalized = self._normalize(advantages) if finite else advantages
        samples = Samples(
            packed,
            actions,
            old_log_probs,
            # Weights are not negative: inside of the surrogate's min and clip they do what they do outside.
            self._to_device((weights * normalized).astype(np.float32)),
            self._to_device(targets.astype(np.float32)),
        )
        clock.append(time.perf_counter())
        minibatches = self._minibatches(total, batch_size, seed)
        # What is not finite already must not spoil the weights, too.
        epochs = self._optimize(learning, samples, minibatches) if finite else ()
        terms = {name: _mean([epoch[name] for epoch in epochs if name in epoch], bool(epochs)) for name in _LOSS_TERMS}
        finite = finite and all(np.isfinite(list(terms.values()))) and self._weights_are_finite()
        clock.append(time.perf_counter())
        return Update(
            metrics=terms
            | {
                "explained_variance": _explained_variance(values, targets) if finite else float("nan"),
                "behavior_kl": float((log_importance.expm1() - log_importance).mean()),
            },
            epochs=epochs,
            finite=finite,
            num_samples=sum(map(len, minibatches)) * batch_size,
            seconds=dict(zip(("pack", "evaluate", "optimize"), np.diff(clock).tolist(), strict=True)),
        )

    def _normalize(self, advantages: np.ndarray) -> np.ndarray:
        """Mean 0 and standard deviation 1 over the iteration."""
        return (advantages - advantages.mean()) / (advantages.std() + self.config.normalize_eps)

    def _to_device(self, array: np.ndarray) -> Tensor:
        return torch.from_numpy(array).to(self.device)

    @property
    def _critic(self) -> _PPOTower:
        """The one that has the value head."""
        return self._learners.get("value", self._learners["policy"])

    def _pack(self, observations: Sequence[Mapping[str, np.ndarray]], *learners: _PPOTower) -> dict[str, Tensor]:
        """Join the observations of episodes, each (num_steps, ...), as these towers read them, on the device."""
        total = sum(len(next(iter(obs.values()))) for obs in observations)
        towers = {sensor: learner.tower for learner in learners for sensor in learner.tower.sensors}
        joined = {}
        for sensor, tower in towers.items():
            start = 0
            for obs in observations:
                part = tower.pack_sensor(sensor, torch.from_numpy(obs[sensor]).to(self.device))
                if start == 0:
                    joined[sensor] = part.new_empty((total, *part.shape[1:]))
                joined[sensor][start : start + len(part)] = part
                start += len(part)
        return joined

    @torch.no_grad()
    def _forward(self, learner: _PPOTower, packed: Mapping[str, Tensor]) -> Iterator[Outputs]:
        """Outputs of a tower for packed observations, batch after batch."""
        for start in range(0, len(next(iter(packed.values()))), EVALUATION_BATCH):
            yield learner.weights.forward(
                {sensor: cells[start : start + EVALUATION_BATCH] for sensor, cells in packed.items()}
            )

    def _evaluate(self, packed: Mapping[str, Tensor]) -> np.ndarray:
        """Values, float64, of packed observations."""
        parts = []
        for outputs in self._forward(self._critic, packed):
            assert outputs.values is not None
            parts.append(outputs.values)
        return torch.cat(parts).double().cpu().numpy()

    def _log_probs(self, packed: Mapping[str, Tensor], actions: Tensor) -> Tensor:
        """Log probabilities (num_steps,) that the present policy gives to the actions."""
        parts = []
        for outputs, chosen in zip(
            self._forward(self._learners["policy"], packed), actions.split(EVALUATION_BATCH), strict=True
        ):
            assert outputs.policy is not None
            parts.append(outputs.policy.log_prob(chosen))
        return torch.cat(parts)

    def _estimate(
        self, episodes: Sequence[Episode], packed: Mapping[str, Tensor], weights: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        """Values and advantages of all steps, float64 (num_steps,) like their importance weights."""
        values = self._evaluate(packed)
        cut = [number for number, episode in enumerate(episodes) if episode.bootstraps]
        final_values = np.zeros(len(episodes))
        if cut:
            final_obs = [episodes[number].final_obs or {} for number in cut]
            final_values[cut] = self._evaluate(
                self._pack([{name: obs[None] for name, obs in final.items()} for final in final_obs], self._critic)
            )
        lengths = [episode.num_steps for episode in episodes]
        advantages = gae(
            self._rewards(np.concatenate([episode.rewards for episode in episodes]), lengths),
            values,
            final_values,
            gamma=self.config.gamma,
            gae_lambda=self.config.gae_lambda,
            weights=weights,
            lengths=lengths,
        )
        return values, advantages

    def _rewards(self, rewards: np.ndarray, lengths: Sequence[int]) -> np.ndarray:
        """Rewards as they are learned from, with a size of returns that slowly follows that of the last episodes'."""
        if not self.config.scale_rewards:
            return rewards
        nothing = np.zeros(len(rewards)), np.zeros(len(lengths))
        returns = gae(rewards, *nothing, gamma=self.config.gamma, gae_lambda=1.0, lengths=lengths)
        size = float(np.sqrt(np.mean(returns**2)))
        before = float(self._returns_size)
        if np.isfinite(size):
            self._returns_size.fill_(size if before == 0.0 else before + _FOLLOWS * (size - before))
        return rewards / (float(self._returns_size) or 1.0)

    def _begin_update(self) -> list[_PPOTower]:
        """Count the next update; returns who is to learn in it."""
        alone = self._num_updates < self.config.value_first and "value" in self._learners
        self._num_updates += 1
        return [self._learners["value"]] if alone else list(self._learners.values())

    def _minibatches(self, num_samples: int, batch_size: int, seed: int) -> list[Sequence[Tensor]]:
        """Indices of every minibatch of each epoch: a fresh order each, the incomplete last one left out."""
        generator = torch.Generator().manual_seed(seed)
        epochs: list[Sequence[Tensor]] = []
        for _ in range(self.config.num_epochs):
            order = torch.randperm(num_samples, generator=generator).to(self.device)
            epochs.append(order[: num_samples // batch_size * batch_size].split(batch_size))
        return epochs

    def _optimize(
        self, learning: Sequence[_PPOTower], samples: Samples, epochs: Sequence[Sequence[Tensor]]
    ) -> tuple[dict[str, float], ...]:
        found = optimize(learning, samples, epochs, self.device)
        return tuple(
            {name: term for terms in of_towers for name, term in terms.items()}
            for of_towers in zip_longest(*found, fillvalue={})
        )

    def _weights_are_finite(self) -> bool:
        return all(bool(parameter.isfinite().all()) for parameter in self.network.parameters())

    def optimizer_state(self) -> dict[str, Tensor]:
        """See `Learner.optimizer_state`: ``adam.TOWER.first.NAME``, ``adam.TOWER.second.NAME``,
        ``adam.TOWER.num_steps``; and what the settings let it count."""
        counted = {}
        if self.config.value_first:
            counted["num_updates"] = self._num_updates
        if self.config.scale_rewards:
            counted["returns_size"] = self._returns_size
        return counted | {
            f"adam.{tower}.{name}": tensor
            for tower, learner in self._learners.items()
            for name, tensor in learner.adam.state_dict().items()
        }

    def refresh(self) -> None:
        """Take over weights of the network that were changed from outside."""
        for learner in self._learners.values():
            learner.weights.refresh()


def _mean(terms: Sequence[float], learned: bool) -> float:
    """Of what was measured in the epochs; 0 of a tower that did not learn where another did, NaN if none did."""
    return float(np.mean(terms)) if terms else 0.0 if learned else float("nan")


def _explained_variance(values: np.ndarray, targets: np.ndarray) -> float:
    variance = targets.var()
    return float(1.0 - (targets - values).var() / variance) if variance > 0 else float("nan")


def minibatch_size(batch_size: int, num_steps: int) -> int:
    """``batch_size``, or with no more steps than that the largest power of two that is not more than the steps."""
    return batch_size if num_steps > batch_size else 1 << (num_steps.bit_length() - 1)


def _build(network: ActorCritic, hyperparameters: Mapping[str, Any], precision: Precision) -> PPO:
    config = PPOConfig(
        lr=hyperparameters["lr"],
        batch_size=hyperparameters["batch_size"],
        num_epochs=hyperparameters["num_epochs"],
        gamma=hyperparameters["discount_factor"],
        beta_entropy=hyperparameters["beta_entropy"],
        loss_type="huber" if hyperparameters["loss_type"] == "huber" else "mse",
        target_kl=hyperparameters.get("target_kl", 0.0),
    )
    return PPO(network, config, precision=precision)


register("clipped_ppo", _build)

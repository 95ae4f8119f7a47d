"""Acting: from what the worlds' cars see to what they do."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from hotlap.rl.distributions import Categorical
from hotlap.rl.networks import ActorCritic, acting_part, fill_up, misfits
from hotlap.rl.precision import Precision, compute_dtype
from hotlap.rl.specs import DiscreteActions
from hotlap.rl.working_weights import WorkingWeights

# Products with fewer rows take other routes in the math libraries, which round differently: with most of them one world
# alone would then not do exactly what it does among others. (Where tiles are multiplied, as with AMX, it never does.)
MIN_BATCH = 4
MIN_VECTORS = 16  # where no sensor is a camera: the small products of a dense network need more rows, and cost nothing


@dataclass(frozen=True)
class EpsilonGreedy:
    """Uniformly random with probability epsilon, else the most probable action.

    Epsilon falls linearly from 1 to ``final`` over ``num_steps`` policy steps. Greedy acting has none: what is judged
    is what a car will do. (The original keeps 0.05 in evaluations.)

    Source: DeepRacer simapp, `rl_coach/exploration_policies/e_greedy.py`.
    """

    final: float = 0.05
    num_steps: int = 10_000

    def epsilon(self, steps_taken: Tensor) -> Tensor:
        """Epsilon, float64, after so many policy steps."""
        share = (steps_taken.double() / self.num_steps).clamp_max(1.0)
        return 1.0 + share * (self.final - 1.0)


@dataclass(frozen=True)
class Actions:
    """What each car is to do.

    Attributes:
        action: int64 (…), or float32 (…, num_dims), unclipped, in the [-1, 1] scaling.
        log_prob: Log probability under the network's distribution, float32 (…).
    """

    action: Tensor
    log_prob: Tensor


class Policy:
    """Acts with the weights of a network; only its policy tower is evaluated.

    Args:
        network: Its weights are read at construction and at every `refresh`.
        exploration: None samples from the network's distribution. `EpsilonGreedy` is for discrete actions.
        precision: Arithmetic before the heads.
    """

    def __init__(
        self,
        network: ActorCritic,
        *,
        exploration: EpsilonGreedy | None = None,
        precision: Precision = "auto",
    ) -> None:
        if exploration is not None and not isinstance(network.actions, DiscreteActions):
            raise ValueError("e-greedy exploration needs discrete actions; continuous ones are always sampled")
        self.network = network
        self.exploration = exploration
        self.device = next(network.parameters()).device
        self._weights = WorkingWeights(network.policy, compute_dtype(precision, self.device))
        only_vectors = all(len(shape) == 1 for shape in network.policy.observations.values())
        self._min_rows = MIN_VECTORS if only_vectors else MIN_BATCH

    @property
    def noise_size(self) -> int:
        """Numbers that `act` needs per car: one uniform (discrete), or a standard normal per dimension."""
        actions = self.network.actions
        return 1 if isinstance(actions, DiscreteActions) else actions.num_dims

    def refresh(self) -> None:
        """Take over the present weights of the network. Call it after each change of them."""
        self._weights.refresh()

    def load(self, weights: Mapping[str, Tensor]) -> None:
        """Act with other weights from now on.

        Args:
            weights: By their names in the network; those that acting does not need may be missing.

        Raises:
            ValueError: If names or shapes are not those of this network.
        """
        given = acting_part(weights)
        if wrong := misfits(acting_part(self.network.state_dict()), given):
            raise ValueError(
                f"the weights belong to another network: {len(wrong)} names or shapes differ, first {wrong[0]!r}"
            )
        self.network.load_state_dict(given, strict=False)  # strict would want the value's, too
        self.refresh()

    @torch.inference_mode()
    def act(
        self, obs: Mapping[str, Tensor], noise: Tensor, greedy: bool = False, steps_taken: Tensor | None = None
    ) -> Actions:
        """Choose an action for every car; the leading axes are those of ``noise``, such as worlds and cars.

        Args:
            obs: What each car sees, by sensor; cameras uint8 (…, channels, 120, 160).
            noise: Shape (…, noise_size): uniform in [0, 1) with discrete actions, else standard normal.
            greedy: Take the most probable action, or the mean.
            steps_taken: Policy steps taken before this one, (…), which the schedule of epsilon counts;
                None: none.

        Returns:
            Actions on the device of the network.
        """
        tower = self.network.policy
        cars = noise.shape[:-1]
        num_cars, last = cars.numel(), len(cars) - 1
        packed = tower.pack(
            {each: fill_up(obs[each].flatten(0, last).to(self.device), self._min_rows) for each in tower.sensors}
        )
        distribution = self._weights.forward(packed).policy
        assert distribution is not None
        noise = fill_up(noise.flatten(0, last).to(self.device), self._min_rows)
        if self.exploration is not None and not greedy:
            assert isinstance(distribution, Categorical)
            if steps_taken is None:
                steps_taken = torch.zeros(cars)
            epsilon = self.exploration.epsilon(fill_up(steps_taken.flatten().to(self.device), self._min_rows))
            action = self._epsilon_greedy(distribution, noise, epsilon)
        else:
            action = distribution.mode() if greedy else distribution.sample(noise)
        log_prob = distribution.log_prob(action).float()
        return Actions(action[:num_cars].unflatten(0, cars), log_prob[:num_cars].unflatten(0, cars))

    @staticmethod
    def _epsilon_greedy(distribution: Categorical, noise: Tensor, epsilon: Tensor) -> Tensor:
        # One uniform number decides both: below epsilon it is, stretched, uniform again.
        uniform = noise.double().squeeze(-1)
        num_actions = distribution.probs.shape[-1]
        random = (uniform / epsilon.clamp_min(1e-12) * num_actions).long().clamp_max(num_actions - 1)
        return torch.where(uniform < epsilon, random, distribution.mode())

"""What learners of a network have in common: the state they save and go on from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

import torch
from torch import Tensor

from hotlap.rl.learner import Metric
from hotlap.rl.networks import ActorCritic, acting_part, misfits


class NetworkLearner:
    """The part of a `Learner` that is not its `update`: ``model.NAME`` are the network's weights, beside them stands
    what `optimizer_state` has."""

    metrics: ClassVar[tuple[Metric, ...]]
    network: ActorCritic
    device: torch.device

    def optimizer_state(self) -> dict[str, Tensor]:
        """See `Learner.optimizer_state`."""
        raise NotImplementedError

    def fresh_optimizer_state(self, weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """What `optimizer_state` has before the first update of a network with these weights."""
        return {name: torch.zeros_like(tensor) for name, tensor in self.optimizer_state().items()}

    def refresh(self) -> None:
        """Take over weights of the network that were changed from outside."""
        raise NotImplementedError

    def acting_weights(self) -> dict[str, Tensor]:
        """See `Learner.acting_weights`."""
        return acting_part(self.network.state_dict())

    def state_dict(self, into: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """See `Learner.state_dict`."""
        live = self._live()
        if into is None:
            return {name: tensor.clone() for name, tensor in live.items()}
        for name, tensor in live.items():
            into[name].copy_(tensor)
        return into

    @torch.no_grad()
    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """See `Learner.load_state_dict`."""
        if wrong := misfits(self._live(), state):
            raise ValueError(
                f"the state belongs to another model: {len(wrong)} names or shapes differ, first {wrong[0]!r}"
            )
        self.network.load_state_dict({name: state[f"model.{name}"] for name in self.network.state_dict()})
        for name, tensor in self.optimizer_state().items():
            tensor.copy_(state[name])
        self.refresh()

    @torch.no_grad()
    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """See `Learner.load_weights`."""
        model = {f"model.{name}": weight for name, weight in weights.items()}
        self.load_state_dict(model | self.fresh_optimizer_state(weights))

    def _live(self) -> dict[str, Tensor]:
        """What `state_dict` copies."""
        weights = {f"model.{name}": weight.detach() for name, weight in self.network.state_dict().items()}
        return weights | self.optimizer_state()

"""The seam between a training and what learns in it: one small protocol, and a registry of algorithms."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import torch
from torch import Tensor

from hotlap.deepracer.metadata_names import TRAINABLE
from hotlap.rl.episode import Episode
from hotlap.rl.networks import ActorCritic
from hotlap.rl.precision import Precision


class Metric(NamedTuple):
    """Something that an update measures."""

    name: str
    unit: str
    meaning: str

    def __str__(self) -> str:
        return f"{self.meaning.rstrip('.')} [{self.unit}]" if self.unit else self.meaning.rstrip(".")


@dataclass(frozen=True)
class Update:
    """What one update did."""

    metrics: dict[str, float]
    """Means over the update, by name: one for each of `Learner.metrics`."""
    epochs: tuple[dict[str, float], ...]
    """What is measured in each pass over the samples, by name; none if there was nothing finite to learn from."""
    finite: bool
    """Whether rewards, values, losses and all weights are finite. If not, go back to an earlier state."""
    num_samples: int
    """Samples that went through each network, over all epochs."""
    seconds: dict[str, float]
    """By stage of the update."""


class Learner(Protocol):
    """Improves a network from episodes. A training knows no more of an algorithm than this."""

    @property
    def network(self) -> ActorCritic:
        """Its weights are those of the model; `update` changes them."""
        ...

    @property
    def device(self) -> torch.device:
        """Where it computes."""
        ...

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """What an update measures: exactly these, by their names in `Update.metrics`; those who show them ask here."""
        ...

    def update(self, episodes: Sequence[Episode], seed: int, *, lagged: bool = False) -> Update:
        """Learn from the episodes of one iteration.

        Args:
            episodes: Collected with the present weights, unless ``lagged``. A first transition whose action was not
                executed is left out by the caller.
            seed: Of everything random. Same weights, episodes, seed and machine: the same bytes.
            lagged: Some episodes, or all, may be those of slightly older weights.

        Raises:
            ValueError: If there is no step at all.
        """
        ...

    def acting_weights(self) -> dict[str, Tensor]:
        """The weights that workers act with, by their names in the network; not copied."""
        ...

    def state_dict(self, into: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        """Copies of everything that the next update depends on: ``model.NAME`` the weights, the rest as it likes.

        Args:
            into: What an earlier call returned, to be overwritten: fresh copies in every iteration leave the memory of
                a long training in pieces.
        """
        ...

    def optimizer_state(self) -> dict[str, Tensor]:
        """`state_dict` without the weights, not copied: the next update changes it."""
        ...

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        """Continue where `state_dict` was taken: the next update gives the same bytes.

        Raises:
            ValueError: If names or shapes are not those of this learner.
        """
        ...

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        """Take other weights of the network; what else `state_dict` holds begins anew."""
        ...


Build = Callable[[ActorCritic, Mapping[str, Any], Precision], Learner]
"""Makes a learner of a network, a precision, and settings: the values of hyperparameters.json by their names there,
and ``target_kl`` of job.toml."""

_learners: dict[str, Build] = {}
_BUILT_IN = {"clipped_ppo": "hotlap.rl.ppo"}
"""The module of each of ours, which registers it."""


def register(algorithm: str, build: Build) -> None:
    """Let ``training_algorithm`` in model_metadata.json name a learner."""
    _learners[algorithm] = build
    if algorithm not in TRAINABLE:
        TRAINABLE.append(algorithm)


def build_learner(
    algorithm: str, network: ActorCritic, hyperparameters: Mapping[str, Any], precision: Precision = "auto"
) -> Learner:
    """The learner of a model. Raises KeyError if there is none for its algorithm."""
    if algorithm not in _learners:
        importlib.import_module(_BUILT_IN[algorithm])
    return _learners[algorithm](network, hyperparameters, precision)

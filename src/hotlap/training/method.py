"""How a training learns: what differs between plain PPO and the stages of a training with a teacher."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor

from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.rl.episode import Episode
from hotlap.rl.learner import Learner, build_learner
from hotlap.rl.networks import ActorCritic
from hotlap.training.annealing import NO_ANNEALING, Annealing


def _by_algorithm(network: ActorCritic, folder: ModelFolder, job: Job) -> Learner:
    """The learner that ``training_algorithm`` names."""
    settings = dict(folder.hyperparameters) | {"target_kl": job.training.target_kl}
    return build_learner(folder.metadata.algorithm, network, settings, job.training.precision)


@runtime_checkable
class Remembers(Protocol):
    """A learner that learns from episodes of earlier iterations, too."""

    @property
    def memory(self) -> int:
        """Steps that it remembers at most."""
        ...

    def remember_again(self, episodes: Sequence[Episode]) -> None:
        """Take up again what it remembered when its state was saved: the last episodes, with so many steps, or all."""
        ...


@runtime_checkable
class Anneals(Protocol):
    """A learner that can learn, and explore, less and less."""

    def anneal(self, share: float) -> None:
        """Learn from the next update on as far down that way as this, 0 to 1."""
        ...


def _never(iteration: int) -> float:
    return 0.0


@dataclass(frozen=True)
class Method:
    """What a training asks its method for."""

    learner: Callable[[ActorCritic, ModelFolder, Job], Learner] = _by_algorithm
    """Makes what learns, of a fresh network."""
    guide: Mapping[str, Tensor] | None = None
    """Weights of a network that sees the state and drives instead of the policy now and then."""
    guided_share: Callable[[int], float] = _never
    """In which share of the episodes of an iteration, counted from 0."""
    annealing: Annealing = NO_ANNEALING
    """Which updates are its last ones, if the learner `Anneals`."""
    keeps_time: bool = False
    """Whether a training ends before its time is up, final drives of the best checkpoints included, and not after."""

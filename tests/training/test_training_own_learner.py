"""An algorithm of somebody's own: registered by its name, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from tiny_model import write_model
from torch import Tensor

from hotlap.deepracer.metadata_names import TRAINABLE
from hotlap.errors import TrainingError
from hotlap.evaluation.evaluator import Evaluator
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.events import ProgressLog
from hotlap.records.folder import Folder
from hotlap.rl import learner
from hotlap.rl.episode import Episode
from hotlap.rl.learner import Metric, Update, register
from hotlap.rl.networks import ActorCritic, acting_part
from hotlap.rl.precision import Precision
from hotlap.training.trainer import Trainer

GAMMA = 0.99


class Reinforce:
    """Williams (1992): log probabilities weighted by normalized returns, one step of SGD per iteration."""

    metrics = (Metric("return_mean", "", "Mean discounted return of a step."),)

    def __init__(self, network: ActorCritic, hyperparameters: Mapping[str, Any], _precision: Precision) -> None:
        self.network = network
        self.device = torch.device("cpu")
        self.optimizer = torch.optim.SGD(network.policy.parameters(), lr=hyperparameters["lr"])

    def update(self, episodes: Sequence[Episode], seed: int, *, lagged: bool = False) -> Update:
        returns = torch.from_numpy(np.concatenate([_returns(episode.rewards) for episode in episodes])).float()
        policy = self.network.policy
        frames = {
            sensor: torch.from_numpy(np.concatenate([episode.obs[sensor] for episode in episodes]))
            for sensor in policy.sensors
        }
        distribution = policy(policy.pack(frames)).policy
        actions = torch.from_numpy(np.concatenate([episode.actions for episode in episodes]))
        weights = (returns - returns.mean()) / (returns.std() + 1e-8)
        self.optimizer.zero_grad()
        (-(weights * distribution.log_prob(actions)).mean()).backward()
        self.optimizer.step()
        finite = all(bool(parameter.isfinite().all()) for parameter in policy.parameters())
        return Update({"return_mean": float(returns.mean())}, ({},), finite, len(returns), {})

    def acting_weights(self) -> dict[str, Tensor]:
        return acting_part(self.network.state_dict())

    def optimizer_state(self) -> dict[str, Tensor]:
        return {}

    def state_dict(self, into: dict[str, Tensor] | None = None) -> dict[str, Tensor]:
        return {f"model.{name}": weight.clone() for name, weight in self.network.state_dict().items()}

    def load_state_dict(self, state: Mapping[str, Tensor]) -> None:
        self.load_weights({name.removeprefix("model."): weight for name, weight in state.items()})

    def load_weights(self, weights: Mapping[str, Tensor]) -> None:
        self.network.load_state_dict(dict(weights))


def _returns(rewards: np.ndarray) -> np.ndarray:
    returns, running = np.empty(len(rewards)), 0.0
    for step in reversed(range(len(rewards))):
        running = rewards[step] + GAMMA * running
        returns[step] = running
    return returns


@pytest.fixture
def _registered() -> Iterator[None]:
    register("reinforce", Reinforce)
    yield
    TRAINABLE.remove("reinforce")
    del learner._learners["reinforce"]


@pytest.mark.usefixtures("_registered")
def test_an_algorithm_of_ones_own_trains_resumes_and_is_evaluated(tmp_path: Path):
    """Its name in model_metadata.json chooses it; its measures stand in the records under their names."""
    model = write_model(
        tmp_path, metadata={"training_algorithm": "reinforce"}, training={"max_iterations": 2, "eval_laps": 2}
    )
    before = None

    def begun(trainer: Trainer) -> dict[str, Tensor]:
        return {name: weight.clone() for name, weight in trainer.network.state_dict().items()}

    with Trainer(model) as trainer:
        before = begun(trainer)
        assert trainer.run().iterations == 2
    records = ProgressLog(Folder(tmp_path)).read()
    assert [set(record.losses) for record in records] == [{"return_mean"}] * 2
    after = CheckpointStore(tmp_path).load("last").weights
    changed = {name for name, weight in after.items() if not torch.equal(weight, before[name])}
    assert changed
    assert all(name.startswith("policy.") for name in changed)
    assert Trainer(model, resume=True, iterations=1).run().iterations == 3
    assert Evaluator(model, laps=2).run().num_laps == 2


@pytest.mark.usefixtures("_registered")
def test_an_update_that_measures_other_things_than_it_says_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Whoever shows metrics asks the learner what they are."""
    monkeypatch.setattr(Reinforce, "metrics", (Metric("loss", "", "Something else."),))
    model = write_model(tmp_path, metadata={"training_algorithm": "reinforce"}, training={"max_iterations": 1})
    with pytest.raises(TrainingError, match=r"measured return_mean, but its metrics are loss\."):
        Trainer(model).run()

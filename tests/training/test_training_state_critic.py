"""A critic that reads the state: a model trains with it, and drives, resumes and is exported without."""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest
import torch
from tiny_model import WANDERING, write_model
from typer.testing import CliRunner

from hotlap.cli.main import app
from hotlap.config.model_folder import ModelFolder
from hotlap.deepracer.state_values import STATE
from hotlap.errors import ConfigError, RecordError
from hotlap.evaluation.evaluator import Evaluator
from hotlap.records.checkpoints import CheckpointStore
from hotlap.rollouts.model import build_network
from hotlap.training.listener import Silence
from hotlap.training.trainer import Trainer

CRITIC = {"critic": "state", "max_iterations": 2}


def weights(folder: Path, which: str = "last") -> dict[str, torch.Tensor]:
    return CheckpointStore(folder).load(which).weights


def test_a_resumed_training_is_an_undisturbed_one(tmp_path: Path):
    whole, parts = (write_model(tmp_path / name, training=CRITIC) for name in ("whole", "parts"))
    with Trainer(whole) as trainer:
        before = {name: w.clone() for name, w in trainer.network.state_dict().items()}
        trainer.run()
    Trainer(parts, iterations=1).run()
    Trainer(ModelFolder(parts.path), resume=True).run()
    ours, theirs = weights(whole.path), weights(parts.path)
    assert ours.keys() == theirs.keys() == before.keys()
    assert all(torch.equal(ours[name], theirs[name]) for name in ours)
    learned = [name for name in ours if name.startswith("value.") and not torch.equal(ours[name], before[name])]
    assert f"value.embedder.{STATE}.dense1.weight" in learned
    with Evaluator(whole, laps=2) as evaluator:
        evaluator.run()
        assert evaluator.report.num_laps == 2


@pytest.mark.parametrize(("theirs", "ours"), [("camera", "state"), ("state", "camera")])
def test_of_a_model_with_another_critic_the_policy_is_cloned(tmp_path: Path, theirs: str, ours: str):
    source = write_model(tmp_path / "source", training={"max_iterations": 1, "critic": theirs})
    Trainer(source).run()
    model = write_model(tmp_path / "model", training={"critic": ours, "clone_from": str(source.path), "seed": 3})
    told: list[str] = []

    class Hears(Silence):
        def on_message(self, message: str) -> None:
            told.append(message)

    with Trainer(model, listener=Hears()) as trainer:
        found = {name: weight.clone() for name, weight in trainer.network.state_dict().items()}
        assert trainer.run().iterations == 3
    saved = weights(source.path, "best")
    fresh = build_network(model.metadata, model.job.training.network, critic=ours, seed=3).state_dict()
    assert found.keys() == fresh.keys()
    for name, weight in found.items():
        assert torch.equal(weight, (fresh if name.startswith("value.") else saved)[name])
    assert f"critic = '{theirs}', this model is with '{ours}': the policy is cloned, the value begins afresh" in told[0]


def test_other_misfits_are_named_where_the_critic_is_another_too(tmp_path: Path):
    source = write_model(tmp_path / "source", training={"max_iterations": 1})
    Trainer(source).run()
    other = CRITIC | {"clone_from": str(source.path)}
    with pytest.raises(RecordError, match="describe now: action_space of 3 discrete actions, not 2 discrete actions"):
        Trainer(write_model(tmp_path / "model", actions=WANDERING[:2], training=other)).open()
    with pytest.raises(RecordError, match=r"training\.critic = camera, not state"):
        Trainer(write_model(source.path, training=CRITIC), resume=True).open()


def test_the_car_never_sees_the_critic(tmp_path: Path, slim_networks: None):
    model = write_model(tmp_path / "model", training=CRITIC | {"max_iterations": 1}, built_in_network=True)
    Trainer(model).run()
    archive = tmp_path / "car.tar.gz"
    done = CliRunner().invoke(app, ["export", str(model.path), "--output", str(archive), "--json"])
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["largest_difference"] <= 1e-5
    with tarfile.open(archive) as files:
        assert "agent/model.pb" in files.getnames()


def test_the_critic_of_the_state_and_a_shared_encoder_exclude_each_other(tmp_path: Path):
    with pytest.raises(ConfigError, match="leave one of them out"):
        write_model(tmp_path, training={"critic": "state", "shared_encoder": True})

"""A network of somebody's own: named in job.toml, it trains, resumes and drives; a car cannot take it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from tiny_model import write_model

from hotlap.errors import ConfigError
from hotlap.evaluation.evaluator import Evaluator
from hotlap.export.exporting import export_model
from hotlap.records.checkpoints import CheckpointStore
from hotlap.training.trainer import Trainer

NETWORK = """
import torch
from torch import nn

class Pooled(nn.Module):
    def __init__(self, shapes):
        super().__init__()
        (self.sensor,) = shapes
        self.dense = nn.Linear(12 * 16, 600 * 512 // 192)

    def forward(self, obs):
        pixels = obs[self.sensor].float() / 255
        return torch.tanh(self.dense(nn.functional.avg_pool2d(pixels, 10).flatten(1)))
"""


def test_a_network_of_ones_own_trains_resumes_drives_and_is_not_exported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Its weights, large ones too, are computed with in its own number format, whatever the job's is."""
    (tmp_path / "my_networks.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    settings = {"network": "my_networks:Pooled", "max_iterations": 1, "precision": "bfloat16"}
    model = write_model(tmp_path / "model", training=settings)
    with Trainer(model) as trainer:
        before = trainer.network.policy.body.dense.weight.clone()
        value = trainer.network.value.body.dense.weight
        assert not torch.equal(before, value)
        trainer.run()
    assert Trainer(model, resume=True, iterations=1).run().iterations == 2
    checkpoint = CheckpointStore(model.path).load("last")
    assert checkpoint.metadata["network"] == "my_networks:Pooled"
    assert not torch.equal(checkpoint.weights["policy.body.dense.weight"], before)
    assert Evaluator(model, laps=2).run().num_laps == 2
    with pytest.raises(ConfigError, match=r"a car takes only the networks of the original .* not .my_networks:Pooled"):
        export_model(model, tmp_path / "car.tar.gz")


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("no_such_module:Net", "ModuleNotFoundError"),
        ("my_networks:Nothing", "AttributeError"),
        ("json:loads", "TypeError"),
    ],
)
def test_a_network_that_cannot_be_built_is_one_sentence(
    name: str, why: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    (tmp_path / "my_networks.py").write_text(NETWORK)
    monkeypatch.syspath_prepend(str(tmp_path))
    sys.modules.pop("my_networks", None)
    model = write_model(tmp_path / "model", training={"network": name})
    with pytest.raises(ConfigError, match=rf"the network '{name}' cannot be built: {why}.*MODULE:FACTORY"):
        Trainer(model).run()

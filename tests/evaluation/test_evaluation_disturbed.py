"""Laps in which the car sees worse than in the simulator."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hotlap_process import Hotlap
from tiny_model import write_model

from hotlap.config import ConfigWarning
from hotlap.config.model_folder import ModelFolder
from hotlap.evaluation import evaluator as evaluation
from hotlap.evaluation.evaluator import Evaluator
from hotlap.training.trainer import Trainer


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """Its actions are continuous: they differ as soon as a pixel does."""
    model = write_model(
        tmp_path_factory.mktemp("model"),
        actions={"steering_angle": {"low": -30, "high": 30}, "speed": {"low": 0.5, "high": 3}},
        hyperparameters={"lr": 0.01, "num_epochs": 3},
        training={"max_iterations": 1, "eval_laps": 1, "precision": "float32"},
    )
    Trainer(model).run()
    return model


def driven(model: ModelFolder, disturb: str | None) -> list[np.ndarray]:
    """The actions of five laps."""
    job = model.job.updated(evaluation={"disturb": disturb})
    with Evaluator(model, job=job, checkpoint="last", laps=5) as evaluator:
        evaluator.run()
    return [episode.actions for episode in evaluator.episodes]


def same(ours: list[np.ndarray], theirs: list[np.ndarray]) -> bool:
    return all(np.array_equal(our, their) for our, their in zip(ours, theirs, strict=True))


def test_who_sees_worse_drives_differently_but_always_the_same(model: ModelFolder, monkeypatch: pytest.MonkeyPatch):
    """Whichever laps are driven side by side."""
    undisturbed, disturbed = driven(model, None), driven(model, "all")
    assert not same(disturbed, undisturbed)
    assert not same(disturbed, driven(model, "light"))
    monkeypatch.setattr(evaluation, "MAX_PARALLEL", 2)
    assert same(driven(model, "all"), disturbed)
    assert same(driven(model, None), undisturbed)


def test_the_command_says_what_was_disturbed(model: ModelFolder, tmp_path: Path):
    words = ("evaluate", model.path, "--checkpoint", "last", "--laps", "2", "--no-video")
    hotlap = Hotlap(tmp_path)
    found = json.loads(hotlap.call(*words, "--disturb", "noise", "--json").stdout)
    assert found["rules"]["disturb"] == "noise"
    assert "with disturbed pictures (noise)" in " ".join(hotlap.call(*words, "--disturb", "noise").stdout.split())
    refused = hotlap.call(*words, "--disturb", "fog", code=2)
    assert "evaluation.disturb" in refused.stderr


def test_who_sees_no_pictures_is_not_disturbed(tmp_path: Path):
    model = write_model(
        tmp_path,
        metadata={"sensor": ["STATE"], "neural_network": "DENSE_NETWORK"},
        training={"max_iterations": 1, "eval_laps": 1, "network": None},
    )
    Trainer(model).run()
    undisturbed = driven(model, None)
    with pytest.warns(ConfigWarning, match=r"evaluation\.disturb has no effect"):
        assert same(driven(model, "all"), undisturbed)

"""Laps driven by several workers: the same as by one."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from tiny_model import ROUND_AND_ROUND, write_model

from hotlap import api
from hotlap.config.model_folder import ModelFolder
from hotlap.evaluation.evaluator import Evaluator, drive
from hotlap.rollouts.ray_fleet import RayFleet
from hotlap.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """Two checkpoints that drive differently; single precision: bfloat16 may round differently in other batches."""
    model = write_model(
        tmp_path_factory.mktemp("model"),
        hyperparameters={"lr": 0.01, "num_epochs": 3},
        training={"max_iterations": 1, "eval_laps": 1, "precision": "float32"},
    )
    Trainer(model).run()
    return model


def test_laps_are_the_same_whoever_drives_them(model: ModelFolder):
    """Report, metrics, trace and log, to the byte; of two checkpoints that take turns on the same workers."""
    written: list[dict[str, bytes]] = []
    reports = []
    for workers in (1, 2):
        evaluators = [Evaluator(model, checkpoint=number, laps=5, workers=workers) for number in (0, 1)]
        evaluators[0].open()
        assert isinstance(evaluators[0].fleet, RayFleet) == (workers == 2)
        drive(evaluators)
        assert [each.fleet for each in evaluators] == [None, None]
        reports.append([each.report for each in evaluators])
        files = [each.record("20250102030405") for each in evaluators]
        written.append(
            {f"{k} {name}": Path(path).read_bytes() for k, each in enumerate(files) for name, path in each.items()}
        )
    assert reports[0] == reports[1]
    assert reports[0][0] != reports[0][1]
    assert written[0] == written[1]
    assert len(json.loads(written[0]["1 metrics"])["metrics"]) == 5


def test_more_workers_than_laps_are_not_started(tmp_path: Path):
    """A single car drives here, also where training goes to a cluster."""
    model = write_model(tmp_path, actions=ROUND_AND_ROUND, training={"max_minutes": 1e-6})
    Trainer(model).run()
    job = model.job.updated(training={"cluster": "127.0.0.1:1"}, evaluation={"continuous": True, "trials": 2})
    with Evaluator(model, job=job, checkpoint="last", workers=3) as evaluator:
        assert evaluator.num_workers == 1
        assert not isinstance(evaluator.fleet, RayFleet)
        assert evaluator.run().num_laps == 2
    assert evaluator.fleet is None


def test_python_evaluates_with_workers(model: ModelFolder):
    """As the command does."""
    assert api.evaluate(model.path, laps=3, workers=2) == api.evaluate(model.path, laps=3)

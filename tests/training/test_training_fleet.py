"""A training on several worker processes learns what it learns alone, whatever happens to them."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import pytest
from model_layout import missing, undocumented
from tiny_model import write_model
from trained_folder import curve, episodes, log, played, weights

from hotlap.config.model_folder import ModelFolder
from hotlap.rollouts.ray_fleet import RayFleet
from hotlap.training.course import Course
from hotlap.training.listener import Silence
from hotlap.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("ray_cluster")

NUM_EPISODES = 4
NUM_ITERATIONS = 3


def model_in(folder: Path, workers: int, **training: Any) -> ModelFolder:
    """Single precision, because bfloat16 is not to be had everywhere."""
    settings = {"workers": workers, "precision": "float32", "max_iterations": NUM_ITERATIONS} | training
    return write_model(
        folder,
        hyperparameters={"num_episodes_between_training": NUM_EPISODES},
        training=settings,
    )


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training without any worker process."""
    model = model_in(tmp_path_factory.mktemp("alone"), 1)
    with Trainer(model) as trainer:
        trainer.run()
    return model.path


class Assassin(Silence):
    """Kills a worker when a stage begins for the ``occurrence``-th time."""

    def __init__(self, stage: str, occurrence: int) -> None:
        self.stage, self.left = stage, occurrence
        self.fleet: RayFleet | None = None
        self.messages: list[str] = []

    def on_stage(self, stage: str, total: int | None) -> None:
        self.left -= stage == self.stage
        if self.left == 0 and self.fleet is not None:
            (victim,) = [worker.info for worker in self.fleet.workers if worker.index == 1]
            assert victim is not None
            os.kill(victim.pid, signal.SIGKILL)
            self.fleet = None

    def on_message(self, message: str) -> None:
        self.messages.append(message)


def test_two_workers_learn_what_one_learns(alone: Path, tmp_path: Path):
    """The same weights to the byte after every iteration, from the same episodes, with a worker killed on the way.

    It is killed while it plays an evaluation beside the update.
    """
    assassin = Assassin("update", 2)
    with Trainer(model_in(tmp_path, 2), listener=assassin) as trainer:
        assert isinstance(trainer.fleet, RayFleet)
        assassin.fleet = trainer.fleet
        result = trainer.run()
    assert result.total_episodes == NUM_ITERATIONS * NUM_EPISODES
    assert assassin.fleet is None
    assert "killed" in assassin.messages[0]
    assert weights(tmp_path) == weights(alone)
    assert curve(tmp_path) == curve(alone)
    assert played(tmp_path, 2) == played(alone, 1)
    assert episodes(tmp_path) == episodes(alone)
    assert undocumented(tmp_path) == ["ring.npy"]
    assert {"metrics/TrainingMetrics_K.json", "K/training-simtrace/I-iteration.csv"}.isdisjoint(missing(tmp_path))
    assert "training-simtrace/I-iteration.csv" in missing(tmp_path)  # worker 0 has a folder, too
    assert sorted(path.name for path in (tmp_path / "logs" / "training").iterdir()) == [
        "training-0-robomaker.log",
        "training-1-robomaker.log",
        "training-sagemaker.log",
    ]
    assert log(tmp_path) == log(alone)


def test_a_course_on_two_workers_learns_what_one_learns(tmp_path: Path):
    """In all of its trainings, though a guide drives and only one process asks the teacher."""
    for workers in (1, 2):
        model = write_model(
            tmp_path / str(workers),
            training={"method": "teacher", "max_minutes": 60, "precision": "float32", "workers": workers},
            teacher={"iterations": 2, "episodes": 4},
            student={"iterations": 2, "episodes": 3, "samples": 128, "memory": 60},
            polish={"iterations": 1},
        )
        course = Course(model)
        assert course.run().iterations == 1
        assert isinstance(course.trainer.fleet, RayFleet) == (workers == 2)
    for place, num_iterations in {"teacher": 2, "student": 2, ".": 1}.items():
        alone, together = tmp_path / "1" / place, tmp_path / "2" / place
        assert weights(together) == weights(alone)
        assert curve(together) == curve(alone)
        assert len(curve(alone)) == num_iterations

"""Training with a teacher: a network that sees the state learns the reward, then the model learns from it.

Trainings one after the other, each like any other, in a folder of its own and resumed like any other:

    DIR/teacher   a dense network learns by PPO from the state: no pictures, tens of thousands of steps per second
    DIR/student   the model's network learns to do what the teacher would, on its own drives
    DIR           polish: PPO on the camera, from the student's best weights

What comes out in DIR is an ordinary model.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.config.template import job_toml
from hotlap.deepracer.metadata_names import DENSE
from hotlap.deepracer.state_values import STATE
from hotlap.records.checkpoints import CheckpointStore
from hotlap.rl.imitation import Imitation, ImitationConfig
from hotlap.rl.networks import ActorCritic
from hotlap.rollouts.model import build_guide
from hotlap.training.method import Method
from hotlap.unfinished import write_whole

TEACHER, STUDENT = "teacher", "student"
"""Folders of the stages in that of the model."""
GUIDED_ITERATIONS = 2  # in which the teacher drives some of the student's episodes: all in the first, then fewer

_TEACHERS_HYPERPARAMETERS: dict[str, Any] = {
    "batch_size": 2048,
    "num_epochs": 4,
    "num_episodes_between_training": 512,
    "lr": 1e-3,
    "beta_entropy": 0.01,
    "discount_factor": 0.99,
    "loss_type": "huber",
    "exploration_type": "categorical",
}
_TEACHERS_TRAINING: dict[str, Any] = {
    "critic": "camera",  # it is a network like its policy, which sees the state
    "shared_encoder": False,
    "eval_laps": 64,
    "eval_every": 4,
    "step_cap": 10**6,
}


def teacher_of(model: ModelFolder, job: Job) -> ModelFolder:
    """The teacher's own folder, written anew: the model's actions and reward, eyes for the state alone."""
    folder = model.path / TEACHER
    metadata = json.loads(model.metadata_file.read_text())
    metadata |= {"sensor": [STATE], "neural_network": DENSE, "training_algorithm": "clipped_ppo"}
    training = job.training.model_copy(update={**_TEACHERS_TRAINING, "network": None, "clone_from": None})
    return _written(folder, model, metadata, _TEACHERS_HYPERPARAMETERS, job.model_copy(update={"training": training}))


def imitation(teacher: ModelFolder, config: ImitationConfig | None = None) -> Method:
    """The method of a student of the best checkpoint of a teacher."""
    weights = CheckpointStore(teacher.path).load("best").weights
    return Method(
        learner=partial(_student, weights, config or ImitationConfig()), guide=weights, guided_share=_guided_share
    )


def _student(
    weights: Mapping[str, Tensor], config: ImitationConfig, network: ActorCritic, folder: ModelFolder, job: Job
) -> Imitation:
    return Imitation(network, build_guide(folder.metadata, weights), config, precision=job.training.precision)


def _guided_share(iteration: int) -> float:
    return max(0.0, 1.0 - iteration / GUIDED_ITERATIONS)


def _written(
    folder: Path, model: ModelFolder, metadata: dict[str, Any], hyperparameters: dict[str, Any], job: Job
) -> ModelFolder:
    folder.mkdir(parents=True, exist_ok=True)
    write_whole(folder / "model_metadata.json", json.dumps(metadata, indent=2).encode())
    write_whole(folder / "hyperparameters.json", json.dumps(hyperparameters, indent=2).encode())
    write_whole(folder / "job.toml", job_toml(job).encode())
    return ModelFolder(folder, reward_file=model.reward_file)

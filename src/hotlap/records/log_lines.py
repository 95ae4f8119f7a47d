"""The lines that the original prints and that tools look for, each as the original writes it.

Lines of single steps are made by `hotlap.records.sim_trace.format_log_lines`. Source: DeepRacer simapp 6.0.5,
``markov/metrics``, ``markov/training_worker.py``, ``markov/utils.py`` and rl_coach's ``agents``.
"""

from __future__ import annotations

import json
import traceback
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any, Literal

import hotlap
from hotlap.errors import HotlapError, RewardError

TRAINER_LOG = "logs/training/training-sagemaker.log"
"""What the original's trainer prints."""

GOODBYE = "Received termination signal from trainer. Goodbye."
EVALUATION_END = "Evaluation job complete"

# The name of the one agent, and the number of the one trainer, which tools compare letter by letter.
_AGENT = "Name=main_level/agent, Worker=0"


def worker_log(worker: int) -> str:
    """Key of what a worker of the original prints during a training."""
    return f"logs/training/training-{worker}-robomaker.log"


def evaluation_log(stamp: str) -> str:
    """Key of what the worker of an evaluation prints; ``stamp`` is 14 digits, YYYYMMDDhhmmss."""
    return f"logs/evaluation/evaluation-{stamp}-0-robomaker.log"


@dataclass(frozen=True)
class RunDescription:
    """What the first lines of a log say about a run."""

    job_type: Literal["TRAINING", "EVALUATION"]
    world: str
    """Name of the track."""
    race_type: str
    """Such as ``TIME_TRIAL``."""
    num_workers: int
    sensors: Sequence[str]
    network: str
    version: float
    """Of the metadata."""
    algorithm: str
    action_space_type: str
    action_space: Any
    """As in model_metadata.json: numbers in lists and dictionaries."""
    lidar_config: Mapping[str, Any]
    hyperparameters: Mapping[str, Any]
    """Those in effect."""

    def lines(self) -> list[str]:
        """The first lines; the hyperparameters take several."""
        parameters = {
            "JOB_TYPE": self.job_type,
            "NUM_WORKERS": str(self.num_workers),
            "RACE_TYPE": self.race_type,
            "WORLD_NAME": self.world,
        }
        return [
            str(parameters),
            f" * /WORLD_NAME: {self.world}",
            # A space too few before lidar_config is the original's.
            f"Sensor list {list(self.sensors)}, network {self.network}, simapp_version {float(self.version)}, "
            f"training_algorithm {self.algorithm}, action_space_type {self.action_space_type} "
            f"lidar_config {dict(self.lidar_config)}",
            f"Action space from file: {self.action_space}",
            "Using the following hyper-parameters",
            *json.dumps(self.hyperparameters, indent=2, sort_keys=True).splitlines(),
        ]


def episode_line(
    phase: Literal["Training", "Testing"], *, episode: int, reward: float, total_steps: int, iteration: int
) -> str:
    """An episode that the trainer received.

    Args:
        phase: "Testing" for those of an evaluation within the training.
        episode: Training episodes so far, this one included.
        reward: Sum of its rewards.
        total_steps: Training steps so far, those of this episode included.
        iteration: Updates so far.
    """
    return (
        f"{phase}> {_AGENT}, Episode={episode}, Total reward={round(float(reward), 2)}, Steps={total_steps}, "
        f"Training iteration={iteration}"
    )


def epoch_line(epoch: int, *, policy_loss: float, kl: float, entropy: float, lr: float) -> str:
    """A pass over the samples of an update; ``epoch`` from 0, ``kl`` and ``entropy`` in nat."""
    return (
        f"Policy training> Surrogate loss={float(policy_loss)}, KL divergence={float(kl)}, Entropy={float(entropy)}, "
        f"training epoch={epoch}, learning_rate={float(lr)}"
    )


def checkpoint_lines(name: str, number: int, num_files: int) -> list[str]:
    """A checkpoint that is written: its name, ``{N}_Step-{S}.ckpt``, its number, and how many files it has."""
    return [
        f"Checkpoint> Saving in path=['./checkpoint_sagemaker/agent/{name}']",
        f"Uploaded {num_files} files for checkpoint {number}",
    ]


def best_line(best: int, last: int) -> str:
    """The numbers of the best checkpoint and of the one evaluated last."""
    return f"Best checkpoint number: {best}, Last checkpoint number: {last}"


def evaluation_lines(metric: str, values: Sequence[float], mean: float) -> list[str]:
    """What an evaluation within the training measured: ``metric`` of each lap, and its mean."""
    return [
        f"[BestModelSelection] Number of evaluations: {len(values)} Evaluation episode {metric}: "
        f"{[float(value) for value in values]}",
        f"[BestModelSelection] Evaluation episode {metric} mean: {float(mean)}",
    ]


def new_best_lines(metric: str, mean: float, name: str, *, former_mean: float | None, former_name: str) -> list[str]:
    """The evaluated checkpoint is the best from now on, instead of another, or of none."""
    return [
        f"[BestModelSelection] current {metric} mean: {float(mean)} >= best {metric} mean: {former_mean}",
        f'[BestModelSelection] Updating the best checkpoint to "{name}" from "{former_name}".',
    ]


def exception_line(error: BaseException) -> str:
    """An error that ends a run: the user's own if it is one of ours, else the system's."""
    mendable = isinstance(error, HotlapError)
    frames = traceback.extract_tb(error.__traceback__)
    where = f"{Path(frames[-1].filename).name}::{frames[-1].name}::{frames[-1].lineno}" if frames else ""
    return json.dumps(
        {
            "simapp_exception": {
                "version": hotlap.__version__,
                "date": str(datetime.now()),
                "function": where,
                "message": str(error) or type(error).__name__,
                "exceptionType": f"{'simulation' if isinstance(error, RewardError) else 'training'}_worker.exceptions",
                "eventType": "user_error" if mendable else "system_error",
                "errorCode": "400" if mendable else "500",
            }
        }
    )

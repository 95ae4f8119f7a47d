"""The few functions that ``import hotlap`` offers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import Any

import gymnasium

from hotlap.config.model_folder import ModelFolder
from hotlap.envs.registration import register
from hotlap.evaluation.evaluator import Evaluator
from hotlap.evaluation.statistics import EvaluationReport
from hotlap.training.listener import Listener
from hotlap.training.trainer import Trainer, TrainingResult


def make(num_envs: int | None = None, **options: Any) -> gymnasium.Env | gymnasium.vector.VectorEnv:
    """A time-trial environment, or with ``num_envs`` that many in step.

    Args:
        num_envs: None for a single environment.
        options: Those of `hotlap.envs.time_trial.TimeTrialEnv`, such as ``track`` and ``reward``.
    """
    register()
    if num_envs is None:
        return gymnasium.make("hotlap/TimeTrial-v0", **options)
    return gymnasium.make_vec("hotlap/TimeTrial-v0", num_envs=num_envs, **options)


def train(
    folder: str | Path, *, resume: bool = False, wipe: bool = False, listener: Listener | None = None
) -> TrainingResult:
    """Train the model in a folder; see `hotlap.training.trainer.Trainer`.

    What it is cloned from, if anything, may also be a model of DeepRacer.
    """
    from hotlap.export.clone_source import readable_source

    model = ModelFolder(folder)
    tell = listener.on_message if listener else warnings.warn
    with readable_source(model.job, model.job.training.output or model.path, resume=resume, tell=tell) as job:
        trainer = Trainer(model, job=job, resume=resume, wipe=wipe, listener=listener).open()
    return trainer.run()


def evaluate(
    folder: str | Path, *, laps: int | None = None, checkpoint: Any = "best", workers: int = 1
) -> EvaluationReport:
    """Evaluate the model in a folder, which needs no reward function; see `hotlap.evaluation.evaluator.Evaluator`."""
    model = ModelFolder(folder, needs_reward=False)
    with Evaluator(model, checkpoint=checkpoint, laps=laps, workers=workers) as evaluator:
        return evaluator.run()

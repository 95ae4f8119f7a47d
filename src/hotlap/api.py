"""The few functions that ``import hotlap`` offers."""

from __future__ import annotations

import warnings
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.evaluation.evaluator import Evaluator
from hotlap.evaluation.statistics import EvaluationReport
from hotlap.training.listener import Listener
from hotlap.training.trainer import Trainer, TrainingResult

if TYPE_CHECKING:
    import gymnasium


def make(num_envs: int | None = None, **options: Any) -> gymnasium.Env | gymnasium.vector.VectorEnv:
    """A time-trial environment, or with ``num_envs`` that many in step.

    Args:
        num_envs: None for a single environment.
        options: Those of `hotlap.envs.time_trial.TimeTrialEnv`, such as ``track`` and ``reward``.
    """
    import gymnasium

    from hotlap.envs.registration import register

    register()
    if num_envs is None:
        return gymnasium.make("hotlap/TimeTrial-v0", **options)
    return gymnasium.make_vec("hotlap/TimeTrial-v0", num_envs=num_envs, **options)


def train(
    folder: str | Path, *, resume: bool = False, wipe: bool = False, listener: Listener | None = None
) -> TrainingResult:
    """Train the model in a folder, as `hotlap train` does; see `hotlap.training.trainer.Trainer`."""
    from hotlap.jobs.model_copy import trained_copy

    model = ModelFolder(folder)
    model, job = trained_copy(model, model.job, model.job.training.output or model.path)
    return open_trainer(model, job, resume=resume, wipe=wipe, listener=listener).run()


def open_trainer(
    model: ModelFolder,
    job: Job,
    *,
    resume: bool = False,
    wipe: bool = False,
    listener: Listener | None = None,
    minutes: float | None = None,
    iterations: int | None = None,
) -> Trainer:
    """A trainer that is ready to run; see `Trainer`. What it is cloned from may also be a model of DeepRacer."""
    from hotlap.export.clone_source import readable_source

    tell = listener.on_message if listener else warnings.warn
    with readable_source(job, job.training.output or model.path, resume=resume, tell=tell) as readable:
        return Trainer(
            model,
            job=readable,
            resume=resume,
            wipe=wipe,
            listener=listener,
            minutes=minutes,
            iterations=iterations,
        ).open()


def evaluate(
    folder: str | Path, *, laps: int | None = None, checkpoint: Any = "best", workers: int = 1
) -> EvaluationReport:
    """Evaluate the model in a folder, which needs no reward function; see `hotlap.evaluation.evaluator.Evaluator`."""
    model = ModelFolder(folder, needs_reward=False)
    with Evaluator(model, checkpoint=checkpoint, laps=laps, workers=workers) as evaluator:
        return evaluator.run()

"""The few functions that ``import hotlap`` offers."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.evaluation.evaluator import Evaluator
from hotlap.evaluation.statistics import EvaluationReport
from hotlap.records.store import Store
from hotlap.tracks.track import Track
from hotlap.training.course import Course
from hotlap.training.listener import Listener
from hotlap.training.trainer import TrainingResult

if TYPE_CHECKING:
    import gymnasium


def make(num_envs: int | None = None, **options: Any) -> gymnasium.Env | gymnasium.vector.VectorEnv:
    """A time-trial environment, or with ``num_envs`` that many in step.

    Args:
        num_envs: None for a single environment.
        options: Those of `hotlap.envs.time_trial.TimeTrialEnv`, such as ``track`` and ``reward``.
    """
    import gymnasium

    from hotlap.envs.registration import TIME_TRIAL, register

    register()
    if num_envs is None:
        return gymnasium.make(TIME_TRIAL, **options)
    return gymnasium.make_vec(TIME_TRIAL, num_envs=num_envs, **options)


def train(
    folder: str | Path,
    *,
    output: str | Path | None = None,
    resume: bool = False,
    wipe: bool = False,
    listener: Listener | None = None,
) -> TrainingResult:
    """Train the model in a folder, as `hotlap train` does; see `open_course`."""
    return open_course(ModelFolder(folder), output=output, resume=resume, wipe=wipe, listener=listener).run()


def open_course(
    model: ModelFolder,
    job: Job | None = None,
    *,
    output: str | Path | None = None,
    resume: bool = False,
    wipe: bool = False,
    listener: Listener | None = None,
    minutes: float | None = None,
    iterations: int | None = None,
    cluster: str | None = None,
    files: Mapping[str, bytes] | None = None,
) -> Course:
    """A training that is ready to run: that of the command line, of a container and of `train`.

    What it is cloned from, if anything, may also be a model of DeepRacer. A bucket is given the model's files beside
    what the training leaves.

    Args:
        model: What to train.
        job: Its settings; default: those of its folder.
        output: Train a copy of the model in this folder, or leave what the training leaves at this s3://bucket/prefix;
            default: as ``training.output`` says.
        resume, wipe, listener, minutes, iterations: See `Trainer`.
        cluster: Address of a Ray cluster for the workers of this run alone.
        files: Put beside the model by these keys.

    Raises:
        HotlapError: See `Trainer.open`, `hotlap.jobs.model_copy.trained_copy` and
            `hotlap.export.clone_source.readable_source`.
    """
    from hotlap.export.clone_source import readable_source
    from hotlap.jobs.bucket_model import put_model
    from hotlap.jobs.model_copy import trained_copy
    from hotlap.records.address import S3Prefix, is_s3

    job = job or model.job
    if is_s3(output):
        job = job.updated(training={"output": str(S3Prefix.parse(str(output)))})
    model, job = trained_copy(model, job, output or job.training.output or model.path)
    job = job.updated(training={"cluster": cluster})
    place = job.training.output or model.path
    tell = listener.on_message if listener else warnings.warn
    with readable_source(job, place, resume=resume, tell=tell) as readable:

        def at_place(store: Store) -> None:
            if job.training.output:
                put_model(model, job, store)
            for key, content in (files or {}).items():
                store.put(key, content)

        return Course(
            model,
            job=readable,
            resume=resume,
            wipe=wipe,
            listener=listener,
            minutes=minutes,
            iterations=iterations,
            at_place=at_place,
        ).open()


def evaluate(
    folder: str | Path,
    *,
    track: Track | None = None,
    laps: int | None = None,
    checkpoint: Any = "best",
    workers: int = 1,
) -> EvaluationReport:
    """Evaluate the model in a folder, which needs no reward function; see `hotlap.evaluation.evaluator.Evaluator`."""
    model = ModelFolder(folder, needs_reward=False)
    with Evaluator(model, checkpoint=checkpoint, track=track, laps=laps, workers=workers) as evaluator:
        return evaluator.run()

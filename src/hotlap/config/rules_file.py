"""A file of rules, for evaluations that shall be the same for all models: what it says counts more than job.toml."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from hotlap.config.base import Config, build
from hotlap.config.files import key_lines, read_toml
from hotlap.config.job import Evaluation, Job
from hotlap.config.race_settings import Race


class Rules(Config):
    """The two tables of a rules file, with the keys of job.toml; every key may be absent."""

    race: Race = Race()
    """Where the car drives and what is on the track."""

    evaluation: Evaluation = Evaluation()
    """Trials, resets and penalties."""


def with_rules_file(job: Job, path: Path) -> Job:
    """The job with the keys that a rules file holds.

    Raises:
        ConfigError: Names the file and the line (syntax) or the full key, its value and what is allowed.
    """
    tables = read_toml(path)
    build(Rules, tables, str(path), lines=partial(key_lines, path))
    return job.updated(source=str(path), **tables)


def with_rules_of(job: Job, other: Job) -> Job:
    """The job with race and evaluation as in ``other``, but for the choice of its own checkpoint."""
    evaluation = other.evaluation.model_copy(update={"checkpoint": job.evaluation.checkpoint})
    return job.model_copy(update={"race": other.race, "evaluation": evaluation})

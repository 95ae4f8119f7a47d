"""A rules file: what it says counts more than job.toml, and mistakes in it are told."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from hotlap.config.job import Job
from hotlap.config.rules_file import with_rules_file, with_rules_of
from hotlap.errors import ConfigError

JOB = Job().updated(
    race={"track": "copper_oval", "obstacles": {"number": 2}}, evaluation={"trials": 9, "checkpoint": "last"}
)


def rules(folder: Path, text: str) -> Path:
    path = folder / "league.toml"
    path.write_text(text)
    return path


def test_only_keys_that_it_holds_count(tmp_path: Path):
    """Everything else stays as in job.toml, also inside of nested tables, and also what equals a default."""
    text = "[race]\ndirection = 'cw'\nobstacles.kind = 'amazon_box_obstacle'\n[evaluation]\ntrials = 3\n"
    job = with_rules_file(JOB, rules(tmp_path, text))
    assert (job.race.direction, job.race.track) == ("cw", "copper_oval")
    assert (job.race.obstacles.kind, job.race.obstacles.number) == ("amazon_box_obstacle", 2)
    assert (job.evaluation.trials, job.evaluation.checkpoint) == (3, "last")
    assert with_rules_file(JOB, rules(tmp_path, "")) == JOB


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[evaluation]\noff_track_penalti = 3", r"league\.toml: line 2: .*Did you mean 'off_track_penalty'\?"),
        ("[evalution]\ntrials = 3", r"league\.toml: line 1: Unknown key 'evalution'\. Did you mean 'evaluation'\?"),
        ("trials = 3", r"trials belongs into the section \[evaluation\]"),
        ("[training]\nmax_minutes = 3", r"Unknown key 'training'\. Known: evaluation, race\."),
        ("[evaluation]\nnumber_of_resets = 1", r"evaluation\.number_of_resets = 1: it must be 0 or at least 2"),
        ("race = 3", r"race must be a section"),
        ("[race", r"not valid TOML"),
    ],
)
def test_mistakes_are_told(tmp_path: Path, text: str, message: str):
    """With the file, the key and the way out."""
    with pytest.raises(ConfigError, match=message):
        with_rules_file(JOB, rules(tmp_path, text))


def test_a_file_that_is_not_there_is_told_and_nothing_else(tmp_path: Path):
    """`hotlap new`, say, would not write one."""
    with pytest.raises(ConfigError, match=r"league\.toml: there is no such file\. Check its name\.$"):
        with_rules_file(JOB, tmp_path / "league.toml")


def test_rules_of_another_model_leave_the_checkpoint():
    """Each model is judged by the checkpoint that it chooses."""
    other = JOB.updated(evaluation={"trials": 1, "checkpoint": "best"}, training={"seed": 5})
    job = with_rules_of(JOB, other)
    assert (job.evaluation.trials, job.evaluation.checkpoint, job.training.seed) == (1, "last", 0)


def test_the_example_of_the_docs_is_a_rules_file(tmp_path: Path):
    page = (Path(__file__).parents[2] / "docs" / "evaluation.md").read_text()
    (example,) = re.findall(r"```toml\n(.*?)```", page, re.DOTALL)
    job = with_rules_file(JOB, rules(tmp_path, example))
    assert (job.race.direction, job.evaluation.off_track_penalty, job.evaluation.trials) == ("ccw", 3.0, 3)

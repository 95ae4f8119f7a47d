"""Standard output for tools: the log and nothing else, of trainings, evaluations and failures."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import typer
from tiny_model import write_model
from typer.testing import CliRunner

from hotlap.cli.evaluate import evaluate
from hotlap.cli.train import train
from hotlap.errors import ConfigError, RewardError

app = typer.Typer()
for command in (train, evaluate):
    app.command()(command)

ONE = {"max_iterations": 1, "eval_laps": 1}
# Beginnings of the lines that the original prints, and the lines of its JSON.
ORIGINAL = re.compile(
    r"\{'JOB_TYPE'| \* /WORLD_NAME: |Sensor list \[|Action space from file: |Using the following hyper-parameters|[{}]$"
    r'|  "\w+": |Checkpoint> |Uploaded \d+ files |Training> |Testing> |Policy training> |\[BestModelSelection\] |'
    r"Best checkpoint number: |SIM_TRACE_LOG:|Received termination signal|Evaluation job complete"
)


def hotlap(*words: object) -> tuple[list[str], BaseException | None]:
    """The lines on standard output, and what the command ended with."""
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "160"})
    return done.stdout.splitlines(), done.exception


def numbers(lines: list[str], beginning: str) -> int:
    return sum(line.startswith(beginning) for line in lines)


def test_the_log_is_all_that_is_printed(tmp_path: Path):
    """Steps among it as they are wanted, in evaluations always; it is what the files hold."""
    model = write_model(tmp_path, training=ONE)
    lines, error = hotlap("train", tmp_path, "--print-log", "--log-steps")
    assert error is None
    assert [line for line in lines if not ORIGINAL.match(line)] == []
    assert [numbers(lines, f"{name}> ") for name in ("Training", "Testing", "Policy training")] == [3, 1, 1]
    steps = (tmp_path / "logs/training/training-0-robomaker.log.1").read_text().splitlines()
    assert [line for line in lines if line.startswith("SIM_TRACE_LOG:")] == steps
    files = list((tmp_path / "logs/training").iterdir())
    assert set(lines) == {line for file in files for line in file.read_text().splitlines()}

    lines, error = hotlap("evaluate", model.path, "--print-log", "--laps", 1, "--no-video")
    assert error is None
    assert [line for line in lines if not ORIGINAL.match(line)] == []
    (file,) = (tmp_path / "logs/evaluation").iterdir()
    assert lines == file.read_text().splitlines()
    assert numbers(lines, "SIM_TRACE_LOG:") > 0


def test_a_failure_is_a_line_of_the_log(tmp_path: Path):
    write_model(tmp_path, training=ONE, reward="def reward_function(params):\n    return 1 / 0\n")
    lines, error = hotlap("train", tmp_path, "--print-log")
    assert isinstance(error, RewardError)
    (said,) = [json.loads(line) for line in lines if "simapp_exception" in line]
    assert said["simapp_exception"]["message"] == str(error)
    assert error.__notes__ == [
        f"Next: mend the reward function, try it with `hotlap reward check {tmp_path / 'reward_function.py'}`, then "
        "give the same command."
    ]


LATE = """
calls = 0
def reward_function(params):
    global calls
    calls += 1
    return 1.0 if calls < 250 else 1 / 0
"""


def test_what_was_saved_before_a_failure_is_not_lost(tmp_path: Path):
    """And the user learns with which option to go on."""
    write_model(tmp_path, training={"max_iterations": 0}, reward=LATE)
    _, error = hotlap("train", tmp_path)
    assert isinstance(error, RewardError)
    (note,) = error.__notes__
    assert re.search(r"then give the same command with --resume: [1-9]\d* iterations are saved\.$", note), note


@pytest.mark.parametrize("command", ["train", "evaluate"])
def test_one_thing_at_a_time_on_standard_output(tmp_path: Path, command: str):
    lines, error = hotlap(command, tmp_path, "--print-log", "--json")
    assert isinstance(error, ConfigError)
    assert "choose one of them" in str(error)
    assert lines == []

"""Every wrong variable of a DeepRacer-for-Cloud folder gives an error that says where, what, and what is allowed."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
import typer
from drfc_folder import files_below, write_drfc_folder, write_three_workers
from typer.testing import CliRunner

from hotlap.cli.train import train
from hotlap.errors import ConfigError

app = typer.Typer()
app.command()(train)

WHOLE, POSITIVE = "a whole number of at least 0", "a whole number of at least 1"
SECONDS = "a number of at least 0 (seconds)"
FRACTION = "a number from 0 to 1 (fraction of the lap)"
BOOLEAN = "Allowed: True, False."
KEY = "names with / between them"
TYPES = "Allowed: TIME_TRIAL, OBJECT_AVOIDANCE, HEAD_TO_BOT."
PLACES = "lap fraction (0 to 1), a comma and the lane"

# File, variable, what stands behind its =, and what the error must say besides file, line, variable and value.
BAD_VALUES = [
    ("run.env", "DR_RUN_ID", "-1", WHOLE),
    ("run.env", "DR_RUN_ID", "one", WHOLE),
    ("run.env", "DR_WORLD_NAME", "", "the name of a track"),
    ("run.env", "DR_WORLD_NAME", "'$HOME'", "the name of a track"),
    ("run.env", "DR_RACE_TYPE", "time_trial", TYPES),
    ("run.env", "DR_RACE_TYPE", "F1", TYPES),
    ("run.env", "DR_RACE_TYPE", "HEAD_TO_MODEL", f"a race against a second model is not available yet. {TYPES}"),
    ("run.env", "DR_CAR_COLOR", "Pink", "Black, Grey, Blue, Red, Orange, White, Purple"),
    ("run.env", "DR_ENABLE_DOMAIN_RANDOMIZATION", "no", "the original takes 'no' for true, like all that is not False"),
    ("run.env", "DR_ENABLE_DOMAIN_RANDOMIZATION", "0", "the original takes '0' for true"),
    ("run.env", "DR_ENABLE_DOMAIN_RANDOMIZATION", "Flase", BOOLEAN),
    ("run.env", "DR_ENABLE_DOMAIN_RANDOMIZATION", "", BOOLEAN),
    ("run.env", "DR_EVAL_NUMBER_OF_TRIALS", "0", POSITIVE),
    ("run.env", "DR_EVAL_NUMBER_OF_TRIALS", "3.5", POSITIVE),
    ("run.env", "DR_EVAL_NUMBER_OF_TRIALS", "three", POSITIVE),
    ("run.env", "DR_EVAL_IS_CONTINUOUS", "off", "for true"),
    (
        "run.env",
        "DR_EVAL_MAX_RESETS",
        "1",
        "a single reset is not possible. Allowed: 0, or a whole number of at least 2",
    ),
    ("run.env", "DR_EVAL_MAX_RESETS", "-2", "0, or a whole number of at least 2"),
    ("run.env", "DR_EVAL_OFF_TRACK_PENALTY", "-1", SECONDS),
    ("run.env", "DR_EVAL_OFF_TRACK_PENALTY", "5s", SECONDS),
    ("run.env", "DR_EVAL_COLLISION_PENALTY", "-0.5", SECONDS),
    ("run.env", "DR_COLLISION_PENALTY", "inf", SECONDS),
    ("run.env", "DR_EVAL_SAVE_MP4", "ture", "the original takes 'ture' for false"),
    ("run.env", "DR_EVAL_CHECKPOINT", "newest", "Allowed: last, best."),
    ("run.env", "DR_EVAL_CHECKPOINT", "Best", "Allowed: last, best."),
    ("run.env", "DR_EVAL_REVERSE_DIRECTION", "n", "for true"),
    ("run.env", "DR_TRAIN_CHANGE_START_POSITION", "0", "for true"),
    ("run.env", "DR_TRAIN_REVERSE_DIRECTION", "none", "for true"),
    ("run.env", "DR_TRAIN_ALTERNATE_DRIVING_DIRECTION", "f", "for true"),
    ("run.env", "DR_CHANGE_START_POSITION", "no", "for true"),
    ("run.env", "DR_ALTERNATE_DRIVING_DIRECTION", "2", "for true"),
    ("run.env", "DR_TRAIN_START_POSITION_OFFSET", "1.5", FRACTION),
    ("run.env", "DR_TRAIN_START_POSITION_OFFSET", "-0.1", FRACTION),
    ("run.env", "DR_TRAIN_ROUND_ROBIN_ADVANCE_DIST", "5%", FRACTION),
    ("run.env", "DR_TRAIN_ROUND_ROBIN_ADVANCE_DIST", "2", FRACTION),
    ("run.env", "DR_TRAIN_ROUND_ROBIN_ADVANCE_DIST", "nan", FRACTION),
    ("run.env", "DR_TRAIN_ROUND_ROBIN_ADVANCE_DIST", "0,05", FRACTION),
    ("run.env", "DR_TRAIN_MULTI_CONFIG", "true", "only True, exactly so, switches it on"),
    ("run.env", "DR_TRAIN_MULTI_CONFIG", "1", "only True, exactly so, switches it on"),
    ("run.env", "DR_TRAIN_MIN_EVAL_TRIALS", "0", POSITIVE),
    ("run.env", "DR_TRAIN_BEST_MODEL_METRIC", "Progress", "Allowed: progress, reward, laptime."),
    ("run.env", "DR_TRAIN_MAX_STEPS_PER_ITERATION", "0", POSITIVE),
    ("run.env", "DR_TRAIN_MAX_STEPS_PER_ITERATION", "1e4", POSITIVE),
    ("run.env", "DR_LOCAL_S3_MODEL_PREFIX", "/absolute", KEY),
    ("run.env", "DR_LOCAL_S3_MODEL_PREFIX", "../outside", KEY),
    ("run.env", "DR_LOCAL_S3_MODEL_PREFIX", "model/", KEY),
    ("run.env", "DR_LOCAL_S3_MODEL_PREFIX", "", KEY),
    ("run.env", "DR_LOCAL_S3_PRETRAINED", "ture", "for false, like all that is not True, yes, t or 1"),
    ("run.env", "DR_LOCAL_S3_PRETRAINED_PREFIX", "a//b", KEY),
    ("run.env", "DR_LOCAL_S3_PRETRAINED_CHECKPOINT", "first", "Allowed: best, last."),
    ("run.env", "DR_LOCAL_S3_CUSTOM_FILES_PREFIX", "..", KEY),
    ("run.env", "DR_LOCAL_S3_MODEL_METADATA_KEY", "/etc/passwd", KEY),
    ("run.env", "DR_LOCAL_S3_REWARD_KEY", "custom_files/../../reward_function.py", KEY),
    ("run.env", "DR_LOCAL_S3_TRAINING_PARAMS_FILE", "a/b.yaml", "a plain name"),
    ("run.env", "DR_OA_NUMBER_OF_OBSTACLES", "-1", "a whole number from 0 to 50"),
    ("run.env", "DR_OA_NUMBER_OF_OBSTACLES", "6.0", "a whole number from 0 to 50"),
    ("run.env", "DR_OA_MIN_DISTANCE_BETWEEN_OBSTACLES", "0", "a number above 0 (meters)"),
    ("run.env", "DR_OA_RANDOMIZE_OBSTACLE_LOCATIONS", "0", "for true"),
    ("run.env", "DR_OA_IS_OBSTACLE_BOT_CAR", "no", "for true"),
    ("run.env", "DR_OA_OBSTACLE_TYPE", "box", "box_obstacle, deepracer_box_obstacle, amazon_box_obstacle"),
    ("run.env", "DR_OA_OBJECT_POSITIONS", "0.5", PLACES),
    ("run.env", "DR_OA_OBJECT_POSITIONS", "1.5,1", PLACES),
    ("run.env", "DR_OA_OBJECT_POSITIONS", "0.5,left", PLACES),
    ("run.env", "DR_OA_OBJECT_POSITIONS", '"0.5,1;"', PLACES),
    ("run.env", "DR_H2B_IS_LANE_CHANGE", "no", "for true"),
    ("run.env", "DR_H2B_LOWER_LANE_CHANGE_TIME", "-1", SECONDS),
    ("run.env", "DR_H2B_UPPER_LANE_CHANGE_TIME", "soon", SECONDS),
    ("run.env", "DR_H2B_LANE_CHANGE_DISTANCE", "0", "a number above 0 (meters)"),
    ("run.env", "DR_H2B_NUMBER_OF_BOT_CARS", "21", "a whole number from 0 to 20"),
    ("run.env", "DR_H2B_MIN_DISTANCE_BETWEEN_BOT_CARS", "-2", "a number above 0 (meters)"),
    ("run.env", "DR_H2B_RANDOMIZE_BOT_CAR_LOCATIONS", "3", "for true"),
    ("run.env", "DR_H2B_BOT_CAR_SPEED", "5", "a number from 0 to 4 (m/s)"),
    ("run.env", "DR_H2B_BOT_CAR_PENALTY", "-1", SECONDS),
    ("system.env", "DR_WORKERS", "0", "a whole number from 1 to 10000"),
    ("system.env", "DR_WORKERS", "2.5", "a whole number from 1 to 10000"),
    ("system.env", "DR_WORKERS", "many", "a whole number from 1 to 10000"),
    ("system.env", "DR_CLOUD_WATCH_ENABLE", "no", "for true"),
    ("system.env", "DR_CLOUD_WATCH_LOG_STREAM_PREFIX", "a:b", "text without : and *"),
    ("system.env", "DR_TELEGRAF_HOST", "udp://telegraf", "the name or the address of a machine"),
    ("system.env", "DR_TELEGRAF_PORT", "70000", "a whole number from 1 to 65535"),
    ("system.env", "DR_CLOUD", "gcp", "Allowed: aws, azure, local, remote."),
    ("system.env", "DR_LOCAL_S3_BUCKET", "a/b", "a plain name"),
    ("system.env", "DR_LOCAL_S3_BUCKET", "..", "a plain name"),
    ("system.env", "DR_CAMERA_MAIN_ENABLE", "no", "for true"),
    ("system.env", "DR_EXPERIMENT_NAME", "../elsewhere", KEY),
    ("worker-2.env", "DR_WORLD_NAME", '"reinvent_base"', "without quotes"),
    ("worker-2.env", "DR_WORLD_NAME", "$DR_TRACK", "the name of a track"),
    ("worker-2.env", "DR_RACE_TYPE", "HEAD_TO_MODEL", "not available yet"),
    ("worker-2.env", "DR_CAR_COLOR", "blue", "Black, Grey, Blue"),
    ("worker-2.env", "DR_TRAIN_REVERSE_DIRECTION", "no", "for true"),
    ("worker-2.env", "DR_TRAIN_START_POSITION_OFFSET", "2", FRACTION),
    ("worker-2.env", "DR_OA_OBJECT_POSITIONS", "0.5;0.6", PLACES),
]


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a job would be listed."""
    monkeypatch.setenv("HOTLAP_STATE", str(tmp_path / "state"))
    return tmp_path / "state"


def refused(folder: Path, *words: str) -> str:
    """The error with which `hotlap train` refuses the folder, leaving no trace."""
    before = files_below(folder.parent)
    done = CliRunner().invoke(app, [*words, "--drfc", str(folder)])
    assert isinstance(done.exception, ConfigError), done.output
    assert files_below(folder.parent) == before
    message = str(done.exception)
    assert all(line.strip() for line in message.split("\n"))
    return message


def line_of(file: Path, name: str) -> int:
    lines = file.read_text().splitlines()
    return next(number for number, line in enumerate(lines, start=1) if line.startswith(f"{name}="))


def test_the_table_is_long_enough():
    assert len(set(BAD_VALUES)) == len(BAD_VALUES) >= 60


@pytest.mark.parametrize(("name", "variable", "text", "allowed"), BAD_VALUES)
def test_a_wrong_value_is_refused_before_anything_begins(tmp_path: Path, name, variable, text, allowed):
    """The message names file, line, variable, value and what is allowed."""
    folder = tmp_path / "drfc"
    if name == "worker-2.env":
        write_three_workers(folder)
        file = folder / name
        file.write_text(re.sub(rf"(?m)^{variable}=.*\n", "", file.read_text()) + f"{variable}={text}\n")
    else:
        changes = {"system" if name == "system.env" else "run": {variable: text}}
        write_drfc_folder(folder, **changes)
    value = text if name == "worker-2.env" else text.replace("'", "").replace('"', "")
    message = refused(folder)
    assert message.startswith(f"{folder / name}, line {line_of(folder / name, variable)}: ")
    assert f": {variable} = {value!r} is not allowed" in message
    assert "Allowed: " in message
    assert allowed in message


def test_the_shortest_time_is_not_above_the_longest(tmp_path: Path):
    """Also where one stands in run.env and the other in the file of a worker."""
    name = "DR_H2B_LOWER_LANE_CHANGE_TIME"
    message = refused(write_drfc_folder(tmp_path / "one", run={name: 6}))
    assert f"{name} = '6' ({tmp_path / 'one/run.env'}, line {line_of(tmp_path / 'one/run.env', name)}) is" in message
    folder = write_three_workers(tmp_path / "three", run={name: 2})
    for number, text in ((2, "DR_RACE_TYPE=HEAD_TO_BOT\n"), (3, "DR_H2B_UPPER_LANE_CHANGE_TIME=1\n")):
        (folder / f"worker-{number}.env").write_text(text)
    message = refused(folder)
    assert message.startswith(f"{name} = '2' ({folder / 'run.env'}, line ")
    assert f"together with DR_H2B_UPPER_LANE_CHANGE_TIME = '1' ({folder / 'worker-3.env'}, line 1)" in message


@pytest.mark.filterwarnings("ignore::hotlap.config.ConfigWarning")
@pytest.mark.parametrize("name", ["run.env", "system.env"])
@pytest.mark.parametrize(
    "text",
    [
        "DR_WORLD_NAME=$(touch made)",
        "DR_WORLD_NAME=`touch made`",
        "DR_WORLD_NAME=a;touch made",
        "$(touch made)",
        "a=1;b",
    ],
)
def test_nothing_in_the_files_is_executed(tmp_path: Path, monkeypatch, name, text):
    monkeypatch.chdir(tmp_path)
    folder = write_drfc_folder(tmp_path / "drfc")
    with (folder / name).open("a") as file:
        file.write(f"{text}\n")
    number = len((folder / name).read_text().splitlines())
    assert f"{folder / name}, line {number}: " in refused(folder)


def test_mistakes_of_several_files_are_told_at_once(tmp_path: Path):
    system = {"DR_WORKERS": 0, "DR_CLOUD": "gcp"}
    run = {"DR_RACE_TYPE": "F1", "DR_EVAL_MAX_RESETS": 1, "DR_TRAIN_MIN_EVAL_TRIALS": 0}
    message = refused(write_drfc_folder(tmp_path / "drfc", system=system, run=run))
    assert re.search(r"DR_CLOUD = .*\n.*DR_WORKERS = .*\n.*DR_RACE_TYPE = .*\n.*DR_.*\n.*DR_", message)


@pytest.mark.filterwarnings("ignore::hotlap.config.ConfigWarning")
def test_a_folder_that_is_none_is_named(tmp_path: Path):
    assert "there is no such folder" in refused(tmp_path / "none")
    (tmp_path / "file").write_text("")
    assert "this is a file" in refused(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert "there is no run.env" in refused(tmp_path / "empty")


def test_one_folder_is_named_not_two(tmp_path: Path):
    folder = write_drfc_folder(tmp_path / "drfc")
    assert "not both" in refused(folder, str(folder))
    done = CliRunner().invoke(app, [])
    assert isinstance(done.exception, ConfigError)
    assert "which folder?" in str(done.exception)


def test_every_worker_needs_its_file(tmp_path: Path):
    folder = write_three_workers(tmp_path / "drfc")
    (folder / "worker-3.env").unlink()
    message = refused(folder)
    assert message.startswith(f"{folder / 'worker-3.env'}: there is no such file")
    assert "one for each worker from 2 to 3" in message


def test_an_empty_line_in_a_workers_file_is_a_mistake(tmp_path: Path):
    folder = write_three_workers(tmp_path / "drfc")
    with (folder / "worker-2.env").open("a") as file:
        file.write("\n")
    assert "worker-2.env, line 23 is empty" in refused(folder)


def test_an_experiment_needs_its_folder(tmp_path: Path):
    folder = write_drfc_folder(tmp_path / "drfc", system={"DR_EXPERIMENT_NAME": "fast"})
    message = refused(folder)
    assert f"DR_EXPERIMENT_NAME = 'fast', but there is no {folder / 'experiments/fast/run.env'}" in message


def test_missing_custom_files_are_named_with_both_places(tmp_path: Path):
    folder = write_drfc_folder(tmp_path / "drfc", run={"DR_LOCAL_S3_REWARD_KEY": "other/reward.py"})
    (folder / "custom_files/hyperparameters.json").unlink()
    message = refused(folder)
    assert (
        f"DR_LOCAL_S3_REWARD_KEY = 'other/reward.py', and there is no {folder / 'bucket/other/reward.py'}." in message
    )
    assert f"no {folder / 'custom_files/hyperparameters.json'} and no {folder / 'bucket/custom_files'}" in message
    assert message.endswith(
        f"Put reward.py and hyperparameters.json into {folder / 'custom_files'}, or beside run.env."
    )


@pytest.mark.parametrize("name", ["model_metadata.json", "hyperparameters.json"])
def test_custom_files_are_checked_as_well(tmp_path: Path, name):
    folder = write_drfc_folder(tmp_path / "drfc")
    (folder / "custom_files" / name).write_text("{")
    assert refused(folder).startswith(f"{folder / 'custom_files' / name}: line 1")


def test_a_job_file_is_checked_as_well(tmp_path: Path):
    folder = write_drfc_folder(tmp_path / "drfc")
    (folder / "job.toml").write_text("[training]\nmax_minute = 3\n")
    assert refused(folder).startswith(f"{folder / 'job.toml'}: line 2: Unknown key 'training.max_minute'")

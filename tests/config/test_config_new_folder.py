"""`hotlap new` and the files it writes."""

from __future__ import annotations

import json
import re
import shlex
import tomllib
from pathlib import Path

import pytest
import typer
from typer.testing import CliRunner

from hotlap.cli.new import new
from hotlap.config import BotCars, DiscreteActionSpace, Evaluation, Job, ModelFolder, Obstacles, Race, Training
from hotlap.config.availability import unavailable
from hotlap.config.hyperparameters import STARTER, Hyperparameters
from hotlap.config.metadata import ModelMetadata
from hotlap.config.template import folder_readme, job_toml, metadata_json
from hotlap.errors import HotlapError
from hotlap.rewards import load_reward

app = typer.Typer()
app.command()(new)


def run(*arguments: object) -> str:
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if result.exception is not None and not isinstance(result.exception, SystemExit):
        raise result.exception
    assert result.exit_code == 0, result.output
    return result.stdout


def test_a_new_folder_is_complete_and_reads_back_as_the_defaults(tmp_path: Path):
    run(tmp_path / "model")
    folder = ModelFolder(tmp_path / "model")
    assert folder.job == Job()
    assert folder.hyperparameters == STARTER
    space = folder.metadata.action_space
    assert isinstance(space, DiscreteActionSpace)
    assert [action.steering_angle for action in space.actions] == [-30.0, -15.0, 0.0, 15.0, 30.0]
    assert {action.speed for action in space.actions} == {1.0}
    assert folder.metadata.version == 5.0
    load_reward(folder.reward_file)


def test_options_go_into_the_files(tmp_path: Path):
    run(tmp_path, "--speed", 1.25, "--track", "copper_oval", "--reward", "race_line")
    folder = ModelFolder(tmp_path)
    assert isinstance(folder.metadata.action_space, DiscreteActionSpace)
    assert folder.metadata.action_space.actions[0].speed == 1.25
    assert folder.job.race.track == "copper_oval"
    assert "Race line" in folder.reward_file.read_text(encoding="utf-8")


def test_a_fast_car_has_slower_actions_too_and_is_to_have_a_teacher(tmp_path: Path):
    """No bend is too tight for all of them."""
    told = run(tmp_path / "model", "--speed", 2.5)
    space = ModelFolder(tmp_path / "model").metadata.action_space
    assert isinstance(space, DiscreteActionSpace)
    assert [action.speed for action in space.actions] == [1.0] * 5 + [1.75] * 5 + [2.5] * 5
    assert (tmp_path / "model/reward_function.py").read_bytes() == load_reward("progress_per_step").path.read_bytes()
    assert told.rstrip().splitlines()[-1].split("  #")[0].strip().endswith("--teacher")
    assert "--teacher" not in run(tmp_path / "slow", "--speed", 1.0)


def test_it_says_what_comes_next_in_words_that_can_be_copied(tmp_path: Path):
    """Edit, check, train, with a space in the path; a second time there is nothing to write."""
    folder = tmp_path / "my models" / "mine"
    for begin in ("wrote reward_function.py,", "nothing was to be written"):
        first, *_, edit, check, train = run(folder).splitlines()
        assert first.startswith(f"{folder}: {begin}")
        assert edit.startswith(f"Next: edit {folder / 'reward_function.py'}")
        assert shlex.split(check) == ["hotlap", "reward", "check", str(folder / "reward_function.py")]
        assert shlex.split(train) == ["hotlap", "train", str(folder)]


def test_nothing_that_exists_is_overwritten_unless_forced(tmp_path: Path):
    (tmp_path / "job.toml").write_text("[training]\nseed = 3\n")
    report = json.loads(run(tmp_path, "--json"))
    assert report["kept"] == ["job.toml"]
    assert ModelFolder(tmp_path).job.training.seed == 3
    with pytest.raises(HotlapError, match="--force"):
        run(tmp_path)
    assert ModelFolder(tmp_path).job.training.seed == 3
    run(tmp_path, "--force")
    assert ModelFolder(tmp_path).job == Job()


@pytest.mark.parametrize(
    ("arguments", "fragment"),
    [
        (("--speed", 9), "0.1 to 4 m/s, got 9"),
        (("--reward", "fastest"), "Shipped: follow_center_line"),
        (("--track", "no_such_track"), "no_such_track"),
    ],
)
def test_bad_options_are_refused_before_anything_is_written(tmp_path: Path, arguments, fragment):
    with pytest.raises(HotlapError, match=fragment):
        run(tmp_path / "model", *arguments)
    assert not (tmp_path / "model").exists()


def test_a_folder_that_cannot_be_made_is_an_error(tmp_path: Path):
    (tmp_path / "file").write_text("")
    with pytest.raises(HotlapError, match="this is a file"):
        run(tmp_path / "file")
    with pytest.raises(HotlapError, match="cannot be written"):
        run(tmp_path / "file" / "model")


def test_job_toml_holds_every_key_with_its_text():
    text = job_toml(Job())
    assert Job.model_validate(tomllib.loads(text)) == Job()
    for section in (Race, Obstacles, BotCars, Training, Evaluation):
        for key in section.model_fields:
            assert f"\n{key} = " in text or f"\n# {key} = " in text or f".{key}]\n" in text


def test_every_row_of_the_readme_is_one_row():
    """A text of several lines would end its table, and every line of a table holds two cells."""
    lines = [line for line in folder_readme().splitlines() if line]
    rows = [line for line in lines if "|" in line]
    assert all(re.fullmatch(r"\|[^|]+\|[^|]+\|", row) for row in rows)
    assert all(line.startswith(("#", "`hotlap train", "The first three")) for line in lines if line not in rows)
    for key in (*Hyperparameters.model_fields.keys() - {"sac_alpha"}, *json.loads(metadata_json())):
        assert any(row.startswith(f"| `{key}` | ") for row in rows)


def test_the_readme_promises_nothing_that_is_refused():
    """What it names as a value of a key of model_metadata.json can be trained."""
    text = folder_readme()
    for key, ours in (("sensor", lambda name: [name]), ("neural_network", str), ("training_algorithm", str)):
        (row,) = [line for line in text.splitlines() if line.startswith(f"| `{key}` |")]
        for name in re.findall("`([^`]+)`", row)[1:]:
            assert unavailable(ModelMetadata.from_dict(json.loads(metadata_json()) | {key: ours(name)})) == []


def test_text_with_quotes_survives_the_template():
    job = Job().updated(race={"track": 'my "fast" \\ track\n'})
    assert Job.model_validate(tomllib.loads(job_toml(job))) == job


def test_tables_in_tables_and_workers_survive_the_template():
    race = {"race_type": "object_avoidance", "obstacles": {"number": 2, "positions": [[0.5, -1.0], [0.75, 1.0]]}}
    workers = ({"track": "oval"}, {"obstacles": {"positions": ((0.25, 1.0),)}, "bots": {"lane_change": True}})
    job = Job(workers=workers).updated(race=race, training={"cluster": "10.0.0.5:6379"})
    read = Job.model_validate(tomllib.loads(job_toml(job)))
    assert read.model_dump() | {"workers": ()} == job.model_dump() | {"workers": ()}
    assert read.races == job.races


def test_the_example_of_workers_in_a_new_file_is_good_once_its_hashes_are_gone():
    text = job_toml(Job())
    start = text.index("# [[workers]]")
    job = Job.model_validate(tomllib.loads(text[:start] + text[start:].replace("# ", "")))
    assert [race.track for race in job.races] == ["copper_oval", "paperclip"]
    assert [race.reverse_dir for race in job.races] == [False, True]

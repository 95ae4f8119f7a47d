"""The doctor over folders in every shape: each is ready, or it is said in a sentence what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import typer
from folder_shapes import SHAPES, Shape, beside, drfc, run_env, write_shape
from tiny_model import write_model
from typer.testing import CliRunner, Result

from hotlap.cli import doctor_folders
from hotlap.cli.doctor import doctor
from hotlap.cli.doctor_folder import examine_folder
from hotlap.errors import ConfigError

app = typer.Typer()
app.command()(doctor)


def examine(*words: object) -> Result:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "200"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return done


@pytest.fixture(scope="module")
def collection(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("collection")
    for name, shape in SHAPES.items():
        write_shape(shape, folder / name)
    return folder


@pytest.fixture(scope="module")
def report(collection: Path) -> dict[str, Any]:
    done = examine(collection, "--json")
    assert done.exit_code == 1
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def test_every_folder_has_its_line(collection: Path, report: dict[str, Any]):
    """None of them twice, and no folder inside of one."""
    assert len(SHAPES) >= 40
    assert list(report) == ["ok", "folder", "complete", "folders"]
    assert (report["ok"], report["complete"]) == (False, True)
    assert [Path(line["folder"]).relative_to(collection).name for line in report["folders"]] == sorted(SHAPES)


@pytest.mark.parametrize(("name", "shape"), SHAPES.items(), ids=list(SHAPES))
def test_a_folder_is_ready_or_told_what_to_do(collection: Path, report: dict[str, Any], name: str, shape: Shape):
    (line,) = (line for line in report["folders"] if line["folder"] == str(collection / name))
    assert (line["kind"], line["ok"]) == (shape.kind, shape.ready), line
    assert bool(line["text"]) != shape.ready
    assert "\n" not in line["text"]
    assert not line["text"].startswith(str(collection))
    for words in shape.words:
        assert words in line["text"]
    told = " ".join(line["warnings"])
    for words in shape.told:
        assert told.count(words) == 1, told
    assert not (shape.silent and line["warnings"])


def test_a_relative_name_is_cut_off_only_at_the_beginning_of_a_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The class's folder is called like a part of the path to it, and a student's like a part of another name."""
    write_shape(SHAPES["unknown-track"], tmp_path / "class" / "class" / "run")
    write_shape(SHAPES["command-in-run-env"], tmp_path / "class" / "class" / "s")
    other = tmp_path / "class" / "class" / "missing.npy"
    write_shape(Shape(drfc(run=run_env(DR_WORLD_NAME=str(other))), False), tmp_path / "class" / "class" / "track")
    monkeypatch.chdir(tmp_path / "class")
    for named in ("class", str(tmp_path / "class" / "class")):
        run, s, track = (line["text"] for line in json.loads(examine(named, "--json").stdout)["folders"])
        assert "hotlap tracks" in run
        assert s.startswith("run.env, line 1")
        assert str(other) in track


def test_remarks_and_texts_of_users_are_shown_as_they_are(tmp_path: Path):
    """A ready folder with a remark has no check mark, and what looks like an emoji's name stays text."""
    write_shape(SHAPES["misspelt-variable"], tmp_path / "a:x:")
    write_shape(SHAPES["standard"], tmp_path / "b")
    write_shape(Shape(beside(run="DR_WORLD_NAME=:boom:\n")), tmp_path / "c")
    remark, ready, wrong = (line for line in examine(tmp_path).stdout.splitlines() if "DeepRacer-for-Cloud" in line)
    assert remark.split()[:2] == ["!", "a:x:"]
    assert "ready; there is no system.env" in remark
    assert "(and 1 more)" in remark
    assert ready.split()[0] == "✓"
    assert ":boom:" in wrong


def test_the_table_says_the_same(collection: Path, report: dict[str, Any]):
    text = examine(collection).stdout
    ready = sum(line["ok"] for line in report["folders"])
    assert f"{ready} of {len(SHAPES)} folders are ready to train." in text
    for name in SHAPES:
        assert name in text


def test_only_ready_folders_are_a_success(tmp_path: Path):
    write_shape(SHAPES["standard"], tmp_path / "a" / "one")
    write_shape(SHAPES["side-by-side"], tmp_path / "b" / "c" / "two")
    done = examine(tmp_path, "--json")
    assert done.exit_code == 0
    assert [Path(line["folder"]).name for line in json.loads(done.stdout)["folders"]] == ["one", "two"]


def test_a_folder_alone_is_looked_at_by_itself(tmp_path: Path):
    """Whatever lies below it, such as experiments that are not chosen."""
    write_shape(SHAPES["standard"], tmp_path)
    write_shape(SHAPES["side-by-side"], tmp_path / "experiments" / "other")
    assert json.loads(examine(tmp_path, "--json").stdout)["folder"] == str(tmp_path / "bucket/rl-deepracer-sagemaker")


def test_a_batch_function_alone_is_a_reward_function(tmp_path: Path):
    model = write_model(tmp_path / "model")
    model.reward_file.write_text("def reward_function_batch(params):\n    return params['speed']\n")
    assert examine_folder(model.path, None).problems == []
    model.reward_file.write_text("def reward(params):\n    return params['speed']\n")
    (problem,) = examine_folder(model.path, None).problems
    assert "there is no reward_function in it" in problem


def test_without_any_folder_the_one_named_is_meant(tmp_path: Path):
    (tmp_path / "a" / "b").mkdir(parents=True)
    with pytest.raises(ConfigError, match="not a complete model folder"):
        examine(tmp_path)
    with pytest.raises(ConfigError, match="does not exist"):
        examine(tmp_path / "none")


def test_what_is_too_deep_or_too_much_is_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """A search that was cut short is told and is no success; links lead nowhere."""
    write_shape(SHAPES["standard"], tmp_path / "a")
    write_shape(SHAPES["standard"], tmp_path / "1/2/3/4")
    (tmp_path / "again").symlink_to(tmp_path / "a")
    found = json.loads(examine(tmp_path, "--json").stdout)
    assert [Path(line["folder"]).name for line in found["folders"] if line["ok"]] == ["a"]
    assert [line["folder"] for line in found["folders"] if not line["ok"]] == [str(tmp_path / "1")]
    monkeypatch.setattr(doctor_folders, "MAX_FOLDERS", 6)
    for number in range(3):
        write_shape(SHAPES["standard"], tmp_path / f"b{number}")
    done = examine(tmp_path)
    assert done.exit_code == 1
    assert "Only the first 6 folders were looked into." in done.stdout

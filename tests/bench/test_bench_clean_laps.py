"""`hotlap bench learn --method`: clean laps after so many minutes, over seeds."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from hotlap_process import Hotlap
from tiny_model import write_model

from hotlap.bench import clean_laps
from hotlap.bench.clean_laps import LapTask
from hotlap.config.metadata import DiscreteActionSpace
from hotlap.config.model_folder import ModelFolder
from hotlap.rewards.loader import load_reward, read_reward


def tiny(folder: Path, task: LapTask, training: dict) -> ModelFolder:
    """Stands for the model that is measured: it trains in a second."""
    return write_model(
        folder,
        training=training | {"max_iterations": 2},
        teacher={"iterations": 2, "episodes": 4},
        student={"iterations": 1, "episodes": 3, "samples": 64},
        polish={"iterations": 1},
    )


@pytest.mark.parametrize("method", ["ppo", "teacher"])
def test_each_seed_drives_its_laps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str):
    monkeypatch.setattr(clean_laps, "write_model", tiny)
    monkeypatch.setattr(clean_laps, "LAPS", 4)
    words = ("bench", "learn", "--method", method, "--seeds", "2", "--minutes", "10", "--threads", "1")
    found = json.loads(Hotlap(tmp_path).call(*words, "--out", tmp_path / "out", "--json").stdout)
    assert [row["seed"] for row in found["seeds"]] == [0, 1]
    assert {"clean_share", "lap_s_median", "reward_per_lap", "seconds"} <= found.keys()
    for row in found["seeds"]:
        assert 0 <= row["clean_share"] <= 1
        assert row["seconds"] > 0
        stages = [""] if method == "ppo" else ["teacher", "student", "polish"]
        assert list(dict.fromkeys(each["training"] for each in row["curve"])) == stages
    if method == "teacher":
        assert found["teacher"]["steps_per_s"] > 0
        assert found["student"]["samples_per_s"] > 0
    assert {path.name for path in (tmp_path / "out").iterdir()} == set(found["files"])


def test_the_model_that_is_measured_has_speeds_to_brake_with(tmp_path: Path):
    model = clean_laps.write_model(tmp_path, LapTask("first_lap", 2.5), {"seed": 3})
    space = model.metadata.action_space
    assert isinstance(space, DiscreteActionSpace)
    assert sorted({action.speed for action in space.actions}) == [1.0, 2.0, 2.5]
    assert (model.job.training.seed, model.job.race.track) == (3, "first_lap")
    load_reward(model.reward_file)


def test_a_task_says_what_stands_on_the_track_and_which_way_it_goes(tmp_path: Path):
    task = LapTask("first_lap", 2.0, "stay_inside_borders", "head_to_bot", 5, reverse=True)
    race = clean_laps.write_model(tmp_path, task, {}).job.race
    assert (race.race_type, race.bots.number, race.bots.randomize, race.direction) == (
        task.race_type,
        5,
        True,
        "reversed",
    )
    assert (tmp_path / "reward_function.py").read_bytes() == read_reward("stay_inside_borders").text
    assert task.words == ["2mps", "reversed", "head_to_bot", "stay_inside_borders"]
    assert LapTask().words == []


@pytest.mark.parametrize("words", [("--method", "sac"), ("--method", "ppo", "--minutes", "0")])
def test_what_cannot_be_measured_is_refused(tmp_path: Path, words: tuple[str, ...]):
    Hotlap(tmp_path).call("bench", "learn", *words, code=2)

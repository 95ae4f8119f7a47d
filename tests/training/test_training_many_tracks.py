"""Trainings on many tracks: on generated ones, the same bytes whoever plays them, and laps on roads never seen."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest
from hotlap_process import Hotlap
from tiny_model import write_model
from trained_folder import curve, episodes, weights

from hotlap.analysis.read.run_reader import read_run
from hotlap.api import evaluate
from hotlap.cli.analyze import _tracks_of
from hotlap.config.model_folder import ModelFolder
from hotlap.envs.race_tracks import tracks_of
from hotlap.errors import ConfigError
from hotlap.evaluation.evaluator import Evaluator
from hotlap.jobs.model_copy import copy_model
from hotlap.records.log_lines import TRAINER_LOG
from hotlap.tracks.route_file import write_route
from hotlap.tracks.track import Track
from hotlap.training.course import Course
from hotlap.training.listener import Silence
from hotlap.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("short_run_offs")

# As many grounds as the tests keep painted.
GENERATED = {"number": 2, "held_out": 2, "length": [13, 15], "width": [0.7, 0.9], "min_radius": [0.8, 1.0]}


def model_in(folder: Path, race: dict[str, Any] | None = None, **training: Any) -> ModelFolder:
    return write_model(
        folder,
        race={"track": "generated", "generated": GENERATED} | (race or {}),
        training={"precision": "float32", "eval_laps": 4} | training,
        hyperparameters={"num_episodes_between_training": 6},
    )


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    model = model_in(tmp_path_factory.mktemp("trained"))
    Trainer(model).run()
    return model.path


def test_it_trains_on_all_tracks_and_evaluates_on_those_held_out(trained: Path):
    driven = episodes(trained)
    assert {each.track for each in driven if each.phase == "training"} == {"generated_0", "generated_1"}
    laps = [each.track for each in driven if each.phase == "evaluation" and each.iteration == 0]
    assert laps == ["held_out_0", "held_out_1"] * 2


def test_traces_tell_the_length_of_the_track_of_each_episode(trained: Path):
    job = ModelFolder(trained).job
    lengths = {track.name: track.length for track in tracks_of(job.race, seed=job.training.seed).tracks}
    expected = [lengths[each.track] for each in episodes(trained) if each.phase == "training"]
    logged: dict[str, float] = {}
    for path in sorted(trained.glob("training-simtrace/*.csv"), key=lambda path: int(path.name.split("-")[0])):
        for row in csv.DictReader(path.open()):
            logged[row["episode"]] = float(row["track_len"])
    assert list(logged.values()) == pytest.approx(expected, abs=0.006)
    assert "2 tracks and 2 held out" in (trained / TRAINER_LOG).read_text()


def test_stopped_and_resumed_it_learns_the_same(trained: Path, tmp_path: Path):
    """Also where only the first command line named the seed: the tracks stay those of the training."""
    model = model_in(tmp_path / "model")

    class Stops(Silence):
        def on_iteration(self, record) -> None:
            trainer.stop()

    trainer = Trainer(model, listener=Stops())
    trainer.run()
    other_seed = model.job.updated(training={"seed": 9})
    Trainer(model, job=other_seed, resume=True).run()
    assert weights(model.path) == weights(trained)
    assert episodes(model.path) == episodes(trained)


@pytest.mark.usefixtures("ray_cluster")
def test_several_workers_learn_what_one_learns(trained: Path, tmp_path: Path):
    model = model_in(tmp_path / "model", workers=2)
    Trainer(model).run()
    assert weights(model.path) == weights(trained)
    assert episodes(model.path) == episodes(trained)
    assert {each.track for record in curve_with_workers(model.path) for each in record.workers} == {
        "2 tracks and 2 held out"
    }


def curve_with_workers(folder: Path):
    from hotlap.records.events import ProgressLog
    from hotlap.records.folder import Folder

    return ProgressLog(Folder(folder)).read()


@pytest.mark.parametrize("race_type", ["object_avoidance", "head_to_bot"])
def test_other_races_go_on_generated_tracks(tmp_path: Path, race_type: str):
    model = model_in(tmp_path / "model", race={"race_type": race_type}, max_iterations=1)
    assert Trainer(model).run().iterations == 1


def test_a_teacher_learns_on_generated_tracks_and_the_same_again(tmp_path: Path):
    found = []
    for name in ("one", "again"):
        model = write_model(
            tmp_path / name,
            race={"track": "generated", "generated": GENERATED},
            training={"method": "teacher", "max_minutes": 60},
            teacher={"iterations": 2, "episodes": 4},
            student={"iterations": 1, "episodes": 3, "samples": 128, "memory": 60},
            polish={"iterations": 1},
        )
        assert Course(model).run().iterations == 1
        found.append([weights(model.path / place) for place in ("teacher", "student", ".")])
    assert found[0] == found[1]


def test_it_is_evaluated_on_the_tracks_held_out_where_none_is_named(trained: Path, tmp_path: Path):
    hotlap = Hotlap(tmp_path)
    done = hotlap.call("evaluate", trained, "--laps", "2", "--json")
    found = json.loads(done.stdout)
    assert [each["track"] for each in found["tracks"]] == ["held_out_0", "held_out_1"]
    assert "on which it was never trained" in " ".join(done.stderr.split())
    one = json.loads(hotlap.call("evaluate", trained, "--track", "first_lap", "--laps", "1", "--json").stdout)
    assert one["track"] == "first_lap"
    refused = hotlap.call("evaluate", trained, trained, code=2)
    assert "Name it with --track" in " ".join(refused.stderr.split())
    with pytest.raises(ConfigError, match="an evaluation drives on one"):
        evaluate(trained)
    job = ModelFolder(trained).job
    assert evaluate(trained, track=tracks_of(job.race, seed=0).tracks[0], laps=1).num_laps == 1


def test_tracks_are_made_up_from_the_seed_of_the_training_not_from_that_of_the_file(tmp_path: Path):
    """As after `hotlap train --seed 5`, where job.toml says another."""

    def with_seed(seed: int) -> ModelFolder:
        return write_model(
            tmp_path / "model",
            race={"track": "generated", "generated": GENERATED | {"number": 1, "held_out": 0}},
            training={"seed": seed, "max_iterations": 1, "critic": "state"},
            metadata={"sensor": ["VISIBLE_STATE"], "neural_network": "DENSE_NETWORK"},  # no ground is painted
            built_in_network=True,
        )

    def driven() -> object:
        words = ("evaluate", tmp_path / "model", "--tracks", "generated", "--laps", "2", "--json")
        return json.loads(Hotlap(tmp_path).call(*words).stdout)["tracks"]

    model = with_seed(0)
    Trainer(model, job=model.job.updated(training={"seed": 5})).run()
    (track,) = tracks_of(model.job.race, seed=5).tracks
    assert [each.length for each in _tracks_of(model.path)] == [track.length]
    assert Evaluator(model).track.length == track.length
    before = driven()
    with_seed(5)
    assert driven() == before


def test_its_report_has_a_part_for_each_track(trained: Path):
    run = read_run(trained, tracks=_tracks_of(trained))
    assert {section.track.name for section in run.sections() if section.track} == {"generated_0", "generated_1"}
    assert sum(len(section.steps) for section in run.sections()) == len(run.steps)
    assert run.tracks == {0: None}
    assert not run.notes
    unknown = read_run(trained)
    assert [note for note in unknown.notes if "No known track is 1" in note] == unknown.notes


def test_named_tracks_take_turns_open_ones_too(tmp_path: Path):
    folder = tmp_path / "model"
    model = write_model(folder)
    ring = tracks_of(model.job.race, seed=0).tracks[0]
    half = Track("half", ring.center[:21], ring.inner[:21], ring.outer[:21], closed=False)
    write_route(half, folder / "half.npy")
    model = write_model(
        folder,
        race={"track": f"{folder}/*.npy"},
        hyperparameters={"num_episodes_between_training": 8},
        training={"max_iterations": 2, "eval_laps": 4},
    )
    Trainer(model).run()
    driven = episodes(folder)
    assert {each.track for each in driven if each.phase == "training"} == {"half", "ring"}
    assert {each.start for each in driven if each.track == "half"} == {0.0}
    laps = [each.track for each in driven if each.phase == "evaluation" and each.iteration == 0]
    assert laps == ["half", "ring", "half", "ring"]
    copy = copy_model(ModelFolder(folder), ModelFolder(folder).job, tmp_path / "copy")
    assert [track.name for track in tracks_of(copy.job.race, seed=0).tracks] == ["half", "ring"]


def test_doctor_names_a_track_that_is_missing(tmp_path: Path):
    model = model_in(tmp_path / "model", race={"track": "first_lap, no_such_track"})
    shown = Hotlap(tmp_path).call("doctor", model.path, code=1)
    assert "no_such_track" in shown.stdout + shown.stderr
    assert curve(model.path) == []

"""A copy of a model trains as the model does, and carries nothing of an earlier training."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_model import write_model

from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.config.template import job_toml
from hotlap.errors import RecordError, TrackError
from hotlap.jobs.model_copy import copy_model
from hotlap.tracks.catalog import load_track


@pytest.fixture
def model(tmp_path: Path) -> ModelFolder:
    return write_model(tmp_path / "model")


def test_files_travel_and_records_stay(model, tmp_path):
    """What the reward function imports or reads comes along."""
    for name in ("helper.py", "line.csv", "package/__init__.py", "package/deeper/part.py"):
        (model.path / name).parent.mkdir(parents=True, exist_ok=True)
        (model.path / name).write_text("1")
    for name in ("model/0_Step-0.ckpt", "metrics/x", ".training.lock", "curve.png", "package/__pycache__/part.pyc"):
        (model.path / name).parent.mkdir(parents=True, exist_ok=True)
        (model.path / name).touch()
    copy = copy_model(model, model.job, tmp_path / "a" / "copy")
    files = {path.relative_to(copy.path).as_posix() for path in copy.path.rglob("*") if path.is_file()}
    expected = {"reward_function.py", "model_metadata.json", "hyperparameters.json", "job.toml", "ring.npy"}
    expected |= {"helper.py", "line.csv", "package/__init__.py", "package/deeper/part.py", "tracks/ring.npy"}
    assert files == expected
    assert (copy.metadata, copy.hyperparameters) == (model.metadata, model.hyperparameters)


def test_settings_and_tracks_travel(model, tmp_path, monkeypatch):
    """Own tracks by path, by name and by direction; what every hotlap has stays a name."""
    own = tmp_path / "own"
    own.mkdir()
    for name in ("mine.npy", "ring.npy"):
        (own / name).write_bytes((model.path / "ring.npy").read_bytes())
    monkeypatch.setenv("HOTLAP_TRACKS", str(own))
    workers = [{"track": track} for track in ("ring", "mine_cw", "copper_oval", "paperclip_ccw")]
    job = Job.model_validate(model.job.model_dump() | {"workers": (*workers, {"reverse_dir": True})})
    job = job.updated(training={"seed": 7})
    before = [load_track(race.track) for race in (job.race, *job.races)]

    copy = copy_model(model, job, tmp_path / "copy")
    monkeypatch.setenv("HOTLAP_TRACKS", str(tmp_path / "nowhere"))
    (model.path / "ring.npy").unlink()
    assert [race.track for race in copy.job.races[2:4]] == ["copper_oval", "paperclip_ccw"]
    for race, track in zip((copy.job.race, *copy.job.races), before, strict=True):
        copied = load_track(race.track)
        assert (copied.ccw, copied.theme) == (track.ccw, track.theme)
        np.testing.assert_array_equal(copied.center, track.center)
    assert copy.job.training == job.training
    assert copy.job.workers[-1] == {"reverse_dir": True}


def test_a_portable_copy_is_trained_from_inside(model, tmp_path, monkeypatch):
    """It may be moved to another machine."""
    copy_model(model, model.job, tmp_path / "copy", portable=True)
    (tmp_path / "copy").rename(tmp_path / "moved")
    (model.path / "ring.npy").unlink()
    monkeypatch.chdir(tmp_path / "moved")
    moved = ModelFolder(".")
    assert not Path(moved.job.race.track).is_absolute()
    assert load_track(moved.job.race.track).name == "ring"


def test_a_copy_can_be_made_again(model, tmp_path):
    """A training that is resumed gets the files as they are now, and keeps its records."""
    copy = copy_model(model, model.job, tmp_path / "copy")
    (copy.path / "model").mkdir()
    (model.path / "reward_function.py").write_text("# new")
    (model.path / "job.toml").write_text(job_toml(model.job.updated(training={"seed": 9})))
    again = copy_model(ModelFolder(model.path), ModelFolder(model.path).job, tmp_path / "copy")
    assert again.reward_file.read_text() == "# new"
    assert again.job.training.seed == 9
    assert (copy.path / "model").is_dir()


def test_an_earlier_model_is_named_so_that_the_copy_finds_it(model, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "earlier").mkdir()
    copy = copy_model(model, model.job.updated(training={"clone_from": "earlier"}), tmp_path / "copy")
    assert copy.job.training.clone_from == str(tmp_path / "earlier")


def test_what_cannot_be_copied_is_told(model, tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match="could not be copied"):
        copy_model(model, model.job, tmp_path / "file")
    with pytest.raises(TrackError, match="no such file"):
        copy_model(model, model.job.updated(race={"track": "absent.npy"}), tmp_path / "copy")

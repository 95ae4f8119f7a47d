"""One model on many tracks: names and patterns, a row for each."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from hotlap_process import Hotlap
from tiny_model import ROUND_AND_ROUND, write_model

from hotlap.errors import TrackError
from hotlap.tracks.catalog import matching_tracks
from hotlap.tracks.route_file import write_route
from hotlap.tracks.track import Track
from hotlap.training.trainer import Trainer


@pytest.fixture(scope="module")
def driven(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model that drives laps on the ring where it was trained, beside a ring that is too wide for it."""
    folder = tmp_path_factory.mktemp("tracks")
    model = write_model(folder / "model", actions=ROUND_AND_ROUND, training={"max_iterations": 1})
    Trainer(model).run()
    angle = np.linspace(0, 2 * np.pi, 61)
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    write_route(Track("wide", 3 * unit, 2.6 * unit, 3.4 * unit, closed=True), folder / "wide.npy")
    return folder


def test_each_track_has_a_row_with_its_laps_and_where_they_ended(driven: Path, tmp_path: Path):
    patterns = f"{driven}/model/*.npy, {driven}/wide.npy"
    before = sorted(driven.rglob("*"))
    hotlap = Hotlap(tmp_path)
    words = ("evaluate", driven / "model", "--tracks", patterns, "--laps", "3")
    found = json.loads(hotlap.call(*words, "--json").stdout)
    ring, wide = found["tracks"]
    assert [ring["track"], wide["track"]] == ["ring", "wide"]
    assert (ring["num_laps"], ring["clean_rate"]["value"], ring["mistakes"]) == (3, 1.0, {})
    assert wide["clean_rate"]["value"] == 0.0
    assert sum(wide["mistakes"].values()) == 3
    table = hotlap.call(*words).stdout
    assert "At least 90 % of the laps are clean on 1 of 2 tracks." in table
    assert sorted(driven.rglob("*")) == before


def test_patterns_mean_names_and_files(driven: Path):
    assert matching_tracks("first_lap, bow_*") == ["first_lap", "bow_tie"]
    assert matching_tracks(f"{driven}/w*.npy,first_lap,first_lap") == [str(driven / "wide.npy"), "first_lap"]
    for wrong in ("nothing_*", "/nowhere/*.npy", "no_such_track", " , "):
        with pytest.raises(TrackError):
            matching_tracks(wrong)


def test_many_tracks_are_driven_by_one_model(driven: Path, tmp_path: Path):
    model = driven / "model"
    for words in ((model, model), (model, "--track", "first_lap")):
        refused = Hotlap(tmp_path).call("evaluate", *words, "--tracks", "first_lap", code=2)
        assert "--tracks drives one model" in " ".join(refused.stderr.split())

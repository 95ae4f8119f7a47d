"""Tracks that a race takes turns on: made up within limits, the same again from a seed, or named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hotlap.config.job import Job
from hotlap.config.race_settings import Generated
from hotlap.errors import ConfigError, TrackError
from hotlap.tracks.catalog import check_name, load_track
from hotlap.tracks.pool import generate_tracks, names_of, track_pool
from hotlap.tracks.route_file import write_route
from hotlap.tracks.themes import THEMES
from hotlap.tracks.track import Track

SMALL: dict[str, Any] = dict(Generated(number=12, held_out=3, length=(15.0, 25.0)))


def assert_same(one: Track, other: Track) -> None:
    assert (one.name, one.theme) == (other.name, other.theme)
    np.testing.assert_array_equal(one.center, other.center)
    np.testing.assert_array_equal(one.outer, other.outer)


def test_generated_tracks_keep_to_the_settings_and_use_them():
    """The generator keeps lengths to within 1 %."""
    tracks = generate_tracks(0, **SMALL).tracks
    lengths = np.array([track.length for track in tracks])
    widths = np.array([np.median(np.hypot(*(track.outer - track.inner).T)) for track in tracks])
    assert np.all((lengths > 0.99 * 15) & (lengths < 1.01 * 25))
    assert np.all((widths > 0.59) & (widths < 1.21))
    assert lengths.max() - lengths.min() > 5
    assert widths.max() - widths.min() > 0.3
    assert min(track.min_radius for track in tracks) >= 0.5
    assert {track.theme for track in tracks} == set(THEMES)
    assert {track.ccw for track in tracks} == {True, False}
    assert all(track.closed for track in tracks)


def test_the_same_seed_makes_the_same_tracks_and_another_makes_others():
    one, again, other = (generate_tracks(seed, **SMALL) for seed in (3, 3, 4))
    for a, b in zip(one.tracks, again.tracks, strict=True):
        assert_same(a, b)
    assert {track.length for track in one.tracks}.isdisjoint(track.length for track in other.tracks)


def test_held_out_tracks_stay_the_same_however_many_are_trained_on():
    """So trainings on few and on many tracks can be compared."""
    many, few = generate_tracks(0, **SMALL), generate_tracks(0, **SMALL | {"number": 2})
    assert [few.tracks[k].name for k in few.evaluated] == ["held_out_0", "held_out_1", "held_out_2"]
    for a, b in zip(many.evaluated, few.evaluated, strict=True):
        assert_same(many.tracks[a], few.tracks[b])
    assert [track.name for track in few.tracks[: few.num_trained]] == ["generated_0", "generated_1"]
    assert str(few) == "2 tracks and 3 held out"


def test_words_mean_one_track_or_several(tmp_path: Path):
    write_route(load_track("bow_tie"), tmp_path / "a, b.npy")
    assert str(track_pool(str(tmp_path / "a, b.npy"))) == "a, b"
    pool = track_pool("copper_*, first_lap", direction="cw")
    assert [track.name for track in pool.tracks] == ["copper_oval", "first_lap"]
    assert not any(track.ccw for track in pool.tracks)
    assert list(pool.evaluated) == [0, 1]
    assert str(pool) == "2 tracks"
    assert names_of("generated") == []
    with pytest.raises(TrackError, match="no track matches 'nowhere_"):
        track_pool("nowhere_*")


def test_a_direction_turns_generated_tracks():
    pool = track_pool("generated", direction="ccw", generated=SMALL)
    assert all(track.ccw for track in pool.tracks)


def test_no_track_takes_the_name_that_stands_for_generated_ones():
    with pytest.raises(TrackError, match="cannot name a track"):
        check_name("generated")
    with pytest.raises(TrackError, match="`hotlap tracks new` makes one"):
        load_track("generated")


def test_the_example_of_the_docs_shows_the_defaults(tmp_path: Path):
    text = (Path(__file__).parents[2] / "docs" / "tracks.md").read_text()
    (tmp_path / "job.toml").write_text(text.partition("```toml\n")[2].partition("```")[0])
    assert Job.load(tmp_path / "job.toml") == Job().updated(race={"track": "generated"})


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"width": [1.2, 0.6]}, "two numbers in order"),
        ({"length": [15, 300]}, "from 6 to 200"),
        ({"length": [8, 20]}, "length must begin at 12.5"),
        ({"number": 0}, "race.generated.number"),
    ],
)
def test_impossible_settings_are_refused(tmp_path: Path, settings: dict[str, Any], message: str):
    with pytest.raises(ConfigError, match=message):
        Job().updated(race={"generated": settings})

"""Our own tracks: the stored files are what the code makes, and they keep what designs promise."""

from __future__ import annotations

import numpy as np
import pytest
from shapely.geometry import LineString, Polygon
from track_designs import DESIGNS, Design

from hotlap.tracks import DEFAULT_TRACK, list_tracks, load_track

BY_NAME = {design.name: design for design in DESIGNS}


def test_every_design_is_stored_and_every_stored_track_designed() -> None:
    assert {entry.name for entry in list_tracks() if entry.built_in} == set(BY_NAME)
    assert len(BY_NAME) == len(DESIGNS) >= 8


@pytest.mark.parametrize("design", DESIGNS, ids=BY_NAME)
def test_stored_files_are_what_the_code_makes(design: Design) -> None:
    """Files hold whole micrometers; another machine's math library may round the last one the other way."""
    np.testing.assert_allclose(load_track(design.name).to_rows(), design.build().to_rows(), rtol=0, atol=1.5e-6)


@pytest.mark.parametrize("design", DESIGNS, ids=BY_NAME)
def test_designs_can_be_driven(design: Design) -> None:
    """Widths as drawn, no bend below 0.65 m, rows about 0.15 m apart, a valid road, and a start on a straight."""
    track = load_track(design.name)
    widths = track.width_at(track.arc)
    # Borders are chords between rows 0.15 m apart, which cut the corner by (0.15 m)² / (8 * 0.65 m) = 4 mm at most.
    assert min(design.widths) - 0.01 < widths.min()
    assert widths.max() < max(design.widths) + 0.01
    assert track.min_radius >= 0.65
    spacing = np.hypot(*np.diff(track.center, axis=0).T)
    np.testing.assert_allclose(spacing, 0.15, atol=0.002)
    if track.closed:
        road = Polygon(track.outer, [track.inner])
        assert LineString(track.inner).distance(LineString(track.outer)) > min(design.widths) - 0.02
    else:
        road = Polygon(np.vstack([track.outer, track.inner[::-1]]))
    assert road.is_valid
    # Straight: no bend of less than 30 m radius from half a meter before the line to half a meter after it, as
    # curvature reaches 0.3 m.
    assert np.abs(track.curvature_at(np.linspace(-0.2, 0.2, 9))).max() < 1 / 30


def test_default_track_suits_beginners() -> None:
    """A loop of 17 to 20 m with bends to both sides, none under 0.9 m, 0.9 to 1.07 m wide."""
    track = load_track(DEFAULT_TRACK, require_closed=True)
    assert 17.0 <= track.length <= 20.0
    assert track.min_radius >= 0.9
    widths = track.width_at(track.arc)
    assert 0.9 <= widths.min() <= widths.max() <= 1.07
    curvature = track.curvature_at(track.arc)
    assert curvature.max() > 0.5
    assert curvature.min() < -0.5


def test_the_collection_has_something_of_everything() -> None:
    """A narrow one, an open one, one of about 60 m, one clockwise."""
    tracks = [load_track(design.name) for design in DESIGNS]
    assert any(track.width_at(track.arc).max() < 0.78 for track in tracks)
    assert any(not track.closed for track in tracks)
    assert any(58 < track.length < 64 for track in tracks)
    assert any(track.closed and not track.ccw for track in tracks)

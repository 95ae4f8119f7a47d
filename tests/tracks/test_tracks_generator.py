"""Random tracks keep their promises, measured with Shapely."""

from __future__ import annotations

import numpy as np
import pytest
import shapely
from hypothesis import given, settings
from hypothesis import strategies as st
from shapely.geometry import LineString, Polygon

from hotlap.errors import TrackError
from hotlap.tracks import Track, random_track


def turn_radius(points: np.ndarray, step: int) -> float:
    """Least radius of a circle through points ``step`` before, at and after each point of a ring."""
    ring = points[:-1]
    behind, ahead = np.roll(ring, step, axis=0), np.roll(ring, -step, axis=0)
    sides = [np.hypot(*side.T) for side in (ring - behind, ahead - ring, ahead - behind)]
    one, other = ring - behind, ahead - ring
    area = 0.5 * np.abs(one[:, 0] * other[:, 1] - one[:, 1] * other[:, 0])
    return float(np.min(sides[0] * sides[1] * sides[2] / np.maximum(4 * area, 1e-9)))


def assert_keeps_promises(track: Track, *, length: float, width: float, min_radius: float, margin: float) -> None:
    center, inner, outer = (LineString(line) for line in (track.center, track.inner, track.outer))
    assert track.closed
    assert center.length == pytest.approx(length, rel=0.01)
    assert center.is_ring
    assert inner.is_ring
    assert outer.is_ring
    road = Polygon(track.outer, [track.inner])
    assert road.is_valid
    assert road.area == pytest.approx(center.length * width, rel=0.02)
    # Rows lie 0.15 m apart on the line: their chords are shorter than its arcs by less than 1 %.
    assert turn_radius(track.center, 1) > 0.98 * min_radius
    widths = shapely.distance(shapely.points(track.center), inner) + shapely.distance(
        shapely.points(track.center), outer
    )
    np.testing.assert_allclose(widths, width, atol=0.02)
    # No stretch comes near another: half a turn away along the lap, centers are a width and the margin apart.
    along = np.abs(track.arc[:-1, None] - track.arc[None, :-1])
    along = np.minimum(along, track.length - along)
    apart = np.hypot(*(track.center[:-1, None] - track.center[None, :-1]).transpose(2, 0, 1))
    assert apart[along > np.pi * min_radius + 0.15].min() > width + margin - 1e-6
    assert np.abs(track.curvature_at(np.linspace(-0.2, 0.2, 9))).max() < 0.03


@pytest.mark.parametrize("seed", range(40))
def test_promises_hold_for_many_seeds(seed: int) -> None:
    assert_keeps_promises(random_track(seed), length=20.0, width=1.0, min_radius=0.8, margin=0.3)


@settings(max_examples=40, deadline=None, derandomize=True)
@given(
    seed=st.integers(0, 2**32),
    length=st.floats(11.5, 45.0),
    width=st.floats(0.6, 1.1),
    radius=st.floats(0.7, 1.1),
    winding=st.floats(0.0, 1.0),
)
def test_promises_hold_for_many_wishes(seed: int, length: float, width: float, radius: float, winding: float) -> None:
    made = random_track(seed, length=length, width=width, min_radius=radius, margin=0.2, winding=winding)
    assert_keeps_promises(made, length=length, width=width, min_radius=radius, margin=0.2)


def test_same_seed_same_track_and_other_seed_another() -> None:
    np.testing.assert_array_equal(random_track(7).to_rows(), random_track(7).to_rows())
    one, other = random_track(7), random_track(8)
    assert one.center.shape != other.center.shape or not np.allclose(one.center, other.center)


def test_both_directions_and_both_kinds_of_bends_occur() -> None:
    tracks = [random_track(seed, length=30.0) for seed in range(12)]
    assert {track.ccw for track in tracks} == {True, False}
    for track in tracks:
        curvature = track.curvature_at(track.arc)
        assert curvature.max() > 0.1
        assert curvature.min() < -0.1


@pytest.mark.parametrize(
    ("wish", "message"),
    [
        ({"length": 5.0}, "length is 5, expected from 6 to 200 m"),
        ({"length": 6.5}, "6.5 m is too short for bends of 0.8 m radius"),
        ({"width": 0.1}, "width is 0.1, expected from 0.3 to 3 m"),
        ({"min_radius": 0.5}, "min_radius is 0.5 m, expected from 0.65 to 20 m"),
        ({"winding": 1.5}, "winding is 1.5, expected from 0 to 1"),
        ({"width": float("nan")}, "width is nan"),
    ],
)
def test_impossible_wishes_are_refused(wish: dict[str, float], message: str) -> None:
    with pytest.raises(TrackError, match=message):
        random_track(0, **wish)  # type: ignore[arg-type]
    with pytest.raises(TrackError, match="seed is -1"):
        random_track(-1)

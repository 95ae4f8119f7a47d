"""The painted ground against exact geometry."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import shapely

from hotlap.errors import TrackError
from hotlap.tracks.ground import (
    CENTER_LINE,
    EDGE_LINE,
    FIELD,
    FIELD_MARGIN,
    GREY_WEIGHTS,
    ROAD,
    bake_ground,
    paint_regions,
)
from hotlap.tracks.themes import THEMES, find_theme
from hotlap.tracks.track import Track

PLAIN = replace(THEMES["classic"], road_grain=0.0, field_grain=0.0, line_grain=0.0)


def ring(radius_x: float, radius_y: float) -> np.ndarray:
    angle = np.linspace(0.0, 2.0 * np.pi, 61)
    return np.stack([radius_x * np.cos(angle), radius_y * np.sin(angle)], axis=-1)


@pytest.fixture(scope="module")
def oval() -> Track:
    return Track("oval", ring(1.6, 1.0), ring(1.2, 0.6), ring(2.0, 1.4), True)


@pytest.fixture(scope="module")
def street() -> Track:
    x = np.linspace(0.0, 3.0, 16)
    return Track("street", *(np.stack([x, np.full(16, y)], axis=-1) for y in (0.0, 0.5, -0.5)), False)


@pytest.mark.parametrize("shape", ["oval", "street"])
def test_every_texel_has_the_class_of_the_area_it_lies_in(shape: str, request: pytest.FixtureRequest) -> None:
    """Compared away from edges: there a texel may belong to either side."""
    track = request.getfixturevalue(shape)
    ground = bake_ground(track, PLAIN, texel=0.005)
    road, edge, center = paint_regions(track, PLAIN)
    points = np.random.default_rng(0).uniform(ground.rectangle[:2], ground.rectangle[2:], size=(4000, 2))
    expected = np.full(len(points), FIELD)
    for area, label in ((road, ROAD), (edge, EDGE_LINE), (center, CENTER_LINE)):
        expected[shapely.contains_xy(area, points)] = label
    outlines = shapely.union_all([area.boundary for area in (road, edge, center)])
    clear = shapely.distance(shapely.points(points), outlines) > 0.005
    column, row = ((points - ground.origin) / ground.texel).astype(int).T
    assert clear.sum() > 3000
    np.testing.assert_array_equal(ground.labels[row, column][clear], expected[clear])


def test_lines_have_their_measures(street: Track) -> None:
    """On a straight road every line is a rectangle: 3 inches along the borders, dashes of 2 inches by 1 every 4."""
    road, edge, center = paint_regions(street, PLAIN)
    assert road.area == pytest.approx(3.0 * 1.0)
    assert edge.area == pytest.approx(2 * 3.0 * 0.0762)
    assert edge.bounds == pytest.approx((0.0, -0.5, 3.0, 0.5))
    assert center.area == pytest.approx(30 * 0.0508 * 0.0254, rel=0.01)
    assert shapely.get_num_geometries(center) == 30


def test_colors_are_those_of_the_theme_in_the_middle_of_the_field(oval: Track) -> None:
    ground = bake_ground(oval, PLAIN, texel=0.005)
    column, row = ((np.array([0.0, 0.0]) - ground.origin) / ground.texel).astype(int)
    np.testing.assert_allclose(ground.rgb[row, column], 1.055 * np.array(PLAIN.field), atol=1.0)


def test_walls_stand_around_the_road(oval: Track) -> None:
    ground = bake_ground(oval, PLAIN, texel=0.01)
    assert ground.rectangle == pytest.approx(
        (-2.0 - FIELD_MARGIN, -1.4 - FIELD_MARGIN, 2.0 + FIELD_MARGIN, 1.4 + FIELD_MARGIN)
    )


def test_coarser_levels_keep_brightness_and_cover_the_same_place(oval: Track) -> None:
    ground = bake_ground(oval, PLAIN, texel=0.005)
    levels = ground.levels(color=False)
    fine = levels[0].texels.mean()
    for level in levels:
        rows, columns, _ = level.texels.shape
        assert columns / level.scale[0] == pytest.approx(levels[0].texels.shape[1] * ground.texel)
        assert rows / level.scale[1] == pytest.approx(levels[0].texels.shape[0] * ground.texel)
        assert level.texels.mean() == pytest.approx(fine, rel=0.02)
    assert levels[-1].scale[0] < 0.1 * levels[0].scale[0]


def test_grey_is_the_weighted_sum_of_the_colors(oval: Track) -> None:
    ground = bake_ground(oval, texel=0.01)
    np.testing.assert_allclose(ground.grey, ground.rgb @ np.array(GREY_WEIGHTS), atol=0.51)


def test_baking_repeats_exactly_and_grain_follows_its_seed(oval: Track) -> None:
    first, second, other = (bake_ground(oval, texel=0.01, seed=seed) for seed in (1, 1, 2))
    np.testing.assert_array_equal(first.rgb, second.rgb)
    assert (first.rgb != other.rgb).mean() > 0.3


def test_large_tracks_get_coarser_texels_instead_of_more_memory() -> None:
    big = Track("big", ring(14.0, 8.0), ring(13.5, 7.5), ring(14.5, 8.5), True)
    ground = bake_ground(big, PLAIN)
    assert ground.texel > 0.0025
    assert ground.labels.size < 33_000_000


def test_unknown_theme_lists_the_known_ones() -> None:
    with pytest.raises(TrackError, match=r"no color theme 'plaid'.*classic"):
        find_theme("plaid")


def test_themes_keep_lines_apart_from_the_road() -> None:
    """A grey picture must still show where the road ends."""
    for theme in THEMES.values():
        road, field, line = (np.dot(color, GREY_WEIGHTS) for color in (theme.road, theme.field, theme.edge_line))
        assert abs(line - road) > 30, theme.name
        assert abs(line - field) > 10, theme.name

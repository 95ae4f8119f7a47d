"""Pictures of tracks: what is painted where."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image

from hotlap.errors import TrackError
from hotlap.tracks import Track, load_track
from hotlap.tracks.figure import describe, draw_track, draw_track_on
from hotlap.tracks.themes import THEMES


def colors_at(track: Track, points: np.ndarray) -> np.ndarray:
    """Colors (N, 3) of a drawing of the track at world points (N, 2) [m]."""
    figure = Figure(figsize=(10, 10), dpi=200)
    canvas = FigureCanvasAgg(figure)
    axes = figure.add_axes((0, 0, 1, 1))
    draw_track_on(axes, track)
    canvas.draw()
    image = np.asarray(canvas.buffer_rgba())
    x, y = axes.transData.transform(points).T
    return image[(image.shape[0] - y).astype(int), x.astype(int), :3].astype(int)


@pytest.mark.parametrize("name", ["first_lap", "paperclip", "river_run"])
@pytest.mark.parametrize("direction", ["as_is", "reversed"])
def test_road_field_and_edge_lines_are_where_the_geometry_says(name: str, direction: str) -> None:
    """Clockwise, counter-clockwise and open, driven either way: lines lie inside the borders, holes are field."""
    track = load_track(name, direction=direction)  # type: ignore[arg-type]
    theme = THEMES[track.theme]
    rows = np.arange(15, len(track.center) - 15, 7)  # clear of the start line and its arrow
    points, expected = [], []
    for border in (track.inner, track.outer):
        outward = (border - track.center)[rows]
        outward /= np.hypot(*outward.T)[:, None]
        for offset, color in {0.06: theme.field, -0.04: theme.edge_line, -0.12: theme.road}.items():
            points.append(border[rows] + offset * outward)
            expected.append(np.broadcast_to(color, (len(rows), 3)))
    seen = colors_at(track, np.concatenate(points)).reshape(6, len(rows), 3)
    # Where a line bends between rows, a pixel may be blended: nine in ten must be pure.
    pure = np.abs(seen - np.array(expected)).max(axis=2) <= 2
    assert (pure.mean(axis=1) > 0.9).all()


def test_start_line_is_checkered_and_only_there() -> None:
    """Black and white squares just after the first waypoint, plain road just before it."""
    track = load_track("copper_oval")
    x, y, yaw = (float(value) for value in track.pose_at(0.0))
    across = np.linspace(-0.3, 0.3, 40)
    forward, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    after = colors_at(track, np.array([x, y]) + 0.04 * forward + across[:, None] * left).sum(axis=1)
    assert (after > 600).sum() > 10
    assert (after < 150).sum() > 10
    before = colors_at(track, np.array([x, y]) - 0.04 * forward + across[:, None] * left)
    road = np.abs(before - np.array(THEMES[track.theme].road)).max(axis=1) <= 2
    assert road.mean() > 0.8


def test_picture_is_a_png_as_wide_as_the_track_asks(tmp_path: Path) -> None:
    """The picture keeps the scale of x and y: field and header, nothing cut."""
    for name in ("river_run", "harvest_moon"):
        draw_track(load_track(name), tmp_path / "track.png")
        with Image.open(tmp_path / "track.png") as image:
            assert image.format == "PNG"
            wide = image.width > image.height
        x_min, y_min, x_max, y_max = load_track(name).bounds
        assert wide == (x_max - x_min > y_max - y_min)


def test_description_names_the_figures() -> None:
    assert describe(load_track("copper_oval")) == (
        "17.34 m  ·  0.91 m wide  ·  tightest bend 1.49 m  ·  counter-clockwise"
    )
    assert "0.61–0.76 m wide" in describe(load_track("needle_eye"))
    assert describe(load_track("river_run")).endswith("open")


def test_unwritable_place_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(TrackError, match="picture cannot be written"):
        draw_track(load_track("copper_oval"), tmp_path / "no" / "folder.png")

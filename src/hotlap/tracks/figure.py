"""Pictures of tracks, for people."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.patches import PathPatch, Polygon
from matplotlib.path import Path as Outline
from matplotlib.patheffects import withStroke

from hotlap.errors import TrackError
from hotlap.tracks.polyline import signed_area
from hotlap.tracks.themes import RGB, THEMES, Theme
from hotlap.tracks.track import Track
from hotlap.unfinished import whole_file

PAINT, INK = "#fbfbf8", "#20242b"
DASH = 0.15  # [m] three times the real one, which no picture of a whole track could show
FIELD_MARGIN = 0.91  # [m] of field around the road


def draw_track(track: Track, path: str | Path) -> None:
    """Draw a track as a PNG: road, lines, start and direction, every tenth waypoint, and its figures in the title."""
    x_min, y_min, x_max, y_max = track.bounds
    aspect = (y_max - y_min + 2 * FIELD_MARGIN) / (x_max - x_min + 2 * FIELD_MARGIN)
    pad, head = 0.25, 1.0  # [inch]
    width = min(11.0, 10.0 / aspect)
    height = width * aspect
    figure = Figure(figsize=(width + 2 * pad, height + head + pad), dpi=130, facecolor="white")
    FigureCanvasAgg(figure)
    full_width, full_height = figure.get_size_inches()
    axes = figure.add_axes((pad / full_width, pad / full_height, width / full_width, height / full_height))
    draw_track_on(axes, track, waypoints=True)
    left, top = pad / full_width, (full_height - 0.28) / full_height
    title = track.name.replace("_", " ")
    figure.text(left, top, title, va="top", fontsize=20, fontweight="bold", color=INK)
    figure.text(left, top - 0.4 / full_height, describe(track), va="top", fontsize=10.5, color="#5b6270")
    try:
        with whole_file(path, parents=False) as file:
            figure.savefig(file, format=Path(path).suffix[1:] or None)
    except OSError as error:
        raise TrackError(f"{path}: the picture cannot be written there ({error.strerror or error}).") from error


def describe(track: Track) -> str:
    """Length, width, tightest bend and direction of a track in one line."""
    widths = track.width_at(track.arc)
    low, high = float(widths.min()), float(widths.max())
    width = f"{np.median(widths):.2f} m wide" if high - low < 0.02 else f"{low:.2f}–{high:.2f} m wide"
    radius = "no bends" if np.isinf(track.min_radius) else f"tightest bend {track.min_radius:.2f} m"
    direction = "open" if not track.closed else "counter-clockwise" if track.ccw else "clockwise"
    return f"{track.length:.2f} m  ·  {width}  ·  {radius}  ·  {direction}"


def draw_track_on(axes: Axes, track: Track, *, waypoints: bool = False, numbers_on_road: bool = False) -> None:
    """Draw a track on axes in world coordinates [m], under whatever is drawn later (z-order up to 2).

    Args:
        axes: Where to draw; they become as large as the field, with equal scales and without ticks.
        track: The track.
        waypoints: Whether every tenth waypoint is marked with its number, outside of the road.
        numbers_on_road: Whether the numbers stand on the road instead, above all that is drawn later (z-order 6).
    """
    x_min, y_min, x_max, y_max = track.bounds
    axes.set_xlim(x_min - FIELD_MARGIN, x_max + FIELD_MARGIN)
    axes.set_ylim(y_min - FIELD_MARGIN, y_max + FIELD_MARGIN)
    axes.set_aspect("equal")
    theme = THEMES[track.theme]
    axes.set_facecolor(_hex(theme.field))
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.add_patch(_area(track.road_rings, color=_hex(theme.road), zorder=1.0))
    _draw_edge_line(axes, track, theme, track.inner, on_left=track.ccw)
    _draw_edge_line(axes, track, theme, track.outer, on_left=not track.ccw)
    for dash in _dashes(track):
        axes.add_patch(_band(dash, 1.3 * theme.center_line_width, color=_hex(theme.center_line), zorder=1.2))
    _draw_start(axes, track)
    if waypoints:
        _draw_waypoints(axes, track, on_road=numbers_on_road)


def _hex(color: RGB) -> str:
    return "#" + "".join(f"{round(part):02x}" for part in color)


def _area(rings: Sequence[np.ndarray], **style: Any) -> PathPatch:
    """A filled area with holes."""
    # Outside and holes turn opposite ways, or the nonzero rule would fill the holes.
    turned = [ring if (signed_area(ring) > 0.0) == (i == 0) else ring[::-1] for i, ring in enumerate(rings)]
    path = Outline.make_compound_path(*(Outline(ring, closed=True) for ring in turned))
    return PathPatch(path, linewidth=0, **style)


def _band(line: np.ndarray, width: float, **style: Any) -> Polygon:
    """A band of a width [m] along a line; line widths of the plot would be in points, not meters."""
    return Polygon(_beside(line, 0.5 * width, closed=False, both=True), closed=True, linewidth=0, **style)


def _draw_edge_line(axes: Axes, track: Track, theme: Theme, border: np.ndarray, *, on_left: bool) -> None:
    """Painted line from a border inward."""
    width = theme.edge_line_width
    within = _beside(border, -width if on_left else width, closed=track.closed)
    band = np.concatenate([border, within[::-1]])
    axes.add_patch(Polygon(band, closed=True, color=_hex(theme.edge_line), linewidth=0, zorder=1.3))


def _beside(line: np.ndarray, offset: float, *, closed: bool, both: bool = False) -> np.ndarray:
    """The line moved to its left by ``offset`` [m]; with ``both``, around it on either side."""
    along = np.gradient(line, axis=0)
    if closed:
        along[0] = along[-1] = line[1] - line[-2]
    length = np.hypot(*along.T)
    length[length == 0.0] = 1.0
    left = np.stack([-along[:, 1], along[:, 0]], axis=1) / length[:, None]
    if both:
        return np.concatenate([line + offset * left, (line - offset * left)[::-1]])
    return line + offset * left


def _dashes(track: Track) -> list[np.ndarray]:
    count = max(1, round(track.length / (2 * DASH)))
    period = track.length / count
    return [track.point_at(np.linspace((i + 0.25) * period, (i + 0.75) * period, 4)) for i in range(count)]


def _draw_start(axes: Axes, track: Track) -> None:
    """A checkered start line across the road, and an arrow beyond it in driving direction."""
    x, y, yaw = (float(value) for value in track.pose_at(0.0))
    along, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    middle, half_width = np.array([x, y]), 0.5 * float(track.width_at(0.0)) - THEMES[track.theme].edge_line_width
    across = np.linspace(-half_width, half_width, 9)
    square = across[1] - across[0]
    for row in (0, 1):
        for i in range(8):
            corner = middle + row * square * along + across[i] * left
            sides = np.array([[0, 0], [1, 0], [1, 1], [0, 1]]) * square
            color = PAINT if (row + i) % 2 else INK
            axes.add_patch(Polygon(corner + sides @ np.stack([along, left]), color=color, linewidth=0, zorder=1.5))
    size = 0.45 * half_width
    arrow = np.array([[0, -0.22], [1.5, -0.22], [1.5, -0.7], [2.7, 0], [1.5, 0.7], [1.5, 0.22], [0, 0.22]]) * size
    tail = middle + (0.15 + 2 * square) * along
    axes.add_patch(Polygon(tail + arrow @ np.stack([along, left]), color=PAINT, linewidth=0, zorder=1.6))


def _draw_waypoints(axes: Axes, track: Track, *, on_road: bool) -> None:
    """Every tenth waypoint as a dot, with its number beside the road or beside the dot."""
    theme = THEMES[track.theme]
    ground = theme.road if on_road else theme.field
    color = INK if sum(ground) > 3 * 150 else PAINT
    halo = [withStroke(linewidth=2.2, foreground=_hex(ground))] if on_road else []
    # On loops none so near the end that it would stand on the 0.
    numbers = np.arange(0, len(track.center) - (5 if track.closed else 0), 10)
    center, outward = track.center[numbers], (track.outer - track.center)[numbers]
    outward = outward / np.hypot(*outward.T)[:, None]
    axes.scatter(center[1:, 0], center[1:, 1], s=9, color=PAINT, edgecolors=INK, linewidths=0.6, zorder=1.8)
    beside = 0.5 * (center + track.outer[numbers]) if on_road else track.outer[numbers] + 0.24 * outward
    for number, (x, y) in zip(numbers, beside, strict=True):
        text = axes.text(x, y, str(number), ha="center", va="center", fontsize=7.5, color=color)
        text.set(zorder=6 if on_road else 1.9, path_effects=halo)

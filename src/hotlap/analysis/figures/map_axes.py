"""Small maps: the track from above, or where it is not known, the places where the car was on it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from hotlap.analysis.figures.style import CARD_DPI, CARD_WIDTH, tidy
from hotlap.records.steps import Steps
from hotlap.tracks.figure import FIELD_MARGIN, draw_track_on
from hotlap.tracks.track import Track

FIELD, ROAD = "#5d6b60", "#3a3f47"  # where no track is known

_MAX_HEIGHT = 7.0  # [inch]
_SCALE_WIDTH = 0.75  # [inch] beside the map, for the scale of colors
_LEGEND_HEIGHT = 0.25  # [inch] under the map
_MIN_CELL = 0.09  # [m] the car moves about so far in a step
_NUM_CELLS = 160  # along the longer side of a map


def new_map(
    title: str, track: Track | None, steps: Steps, *, legend: bool = False, numbers_on_road: bool = False
) -> tuple[Figure, Axes]:
    """A small figure with a map and its axes in world coordinates [m].

    Args:
        title: Over it.
        track: What to draw; with every tenth waypoint numbered.
        steps: Where the car was, which is drawn if the track is not known.
        legend: Whether there will be one under the map.
        numbers_on_road: Whether the numbers stand on the road, for what is drawn beside it.
    """
    x_min, y_min, x_max, y_max = bounds = _bounds(track, steps)
    aspect = (y_max - y_min) / (x_max - x_min)
    height = min((CARD_WIDTH - _SCALE_WIDTH) * aspect + 0.5 + legend * _LEGEND_HEIGHT, _MAX_HEIGHT)
    figure = Figure(figsize=(CARD_WIDTH, height), dpi=CARD_DPI, facecolor="white")
    figure.set_layout_engine("constrained", h_pad=0.06, w_pad=0.06)
    FigureCanvasAgg(figure)
    axes = figure.subplots()
    tidy(axes, title)
    axes.grid(False)
    if track is not None:
        draw_track_on(axes, track, waypoints=True, numbers_on_road=numbers_on_road)
        return figure, axes
    axes.set_xlim(x_min, x_max)
    axes.set_ylim(y_min, y_max)
    axes.set_aspect("equal")
    axes.set_facecolor(FIELD)
    axes.set_xticks([])
    axes.set_yticks([])
    size = cell_size(bounds) * 1.5
    number = count_cells(steps.x[steps.all_wheels_on_track], steps.y[steps.all_wheels_on_track], bounds, size)
    draw_cells(axes, np.where(number > 0, 1.0, np.nan), bounds, size, ListedColormap([ROAD]), zorder=1.0)
    return figure, axes


def map_bounds(axes: Axes) -> tuple[float, float, float, float]:
    """Bounding box of a map [m]: x_min, y_min, x_max, y_max."""
    (x_min, x_max), (y_min, y_max) = axes.get_xlim(), axes.get_ylim()
    return x_min, y_min, x_max, y_max


def cell_size(bounds: tuple[float, float, float, float]) -> float:
    """Side of the cells of a heat map [m]."""
    x_min, y_min, x_max, y_max = bounds
    return max(_MIN_CELL, max(x_max - x_min, y_max - y_min) / _NUM_CELLS)


def count_cells(
    x: np.ndarray,
    y: np.ndarray,
    bounds: tuple[float, float, float, float],
    size: float,
    weights: np.ndarray | None = None,
) -> np.ndarray:
    """How many points lie in each cell, or the sum of their weights; shape (num_rows, num_columns), row 0 below."""
    x_min, y_min, x_max, y_max = bounds
    edges = [np.arange(low, high + size, size) for low, high in ((y_min, y_max), (x_min, x_max))]
    return np.histogram2d(y, x, bins=edges, weights=weights)[0]


def draw_cells(
    axes: Axes,
    cells: np.ndarray,
    bounds: tuple[float, float, float, float],
    size: float,
    colors: Colormap,
    *,
    norm: Normalize | None = None,
    zorder: float,
) -> AxesImage:
    """Draw cells as an image; NaN is transparent."""
    rows, columns = cells.shape
    x_min, y_min = bounds[:2]
    extent = (x_min, x_min + columns * size, y_min, y_min + rows * size)
    limits = axes.get_xlim(), axes.get_ylim()
    image = axes.imshow(
        np.ma.masked_invalid(cells),
        origin="lower",
        extent=extent,
        interpolation="nearest",
        cmap=colors,
        norm=norm,
        zorder=zorder,
    )
    axes.set_xlim(limits[0])
    axes.set_ylim(limits[1])
    return image


def _bounds(track: Track | None, steps: Steps) -> tuple[float, float, float, float]:
    if track is not None:
        x_min, y_min, x_max, y_max = track.bounds
    elif len(steps):
        # One car that a glitch threw far away must not shrink the map.
        x_min, x_max = np.quantile(steps.x, (0.002, 0.998)).tolist()
        y_min, y_max = np.quantile(steps.y, (0.002, 0.998)).tolist()
    else:
        x_min, y_min, x_max, y_max = 0.0, 0.0, 1.0, 1.0
    return x_min - FIELD_MARGIN, y_min - FIELD_MARGIN, x_max + FIELD_MARGIN, y_max + FIELD_MARGIN

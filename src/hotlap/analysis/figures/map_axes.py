"""Small maps: the track from above, or where it is not known, the places where the car was on it."""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.colors import Colormap, ListedColormap, Normalize
from matplotlib.figure import Figure
from matplotlib.image import AxesImage

from hotlap.analysis.figures.style import CARD_WIDTH, new_card
from hotlap.records.steps import Steps
from hotlap.tracks.figure import FIELD_MARGIN, draw_track_on
from hotlap.tracks.track import Track

_FIELD, _ROAD = "#5d6b60", "#3a3f47"  # where no track is known
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
    x_min, y_min, x_max, y_max = _bounds(track, steps)
    aspect = (y_max - y_min) / (x_max - x_min)
    height = min((CARD_WIDTH - _SCALE_WIDTH) * aspect + 0.5 + legend * _LEGEND_HEIGHT, _MAX_HEIGHT)
    figure, axes = new_card(title, height, pads=(0.06, 0.06))
    axes.grid(False)
    if track is not None:
        draw_track_on(axes, track, waypoints=True, numbers_on_road=numbers_on_road)
        return figure, axes
    axes.set_xlim(x_min, x_max)
    axes.set_ylim(y_min, y_max)
    axes.set_aspect("equal")
    axes.set_facecolor(_FIELD)
    axes.set_xticks([])
    axes.set_yticks([])
    cells = Cells(axes, scale=1.5)
    number = cells.count(steps.x[steps.all_wheels_on_track], steps.y[steps.all_wheels_on_track])
    cells.draw(np.where(number > 0, 1.0, np.nan), ListedColormap([_ROAD]), zorder=1.0)
    return figure, axes


class Cells:
    """Squares all over a map, for heat maps; arrays have shape (num_rows, num_columns), row 0 below.

    Args:
        axes: The map.
        scale: Of their size.
    """

    def __init__(self, axes: Axes, *, scale: float = 1.0) -> None:
        self._axes, self._limits = axes, (axes.get_xlim(), axes.get_ylim())
        self.size = scale * max(_MIN_CELL, *((high - low) / _NUM_CELLS for low, high in self._limits))
        """Side of a cell [m]."""
        self._x_edges, self._y_edges = (np.arange(low, high + self.size, self.size) for low, high in self._limits)

    def count(self, x: np.ndarray, y: np.ndarray, weights: np.ndarray | None = None) -> np.ndarray:
        """How many points lie in each cell, or the sum of their weights."""
        return np.histogram2d(y, x, bins=[self._y_edges, self._x_edges], weights=weights)[0]

    def draw(self, values: np.ndarray, colors: Colormap, *, norm: Normalize | None = None, zorder: float) -> AxesImage:
        """Draw the cells; NaN is transparent."""
        (x_min, _), (y_min, _) = self._limits
        rows, columns = values.shape
        image = self._axes.imshow(
            np.ma.masked_invalid(values),
            origin="lower",
            extent=(x_min, x_min + columns * self.size, y_min, y_min + rows * self.size),
            interpolation="nearest",
            cmap=colors,
            norm=norm,
            zorder=zorder,
        )
        self._axes.set_xlim(self._limits[0])
        self._axes.set_ylim(self._limits[1])
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

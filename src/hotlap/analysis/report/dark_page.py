"""Figures for a dark page: their neutral colors turned, the darker colors of their data a little lighter."""

from __future__ import annotations

import numpy as np
from matplotlib.artist import Artist
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.colors import LinearSegmentedColormap, to_hex, to_rgba
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch
from matplotlib.text import Text

from hotlap.analysis.figures.style import BEST, EVALUATION, GRAY, GRID, INK, SHARE_COLORS, UPDATE

PAPER = "#181b20"

_TURNED = {"#ffffff": PAPER, INK: "#e9ecf1", GRAY: "#a3abb9", GRID: "#2d323b"}
_TURNED |= {EVALUATION: "#4c95f5", UPDATE: "#a486ea", BEST: "#f0763a"}
_TURNED_SCALES = {
    SHARE_COLORS.name: LinearSegmentedColormap.from_list("share on dark", ["#1e242c", "#245a9e", "#5aa3f0", "#e3f0ff"])
}
_KINDS = ("color", "facecolor", "edgecolor", "markerfacecolor", "markeredgecolor")


def turn_dark(figure: Figure) -> None:
    """Repaint a figure of ours for a dark page. What lies on a map keeps its colors, for the map does."""
    maps = [axes for axes in figure.axes if to_hex(axes.get_facecolor()) != "#ffffff"]
    for artist in figure.findobj():
        if artist.axes in maps and _is_on_map(artist, artist.axes):
            continue
        if isinstance(artist, Text) and (box := artist.get_bbox_patch()) is not None:
            _turn(box, "facecolor")
        if isinstance(artist, ScalarMappable) and artist.get_cmap().name in _TURNED_SCALES:
            artist.set_cmap(_TURNED_SCALES[artist.get_cmap().name])
        for kind in _KINDS:
            _turn(artist, kind)


def _is_on_map(artist: Artist, axes: Axes) -> bool:
    beside = isinstance(artist, Text | FancyBboxPatch) and not artist.get_transform().contains_branch(axes.transData)
    return not beside


def _turn(artist: Artist, kind: str) -> None:
    getter, setter = getattr(artist, f"get_{kind}", None), getattr(artist, f"set_{kind}", None)
    if getter is None or setter is None:
        return
    value = getter()
    if isinstance(value, np.ndarray) and value.ndim == 2:  # a collection, with a color for each of its parts
        colors = [_turned(tuple(row)) for row in value]
        if any(colors):
            setter([new or tuple(row) for new, row in zip(colors, value, strict=True)])
        return
    if (isinstance(value, str) and value in ("none", "auto")) or value is None:
        return
    new = _turned(value)
    if new is not None:
        setter(new)


def _turned(color: object) -> tuple[float, float, float, float] | None:
    """The counterpart of a neutral color with its opacity; None for others."""
    rgba = to_rgba(color)  # type: ignore[arg-type]
    counterpart = _TURNED.get(to_hex(rgba))
    return (*to_rgba(counterpart)[:3], rgba[3]) if counterpart else None

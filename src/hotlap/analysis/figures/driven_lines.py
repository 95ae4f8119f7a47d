"""Driven lines on a map, colored by speed."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hotlap.analysis.figures.style import BAD, GOOD, SPEED_COLORS, color_bar, legend_below
from hotlap.analysis.read.drives import Drive


def speed_range(speeds: np.ndarray) -> Normalize:
    """Speeds [m/s] to the ends of the color scale: their range without outliers, and at least 0.2 m/s wide."""
    low, high = np.quantile(speeds, [0.02, 0.98]) if len(speeds) else (0.0, 1.0)
    return Normalize(max(0.0, min(low, high - 0.2)), max(high, low + 0.2), clip=True)


def draw_lines(figure: Figure, axes: Axes, drives: Sequence[Drive], *, scale: Normalize | None = None) -> None:
    """Draw the lines, where they start, where mistakes ended them, and the scale of colors.

    Args:
        figure: Of the axes.
        axes: A map [m].
        drives: What was driven.
        scale: Speeds [m/s] to colors; by default their own range.
    """
    pieces, speeds = zip(*(drive.segments() for drive in drives), strict=True) if drives else ((), ())
    if not sum(map(len, pieces)):
        axes.text(
            0.5, 0.5, "nothing driven", transform=axes.transAxes, ha="center", va="center", color="white", zorder=5
        )
        return
    lines, speed = np.concatenate(pieces), np.concatenate(speeds)
    scale = scale or speed_range(speed)
    # Many laps on one another must still show where most of them went.
    opacity = float(np.clip(4.0 / np.sqrt(len(drives)), 0.25, 1.0))
    collection = LineCollection(
        list(lines), array=speed, cmap=SPEED_COLORS, norm=scale, linewidths=1.5, alpha=opacity, zorder=3
    )
    collection.set_capstyle("round")
    axes.add_collection(collection, autolim=False)
    starts = [drive for drive in drives if len(drive)]
    axes.scatter(
        [drive.x[0] for drive in starts],
        [drive.y[0] for drive in starts],
        s=44,
        color=GOOD,
        edgecolors="white",
        linewidths=0.9,
        zorder=4,
        label="start",
    )
    ended = [drive for drive in drives if len(drive) and drive.status not in ("", "lap_complete", "in_progress")]
    if ended:
        axes.scatter(
            [drive.x[-1] for drive in ended],
            [drive.y[-1] for drive in ended],
            marker="X",
            s=70,
            color=BAD,
            edgecolors="white",
            linewidths=0.9,
            zorder=4,
            label=f"ended by a mistake ({len(ended)} of {len(drives)})",
        )
    legend_below(axes)
    color_bar(figure, axes, ScalarMappable(scale, SPEED_COLORS), "speed [m/s]")

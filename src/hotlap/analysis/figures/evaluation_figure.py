"""One picture of an evaluation: all driven lines on the track, where trials ended, and the lap times."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import PolyCollection
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hotlap.analysis.figures.line_figures import draw_lines, speed_range
from hotlap.analysis.figures.style import BEST, EVALUATION, INK, name_axes, new_figure, say_instead, tidy
from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.records.drives import Drive
from hotlap.tracks.figure import draw_track_on
from hotlap.tracks.track import Track


def evaluation_figure(
    track: Track,
    drives: Sequence[Drive],
    lap_times_s: Sequence[float],
    *,
    obstacles: np.ndarray | None = None,
    subtitle: str = "",
) -> Figure:
    """Draw the driven lines on the track, colored by speed, above a histogram of the lap times.

    Args:
        track: Where they drove.
        drives: All trials.
        lap_times_s: Times of the complete laps [s]; may be empty.
        obstacles: Corners of what stood on the track in all trials [m], shape (num_obstacles, 4, 2).
        subtitle: Under the figure.
    """
    height = _map_height(track, width=11, highest=11)
    histogram = 2.0 if len(lap_times_s) else 0.5
    figure = new_figure(12, height + histogram + 1.7, "Evaluation", subtitle)
    road, times = figure.subplots(2, 1, height_ratios=[height, histogram])
    draw_track_on(road, track)
    if obstacles is not None:
        road.add_collection(
            PolyCollection(list(obstacles), facecolor="#e2b06c", edgecolor=INK, zorder=2), autolim=False
        )
    draw_lines(figure, road, drives)
    _draw_lap_times(times, lap_times_s)
    return figure


def comparison_figure(track: Track, models: Sequence[tuple[str, Sequence[Drive]]], *, subtitle: str = "") -> Figure:
    """Draw the driven lines of several models on maps side by side, with the same colors for the same speeds.

    Args:
        track: Where all of them drove.
        models: Name and trials of each.
        subtitle: Under the figure.
    """
    num_columns = min(len(models), 3)
    num_rows = -(-len(models) // num_columns)
    height = _map_height(track, width=6, highest=8)
    figure = new_figure(6 * num_columns, (height + 0.9) * num_rows + 1, "Comparison", subtitle)
    maps = figure.subplots(num_rows, num_columns, squeeze=False).ravel()
    speeds = [drive.segments()[1] for _, drives in models for drive in drives]
    scale = speed_range(np.concatenate(speeds))
    for axes, (name, drives) in zip(maps, models, strict=False):
        draw_track_on(axes, track)
        draw_lines(figure, axes, drives, scale=scale)
        axes.set_title(name, loc="left", fontsize=11, color=INK)
    for axes in maps[len(models) :]:
        axes.set_axis_off()
    return figure


def _map_height(track: Track, *, width: float, highest: float) -> float:
    """How high a map so wide is [inch], with a meter around the track."""
    x_min, y_min, x_max, y_max = track.bounds
    return float(np.clip(width * (y_max - y_min + 2) / (x_max - x_min + 2), 2.5, highest))


def _draw_lap_times(axes: Axes, lap_times_s: Sequence[float]) -> None:
    tidy(axes, "Lap times")
    axes.grid(False, axis="x")
    times = np.asarray(lap_times_s, dtype=np.float64)
    if not len(times):
        say_instead(axes, "no complete lap")
        return
    # Control steps are 1/15 s apart: narrower bars would only show that.
    width = max(CONTROL_PERIOD, float(np.ptp(times)) / 40)
    edges = np.arange(times.min() - width / 2, times.max() + width, width)
    axes.hist(times, bins=list(edges), color=EVALUATION, alpha=0.85, rwidth=0.92)
    median = float(np.median(times))
    axes.axvline(median, color=BEST, linewidth=1.4)
    axes.margins(x=0.03, y=0.16)
    axes.annotate(
        f"median {median:.2f} s, fastest {times.min():.2f} s",
        (median, 1.0),
        xycoords=("data", "axes fraction"),
        xytext=(5, -3),
        textcoords="offset points",
        color=BEST,
        fontsize=9,
        fontweight="bold",
        va="top",
    )
    axes.yaxis.set_major_locator(MaxNLocator(4, integer=True))
    name_axes(axes, "seconds", "laps")

"""Bars over the iterations whose parts stand one on the other, with their names below."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hotlap.analysis.figures.style import legend, name_axes, whole_numbers
from hotlap.analysis.read.phases import bins_of


def stacked_bars(
    figure: Figure,
    axes: Axes,
    iterations: np.ndarray,
    parts: Iterable[tuple[str, str, np.ndarray]],
    *,
    max_bars: int,
) -> None:
    """Draw the means of values over iterations, from the bottom up.

    Args:
        figure: Gets the legend.
        axes: Gets the bars.
        iterations: Number of the iteration that each value belongs to, shape (num_values,).
        parts: Name, color and values, shape (num_values,), of each.
        max_bars: Where there are more iterations, a bar is the mean of several.
    """
    bins, edges = bins_of(iterations, max_bars)
    count = np.maximum(np.bincount(bins, minlength=len(edges) - 1), 1)
    centers, width = 0.5 * (edges[:-1] + edges[1:]), 0.94 * (edges[1] - edges[0])
    bottom = np.zeros(len(centers))
    for name, color, values in parts:
        heights = np.bincount(bins, values, minlength=len(count)) / count
        axes.bar(centers, heights, width=width, bottom=bottom, color=color, label=name)
        bottom += heights
    whole_numbers(axes.xaxis)
    axes.margins(x=0.01)
    axes.grid(False, axis="x")
    name_axes(axes, "iteration")
    legend(figure, *axes.get_legend_handles_labels(), loc="outside lower center", ncols=4)

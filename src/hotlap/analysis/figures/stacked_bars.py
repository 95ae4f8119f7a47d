"""Bars over the iterations whose parts stand one on the other, with their names below."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hotlap.analysis.figures.style import GRAY, name_axes, whole_numbers


def stacked_bars(figure: Figure, axes: Axes, edges: np.ndarray, parts: Iterable[tuple[str, str, np.ndarray]]) -> None:
    """Draw parts of iterations, from the bottom up.

    Args:
        figure: Gets the legend.
        axes: Gets the bars.
        edges: Between the bars, shape (num_bars + 1,), in numbers of iterations.
        parts: Name, color and heights, shape (num_bars,), of each.
    """
    centers, width = 0.5 * (edges[:-1] + edges[1:]), 0.94 * (edges[1] - edges[0])
    bottom = np.zeros(len(centers))
    for name, color, heights in parts:
        axes.bar(centers, heights, width=width, bottom=bottom, color=color, label=name)
        bottom += heights
    whole_numbers(axes.xaxis)
    axes.margins(x=0.01)
    axes.grid(False, axis="x")
    name_axes(axes, "iteration")
    figure.legend(
        *axes.get_legend_handles_labels(),
        loc="outside lower center",
        frameon=False,
        fontsize=8.5,
        labelcolor=GRAY,
        ncols=4,
    )

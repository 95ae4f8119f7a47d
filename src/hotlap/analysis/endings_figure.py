"""Why episodes end, and how far they get."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hotlap.analysis.episodes import Episodes
from hotlap.analysis.phases import bins_of, early_and_late
from hotlap.analysis.steps import STATUSES
from hotlap.analysis.style import BAD, BEST, EVALUATION, GOOD, GRAY, TRAINING, name_axes, new_card, whole_numbers
from hotlap.records.metrics import STATUS_LABELS

ENDING_COLORS = {
    "lap_complete": GOOD,
    "off_track": BAD,
    "crashed": "#8a2f6b",
    "reversed": BEST,
    "immobilized": "#c2930a",
    "time_up": "#5d7fa8",
}
_OTHER_COLOR = "#b7bec9"
_MAX_BARS = 40


def endings_figure(episodes: Episodes) -> Figure:
    """Shares of what ended the training episodes, over the iterations."""
    figure, axes = new_card("What ended the episodes")
    bins, edges = bins_of(episodes.iteration, _MAX_BARS)
    centers, width = 0.5 * (edges[:-1] + edges[1:]), edges[1] - edges[0]
    number = np.bincount(bins, minlength=len(centers))
    present = [name for name in ENDING_COLORS if np.any(episodes.status == STATUSES.index(name))]
    bottom = np.zeros(len(centers))
    shown = np.isin(episodes.status, [STATUSES.index(name) for name in present])
    parts = [(STATUS_LABELS[name], ENDING_COLORS[name], episodes.status == STATUSES.index(name)) for name in present]
    if not shown.all():
        parts.append(("Other", _OTHER_COLOR, ~shown))
    for label, color, chosen in parts:
        share = 100 * np.bincount(bins[chosen], minlength=len(centers)) / np.maximum(number, 1)
        axes.bar(centers, share, width=0.94 * width, bottom=bottom, color=color, alpha=0.85, label=label)
        bottom += share
    axes.set_ylim(0, 100)
    axes.yaxis.set_major_formatter("{x:.0f} %")
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
    return figure


def distance_figure(episodes: Episodes) -> Figure:
    """How far episodes got before they ended, early and late in the training."""
    figure, axes = new_card("How far episodes got")
    phases = early_and_late(len(episodes))
    edges = np.linspace(0, 100, 21)
    for phase, name, color in zip(phases, ("first fifth", "last fifth"), (TRAINING, EVALUATION), strict=True):
        share = 100 * np.histogram(episodes.progress[phase], edges)[0] / max(int(phase.sum()), 1)
        axes.bar(edges[:-1], share, width=5, align="edge", color=color, alpha=0.55, edgecolor=color, label=name)
    axes.xaxis.set_major_formatter("{x:.0f} %")
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.grid(False, axis="x")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=GRAY)
    name_axes(axes, "part of the lap at the end", "episodes")
    return figure

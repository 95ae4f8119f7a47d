"""Why episodes end, and how far they get."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hotlap.analysis.figures.stacked_bars import stacked_bars
from hotlap.analysis.figures.style import BAD, BEST, EVALUATION, GOOD, GRAY, TRAINING, name_axes, new_card
from hotlap.analysis.read.episodes import Episodes
from hotlap.analysis.read.phases import bins_of, early_and_late, phase_names
from hotlap.deepracer.statuses import STATUS_LABELS, STATUS_NAMES

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


def endings_figure(episodes: Episodes, *, first: int = 1) -> Figure:
    """Shares of what ended the training episodes, over the iterations.

    Args:
        episodes: Of one training.
        first: Number of the first iteration, see `first_number`.
    """
    figure, axes = new_card("What ended the episodes")
    bins, edges = bins_of(episodes.iteration + first, _MAX_BARS)
    number = np.maximum(np.bincount(bins, minlength=len(edges) - 1), 1)
    present = [name for name in ENDING_COLORS if np.any(episodes.status == STATUS_NAMES.index(name))]
    shown = np.isin(episodes.status, [STATUS_NAMES.index(name) for name in present])
    endings = [
        (STATUS_LABELS[name], ENDING_COLORS[name], episodes.status == STATUS_NAMES.index(name)) for name in present
    ]
    if not shown.all():
        endings.append(("Other", _OTHER_COLOR, ~shown))
    shares = [
        (label, color, 100 * np.bincount(bins[chosen], minlength=len(number)) / number)
        for label, color, chosen in endings
    ]
    stacked_bars(figure, axes, edges, shares)
    axes.set_ylim(0, 100)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    return figure


def distance_figure(episodes: Episodes) -> Figure:
    """How far episodes got before they ended, early and late in the training."""
    figure, axes = new_card("How far episodes got")
    phases = early_and_late(len(episodes))
    edges = np.linspace(0, 100, 21)
    for phase, name, color in zip(phases, phase_names(len(episodes)), (TRAINING, EVALUATION), strict=True):
        share = 100 * np.histogram(episodes.progress[phase], edges)[0] / max(int(phase.sum()), 1)
        axes.bar(edges[:-1], share, width=5, align="edge", color=color, alpha=0.55, edgecolor=color, label=name)
    axes.xaxis.set_major_formatter("{x:.0f} %")
    axes.yaxis.set_major_formatter("{x:.0f} %")
    axes.grid(False, axis="x")
    axes.legend(frameon=False, fontsize=8.5, labelcolor=GRAY)
    name_axes(axes, "part of the lap at the end", "episodes")
    return figure

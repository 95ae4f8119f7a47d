"""Along the track: reward, speed and mistakes by waypoint."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hotlap.analysis.figures.style import BAD, EVALUATION, GRAY, TRAINING, name_axes, new_cards, smoothed, whole_numbers
from hotlap.analysis.read.episodes import Episodes
from hotlap.analysis.read.phases import bins_of, early_and_late, phase_names, steps_early_and_late
from hotlap.records.steps import Steps

_MAX_BARS = 80


def waypoint_figure(steps: Steps, episodes: Episodes) -> Figure:
    """Mean reward of a step, mean driven speed and number of mistakes at each waypoint, early and late in training.

    Args:
        steps: Of one training on one track.
        episodes: Its episodes.
    """
    figure, axes = new_cards(["Reward of a step", "Driven speed [m/s]", "Episodes ended by a mistake"], 5.6)
    num_waypoints = int(max(steps.nearest_waypoint.max(initial=0), episodes.waypoint.max(initial=0))) + 1
    edges = bins_of(np.arange(num_waypoints), _MAX_BARS)[1]
    phases = zip(steps_early_and_late(steps), early_and_late(len(episodes)), strict=True)
    names, colors = phase_names(len(episodes)), ((TRAINING, TRAINING), (EVALUATION, BAD))
    for (chosen, phase), name, (color, bar) in zip(phases, names, colors, strict=True):
        for panel, values in ((axes[0], steps.reward), (axes[1], steps.driven_speed)):
            known = chosen & np.isfinite(values)
            course = smoothed(_means(steps.nearest_waypoint[known], values[known], num_waypoints), num_waypoints // 100)
            panel.plot(course, color=color, linewidth=1.6, label=name)
        number = np.histogram(episodes.waypoint[phase & episodes.failed], edges)[0]
        axes[2].bar(edges[:-1], number, width=np.diff(edges), align="edge", color=bar, alpha=0.75, label=name)
    for panel in axes:
        panel.legend(frameon=False, fontsize=8.5, labelcolor=GRAY, ncols=2, loc="upper right", borderaxespad=0)
        bottom, top = panel.get_ylim()
        panel.set_ylim(bottom, top + 0.18 * (top - bottom))
        panel.margins(x=0.01)
    whole_numbers(axes[2].yaxis)
    name_axes(axes[2], "waypoint")
    return figure


def _means(waypoint: np.ndarray, values: np.ndarray, num_waypoints: int) -> np.ndarray:
    number = np.bincount(waypoint, minlength=num_waypoints)
    means = np.full(num_waypoints, np.nan)
    np.divide(np.bincount(waypoint, values, minlength=num_waypoints), number, out=means, where=number > 0)
    return means

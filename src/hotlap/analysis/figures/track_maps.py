"""Heat maps of a track: what was rewarded where, how fast the car was, where it failed."""

from __future__ import annotations

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure
from scipy.ndimage import gaussian_filter

from hotlap.analysis.figures.map_axes import cell_size, count_cells, draw_cells, map_bounds, new_map
from hotlap.analysis.figures.style import INK, REWARD_COLORS, SPEED_COLORS, color_bar, legend_below
from hotlap.analysis.read.episodes import Episodes
from hotlap.analysis.read.phases import early_and_late, num_episodes, phase_names, steps_early_and_late
from hotlap.records.steps import Steps
from hotlap.tracks.track import Track

_BLUR = 0.3  # [m]
_UNDER_LINES = 1.25  # above the road and its dashes, below its white lines
_EXIT_COLORS = LinearSegmentedColormap.from_list("exits", ["#d43c3300", "#d43c33cc", "#ffb26b", "#fff2c9"])


def reward_map(steps: Steps, track: Track | None) -> Figure:
    """Mean reward of a step at each place, over the whole training."""
    return _mean_map("Reward of a step", steps, steps.reward, track, REWARD_COLORS, "reward")


def speed_map(steps: Steps, track: Track | None) -> Figure:
    """Mean driven speed at each place in the last episodes."""
    recent = steps_early_and_late(steps)[1] & np.isfinite(steps.driven_speed)
    _, late = phase_names(num_episodes(steps))
    return _mean_map(
        f"Driven speed, {late}", steps.where(recent), steps.driven_speed[recent], track, SPEED_COLORS, "m/s"
    )


def exit_map(episodes: Episodes, steps: Steps, track: Track | None) -> Figure:
    """Where mistakes ended episodes: a cloud of all, crosses for those of the last episodes.

    Args:
        episodes: Of one training.
        steps: Its steps, from which the road is drawn if the track is not known.
        track: Where it drove.
    """
    figure, axes = new_map("Where episodes ended by a mistake", track, steps, legend=True, numbers_on_road=True)
    failed = episodes.failed
    _, late = early_and_late(len(episodes))
    bounds = map_bounds(axes)
    size = cell_size(bounds)
    density = gaussian_filter(count_cells(episodes.x[failed], episodes.y[failed], bounds, size), _BLUR / size)
    if density.max() > 0:
        draw_cells(axes, density, bounds, size, _EXIT_COLORS, zorder=_UNDER_LINES)
    recent = failed & late
    axes.scatter(
        episodes.x[recent],
        episodes.y[recent],
        marker="X",
        s=34,
        linewidths=0.8,
        color=INK,
        edgecolors="white",
        zorder=3,
        label=f"mistakes of the {phase_names(len(episodes))[1]} ({recent.sum()})",
    )
    legend_below(axes)
    return figure


def _mean_map(title: str, steps: Steps, values: np.ndarray, track: Track | None, colors: Colormap, unit: str) -> Figure:
    figure, axes = new_map(title, track, steps)
    bounds = map_bounds(axes)
    size = cell_size(bounds)
    number = count_cells(steps.x, steps.y, bounds, size)
    total = count_cells(steps.x, steps.y, bounds, size, values)
    # Cells share a little with their neighbors: a single step in a cell is more noise than place.
    mean = np.full_like(total, np.nan)
    np.divide(gaussian_filter(total, 0.8), gaussian_filter(number, 0.8), out=mean, where=number > 0)
    low, high = np.nanquantile(mean, (0.02, 0.98)) if len(steps) else (0.0, 1.0)
    norm = Normalize(low, max(high, low + 1e-6))
    image = draw_cells(axes, mean, bounds, size, colors, norm=norm, zorder=_UNDER_LINES)
    color_bar(figure, axes, image, unit)
    return figure

"""Where does it leave the track? What was rewarded where, how fast the car was, where it failed."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from matplotlib.colors import Colormap, LinearSegmentedColormap, Normalize
from matplotlib.figure import Figure

from hotlap.analysis.figures.map_axes import Cells, new_map
from hotlap.analysis.figures.question import NO_TRACES, Card, Question, for_each_track, joined, tries_out
from hotlap.analysis.figures.style import (
    BAD,
    EVALUATION,
    INK,
    REWARD_COLORS,
    SPEED_COLORS,
    TRAINING,
    color_bar,
    legend_above,
    legend_below,
    name_axes,
    new_cards,
    smoothed,
    whole_numbers,
)
from hotlap.analysis.read.episodes import Episodes
from hotlap.analysis.read.phases import bins_of, early_and_late, num_episodes, phase_names, steps_early_and_late
from hotlap.analysis.read.run_data import Run, Section
from hotlap.records.steps import Steps
from hotlap.tracks.track import Track

_BLUR = 0.3  # [m]
_UNDER_LINES = 1.25  # above the road and its dashes, below its white lines
_EXIT_COLORS = LinearSegmentedColormap.from_list("exits", ["#d43c3300", "#d43c33cc", "#ffb26b", "#fff2c9"])
_MAX_BARS = 80
_FEWEST = 5  # mistakes: fewer show no place
_WINDOW = 0.1  # of the waypoints


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


def _mean_map(title: str, steps: Steps, values: np.ndarray, track: Track | None, colors: Colormap, unit: str) -> Figure:
    figure, axes = new_map(title, track, steps)
    cells = Cells(axes)
    number, total = cells.count(steps.x, steps.y), cells.count(steps.x, steps.y, values)
    # Cells share a little with their neighbors: a single step in a cell is more noise than place.
    mean = np.full_like(total, np.nan)
    np.divide(_blurred(total, 0.8), _blurred(number, 0.8), out=mean, where=number > 0)
    low, high = np.nanquantile(mean, (0.02, 0.98)) if len(steps) else (0.0, 1.0)
    image = cells.draw(mean, colors, norm=Normalize(low, max(high, low + 1e-6)), zorder=_UNDER_LINES)
    color_bar(figure, axes, image, unit)
    return figure


def exit_map(episodes: Episodes, steps: Steps, track: Track | None) -> Figure:
    """Where mistakes ended episodes: a cloud of all, crosses for those of the last episodes.

    Args:
        episodes: Of one training.
        steps: Its steps, from which the road is drawn if the track is not known.
        track: Where it drove.
    """
    figure, axes = new_map("Where episodes ended by a mistake", track, steps, legend=True, numbers_on_road=True)
    cells, failed = Cells(axes), episodes.failed
    density = _blurred(cells.count(episodes.x[failed], episodes.y[failed]), _BLUR / cells.size)
    if density.max() > 0:
        cells.draw(density, _EXIT_COLORS, zorder=_UNDER_LINES)
    recent = failed & early_and_late(len(episodes))[1]
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
            number = np.bincount(steps.nearest_waypoint[known], minlength=num_waypoints)
            means = np.full(num_waypoints, np.nan)
            total = np.bincount(steps.nearest_waypoint[known], values[known], minlength=num_waypoints)
            np.divide(total, number, out=means, where=number > 0)
            panel.plot(smoothed(means, num_waypoints // 100), color=color, linewidth=1.6, label=name)
        number = np.histogram(episodes.waypoint[phase & episodes.failed], edges)[0]
        axes[2].bar(edges[:-1], number, width=np.diff(edges), align="edge", color=bar, alpha=0.75, label=name)
    for panel in axes:
        legend_above(panel, 2)
        bottom, top = panel.get_ylim()
        panel.set_ylim(bottom, top + 0.18 * (top - bottom))
        panel.margins(x=0.01)
    whole_numbers(axes[2].yaxis)
    name_axes(axes[2], "waypoint")
    return figure


@for_each_track
def _cards(run: Run, section: Section) -> Iterator[Card]:
    steps, episodes, track = section.steps, section.episodes, section.track
    yield Card("exits", partial(exit_map, episodes, steps, track), _exit_words(episodes, numbered=track is not None))
    yield Card(
        "reward_map",
        partial(reward_map, steps, track),
        "Mean reward of a step at each place, over all training episodes. The bright band is where the reward "
        "function wants the car to be; if it is not where you want the car, mend the reward.",
    )
    yield Card(
        "speed_map",
        partial(speed_map, steps, track),
        "Mean speed actually driven at each place in the last episodes. It should be high on straights and lower "
        "before bends, not behind them.",
    )
    waypoints = joined(
        "Reward, speed and mistakes from waypoint to waypoint: gray the first episodes, color the last.",
        episodes.failed.any() and "A dip of the reward where red bars stand shows the place to work on.",
    )
    yield Card("waypoints", partial(waypoint_figure, steps, episodes), waypoints)


def _exit_words(episodes: Episodes, *, numbered: bool) -> str:
    """``numbered`` says whether waypoints have their numbers on the map."""
    waypoints = numbered and "Numbers are waypoints."
    if not episodes.failed.any():
        return joined("No mistake ended a training episode, so there is nothing to mark.", waypoints)
    _, late = early_and_late(len(episodes))
    return joined(
        "Where a mistake ended training episodes: the brighter the cloud, the more of them over the whole training.",
        "Crosses are those of the last episodes: where it fails now."
        if episodes.failed[late].any()
        else "None of the last episodes is among them, or there would be crosses.",
        waypoints,
    )


def _finding(run: Run) -> str:
    sections = run.sections()
    if len(sections) != 1:
        return ""
    episodes = sections[0].episodes
    _, late = early_and_late(len(episodes))
    exits, total = episodes.waypoint[late & episodes.failed], int(late.sum())
    if total < _FEWEST:
        return ""
    how_many = "None" if not len(exits) else "All" if len(exits) == total else len(exits)
    ended = f"{how_many} of the last {total} training episodes ended by a mistake"
    if not len(exits):
        return f"{ended}."
    why = tries_out(evaluated=any(record.evaluation for record in run.iterations))
    if len(exits) < _FEWEST:
        return f"{ended}. {why}"
    num_waypoints = int(run.steps.nearest_waypoint.max()) + 1
    number = np.bincount(exits, minlength=num_waypoints)
    width = max(1, round(_WINDOW * num_waypoints))
    around = np.cumsum(np.concatenate([[0], number, number[:width]]))
    inside = around[width:] - around[:-width]
    begin = int(np.argmax(inside[:num_waypoints]))
    end = (begin + width - 1) % num_waypoints
    share = 100 * inside[begin] / len(exits)
    return f"{ended}, {share:.0f} % of these between waypoints {begin} and {end}, a tenth of the track. {why}"


QUESTION = Question("Where does it leave the track?", "track", [_cards], missing=NO_TRACES, finding=_finding)


def _blurred(values: np.ndarray, sigma: float) -> np.ndarray:
    """Smoothed with a Gaussian of ``sigma`` cells."""
    from scipy.ndimage import gaussian_filter  # a learning curve, which has no map, need not wait for it

    return gaussian_filter(values, sigma)

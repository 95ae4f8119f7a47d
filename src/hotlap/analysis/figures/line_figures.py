"""Which line does it drive? The fastest laps and the newest ones, colored by driven speed."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import Normalize
from matplotlib.figure import Figure

from hotlap.analysis.figures.map_axes import new_map
from hotlap.analysis.figures.question import NO_TRACES, Card, Question, for_each_run, for_each_track, joined
from hotlap.analysis.figures.style import BAD, GOOD, SPEED_COLORS, color_bar, legend_below
from hotlap.analysis.read.episodes import Episodes
from hotlap.analysis.read.run_data import Run, Section
from hotlap.deepracer.statuses import STATUS_NAMES
from hotlap.records.drives import Drive
from hotlap.records.steps import Steps
from hotlap.tracks.track import Track

_MANY = 200  # laps of an evaluation that are drawn


def best_laps_figure(steps: Steps, episodes: Episodes, track: Track | None, *, number: int = 5) -> Figure:
    """The fastest complete laps, or where there is none, the episodes that got farthest.

    Args:
        steps: Of one training or evaluation on one track.
        episodes: Its episodes.
        track: None if it is not known.
        number: How many.
    """
    complete = episodes.complete
    if complete.any():
        order = np.lexsort((episodes.seconds, ~complete))[: min(number, int(complete.sum()))]
        title = "The fastest lap" if len(order) == 1 else f"The {len(order)} fastest laps"
    else:
        order = np.argsort(-episodes.progress, kind="stable")[:number]
        title = "No lap of training complete yet: the longest drives"
    return _map_of(title, steps, episodes.where(order), track)


def last_laps_figure(
    steps: Steps, episodes: Episodes, track: Track | None, *, number: int = 10, title: str = ""
) -> Figure:
    """The newest episodes, whatever became of them; see `best_laps_figure`."""
    last = np.arange(len(episodes))[-number:]
    return _map_of(title or f"The last {len(last)} episodes", steps, episodes.where(last), track)


def _map_of(title: str, steps: Steps, episodes: Episodes, track: Track | None) -> Figure:
    figure, axes = new_map(title, track, steps, legend=True)
    draw_lines(figure, axes, drives_of(steps, episodes))
    return figure


def drives_of(steps: Steps, episodes: Episodes) -> list[Drive]:
    """Episodes as drives with their driven speed; ``episodes`` may be some of those of ``steps``."""
    drives = []
    for first, num_steps, status in zip(episodes.first, episodes.num_steps, episodes.status, strict=True):
        rows = slice(first, first + num_steps)
        speed = steps.driven_speed[rows]
        known = np.flatnonzero(np.isfinite(speed))
        at_ends = np.interp(np.arange(num_steps), known, speed[known]) if len(known) else np.zeros(num_steps)
        drives.append(
            Drive(
                x=steps.x[rows],
                y=steps.y[rows],
                yaw=np.deg2rad(steps.heading[rows]),
                speed=at_ends,
                steer=steps.steering_angle[rows],
                progress=steps.progress[rows],
                time=steps.time[rows] - steps.time[first],
                status=STATUS_NAMES[status],
            )
        )
    return drives


def speed_range(speeds: np.ndarray) -> Normalize:
    """Speeds [m/s] to the ends of the color scale: their range without outliers, and at least 0.2 m/s wide."""
    low, high = np.quantile(speeds, [0.02, 0.98]) if len(speeds) else (0.0, 1.0)
    return Normalize(max(0.0, min(low, high - 0.2)), max(high, low + 0.2), clip=True)


def speed_colors(speeds: np.ndarray) -> Callable[[float], tuple[int, int, int]]:
    """The color of each speed [m/s] where lines were driven at these speeds."""
    scale = speed_range(speeds)

    def color_of(speed: float) -> tuple[int, int, int]:
        red, green, blue, _ = SPEED_COLORS(float(scale(speed)))
        return round(255 * red), round(255 * green), round(255 * blue)

    return color_of


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
    starts = [(drive.x[0], drive.y[0]) for drive in drives if len(drive)]
    _mark(axes, starts, color=GOOD, s=44, label="start")
    mistakes = [drive for drive in drives if len(drive) and drive.status not in ("", "lap_complete", "in_progress")]
    if mistakes:
        label = f"ended by a mistake ({len(mistakes)} of {len(drives)})"
        _mark(axes, [(drive.x[-1], drive.y[-1]) for drive in mistakes], color=BAD, s=70, marker="X", label=label)
    legend_below(axes)
    color_bar(figure, axes, ScalarMappable(scale, SPEED_COLORS), "speed [m/s]")


def _mark(axes: Axes, points: Sequence[tuple[float, float]], **looks: object) -> None:
    x, y = zip(*points, strict=True)
    axes.scatter(x, y, edgecolors="white", linewidths=0.9, zorder=4, **looks)  # type: ignore[arg-type]


@for_each_track
def _training(run: Run, section: Section) -> Iterator[Card]:
    driven = section.steps, section.episodes, section.track
    best_laps = joined(
        "The fastest complete laps of the training, colored by driven speed. A green dot marks where each starts."
        if section.episodes.complete.any()
        else "No training episode completed the lap, so these are the ones that got farthest, colored by driven "
        "speed. A green dot marks where each starts, a cross a mistake that ended it.",
        "Smooth lines near the inside of bends are fast ones; a zigzag costs time.",
    )
    yield Card("best_laps", partial(best_laps_figure, *driven), best_laps)
    last_laps = (
        "The newest training episodes, whatever became of them, colored by driven speed. A green dot marks where each "
        "starts, a cross a mistake that ended it. Lines that lie close together show a car that knows what it wants, "
        "a wide bundle one that still tries things out."
    )
    yield Card("last_laps", partial(last_laps_figure, *driven), last_laps)


@for_each_run
def _newest_evaluation(run: Run) -> Iterator[Card]:
    if not run.evaluations:
        return
    last = run.evaluations[-1]
    num_trials = len(last.episodes)
    draw = partial(last_laps_figure, last.steps, last.episodes, last.track, number=_MANY, title="The newest evaluation")
    which = "All trials" if num_trials <= _MANY else f"The last {_MANY} of {num_trials} trials"
    words = (
        f"{which} of the newest evaluation, colored by driven speed. A green dot marks where each starts, a cross a "
        "mistake that ended it."
    )
    yield Card("evaluation", draw, words)


QUESTION = Question("Which line does it drive?", "lines", [_training, _newest_evaluation], missing=NO_TRACES)

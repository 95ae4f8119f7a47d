"""Which lines it drives: the fastest laps and the newest ones, colored by driven speed."""

from __future__ import annotations

import numpy as np
from matplotlib.figure import Figure

from hotlap.analysis.figures.driven_lines import draw_lines
from hotlap.analysis.figures.map_axes import new_map
from hotlap.analysis.read.drives import Drive
from hotlap.analysis.read.episodes import Episodes
from hotlap.deepracer.statuses import STATUS_NAMES
from hotlap.records.steps import Steps
from hotlap.tracks.track import Track


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
    return _paths(title, steps, episodes.where(order), track)


def last_laps_figure(
    steps: Steps, episodes: Episodes, track: Track | None, *, number: int = 10, title: str = ""
) -> Figure:
    """The newest episodes, whatever became of them; see `best_laps_figure`."""
    last = np.arange(len(episodes))[-number:]
    return _paths(title or f"The last {len(last)} episodes", steps, episodes.where(last), track)


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


def _paths(title: str, steps: Steps, episodes: Episodes, track: Track | None) -> Figure:
    figure, axes = new_map(title, track, steps, legend=True)
    draw_lines(figure, axes, drives_of(steps, episodes))
    return figure

"""Which trials of an evaluation are filmed, and their films."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Literal

import numpy as np

from hotlap.envs.race import RaceConfig
from hotlap.evaluation.laps import lap_steps
from hotlap.evaluation.replay import Replay, trials_of
from hotlap.evaluation.statistics import EvaluationReport
from hotlap.records.drives import Drive
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.unfinished import scratch_folder


def trials_to_film(report: EvaluationReport, which: Literal["all", "first"] | int) -> range:
    """Numbers of trials, from 0: all, so many, or the first clean one; without any, the one that got farthest."""
    laps = report.laps
    if which == "all":
        return range(len(laps))
    if isinstance(which, int):
        return range(min(which, len(laps)))
    best = max(range(len(laps)), key=lambda number: (laps[number].clean, laps[number].completion_percentage))
    return range(best, best + 1)


def film_trials(
    config: RaceConfig,
    episodes: Sequence[PlayedEpisode],
    trials: range,
    *,
    on_frame: Callable[[int, int], None],
) -> Iterator[tuple[int, Mapping[str, Path]]]:
    """Film trials, one after the other.

    Args:
        config: The race.
        episodes: Of the evaluation, all of them.
        trials: Numbers of the laps to film, from 0 and counted over all episodes.
        on_frame: Called with (steps filmed, steps in all).

    Yields:
        The number of each trial and its films by name; the files are gone when the next is asked for.

    Raises:
        RecordError: If a film cannot be written.
    """
    # These load Matplotlib.
    from hotlap.analysis.figures.line_figures import speed_colors
    from hotlap.film.films import film_trial, pictures

    replay = Replay(config)
    track = replay.race.scene.tracks[0]
    first = 0
    chosen: list[tuple[PlayedEpisode, list[tuple[int, range, Drive]]]] = []
    for episode in episodes:
        drives = trials_of(episode, first + 1, track.name)
        if config.reward is None:
            drives = [replace(drive, reward=math.nan) for drive in drives]
        numbered = zip(itertools.count(first), lap_steps(episode.steps), drives)
        parts = [part for part in numbered if part[0] in trials]
        first += len(drives)
        if parts:
            chosen.append((episode, parts))
    filmed = [drive for _, parts in chosen for *_, drive in parts]
    # A color means the same speed in all of them.
    ways = pictures(track, speed_colors(np.concatenate([drive.speed for drive in filmed] or [np.zeros(1)])))
    num_steps, count = sum(map(len, filmed)), itertools.count(1)

    def count_on() -> None:
        on_frame(next(count), num_steps)

    for episode, parts in chosen:
        shots = replay.shots(episode, range(parts[0][1].start, parts[-1][1].stop))
        for number, _, drive in parts:
            with scratch_folder() as folder:
                yield number, film_trial(folder, ways, drive, shots, on_frame=count_on)

"""Which trials of an evaluation are filmed, and their films."""

from __future__ import annotations

import itertools
import tempfile
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Literal

from hotlap.analysis.film.films import film_trial, pictures
from hotlap.envs.race import RaceConfig
from hotlap.evaluation.laps import lap_steps
from hotlap.evaluation.replay import Replay, trials_of
from hotlap.evaluation.statistics import EvaluationReport
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.tracks.track import Track


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
    track: Track,
    episodes: Sequence[PlayedEpisode],
    trials: range,
    *,
    on_frame: Callable[[int, int], None],
) -> Iterator[tuple[int, Mapping[str, Path]]]:
    """Film trials, one after the other.

    Args:
        config: The race.
        track: Where it is.
        episodes: Of the evaluation, all of them.
        trials: Numbers of the laps to film, from 0 and counted over all episodes.
        on_frame: Called with (steps filmed, steps in all).

    Yields:
        The number of each trial and its films by name; the files are gone when the next is asked for.

    Raises:
        RecordError: If a film cannot be written.
    """
    chosen = []
    first = 0
    for episode in episodes:
        drives = trials_of(episode, first + 1, track.name)
        numbered = zip(itertools.count(first), lap_steps(episode), drives)
        chosen += [(episode, *part) for part in numbered if part[0] in trials]
        first += len(drives)
    ways = pictures(track, [drive for *_, drive in chosen])
    num_steps = sum(len(drive) for *_, drive in chosen)
    count = itertools.count(1)
    replay = Replay(config)
    for episode, group in itertools.groupby(chosen, key=lambda part: part[0]):
        parts = list(group)
        shots = replay.shots(episode, range(parts[0][2].start, parts[-1][2].stop))
        for _, number, _, drive in parts:
            with tempfile.TemporaryDirectory(prefix="hotlap-") as folder:
                yield (
                    number,
                    film_trial(Path(folder), ways, drive, shots, on_frame=lambda: on_frame(next(count), num_steps)),
                )

"""How do the workers compare, each perhaps on its own track?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hotlap.analysis.figures.course_axes import Records, draw_courses, steps_axis, steps_of, values_of
from hotlap.analysis.figures.question import Card, Question, for_each_run
from hotlap.analysis.figures.style import MODELS, new_cards, percent_axis
from hotlap.analysis.read.run_data import Run
from hotlap.records.events import IterationRecord, WorkerSummary


def workers_figure(records: Sequence[IterationRecord], names: dict[int, str] | None = None) -> Figure:
    """Completion and reward of the training episodes of each worker, over environment steps.

    More workers than there are colors are gathered by their track.

    Args:
        records: Of a training with several workers.
        names: What to call a worker's track where the records do not say.
    """
    figure, axes = new_cards(["Completion in training, by worker", "Reward per episode, by worker"], 5.2)
    percent_axis(axes[0])
    groups = _groups(records, names or {})
    _draw(axes[0], records, groups, lambda worker: worker.completion_mean)
    _draw(axes[1], records, groups, lambda worker: worker.reward_mean)
    steps_axis(axes[1], {"": records})
    return figure


def _groups(records: Records, names: dict[int, str]) -> dict[str, set[int]]:
    """Workers by the name of their curve."""
    tracks = {worker.worker: worker.track for record in records for worker in record.workers}
    tracks = {number: names.get(number, track) or "" for number, track in sorted(tracks.items())}
    if len(tracks) <= len(MODELS):
        return {f"{number} {track}".strip(): {number} for number, track in tracks.items()}
    groups: dict[str, set[int]] = {}
    for number, track in tracks.items():
        groups.setdefault(track, set()).add(number)
    return groups


def _draw(
    axes: Axes, records: Records, groups: dict[str, set[int]], value: Callable[[WorkerSummary], float | None]
) -> None:
    def mean(workers: set[int], record: IterationRecord) -> float | None:
        known = [value(worker) for worker in record.workers if worker.worker in workers]
        numbers = [each for each in known if each is not None and np.isfinite(each)]
        return float(np.mean(numbers)) if numbers else None

    courses = [
        (steps_of(records), values_of(records, partial(mean, workers)), color, name)
        for color, (name, workers) in zip(MODELS, groups.items(), strict=False)
    ]
    draw_courses(axes, courses)


@for_each_run
def _cards(run: Run) -> Iterator[Card]:
    if any(record.workers for record in run.iterations):
        names = {worker: track.name for worker, track in run.tracks.items() if track is not None}
        words = (
            "Training episodes of each worker by itself, or of many workers by their track. Workers on the same track "
            "should lie together; on different tracks the lowest curve is the track that needs more practice."
        )
        yield Card("workers", partial(workers_figure, run.iterations, names), words)


QUESTION = Question("How do the workers compare?", "workers", [_cards])

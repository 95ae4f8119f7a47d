"""Several workers, each perhaps on its own track: how each of them gets on."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from matplotlib.figure import Figure

from hotlap.analysis.figures.progress_panels import draw_course, label_courses, steps_axis, steps_of
from hotlap.analysis.figures.style import MODELS, new_cards
from hotlap.records.events import IterationRecord, WorkerSummary


def workers_figure(records: Sequence[IterationRecord], names: dict[int, str] | None = None) -> Figure:
    """Completion and reward of the training episodes of each worker, over environment steps.

    More workers than there are colors are gathered by their track.

    Args:
        records: Of a training with several workers.
        names: What to call a worker's track where the records do not say.
    """
    figure, axes = new_cards(["Completion in training, by worker", "Reward per episode, by worker"], 5.2)
    axes[0].set_ylim(-3, 103)
    axes[0].yaxis.set_major_formatter("{x:.0f} %")
    groups = _groups(records, names or {})
    steps = steps_of(records)
    values: tuple[Callable[[WorkerSummary], float | None], ...]
    values = (lambda worker: worker.completion_mean, lambda worker: worker.reward_mean)
    for panel, value in zip(axes, values, strict=True):
        ends = []
        for color, (name, workers) in zip(MODELS, groups.items(), strict=False):
            ends.append(draw_course(panel, steps, _means(records, workers, value), color, name))
        label_courses(panel, ends)
    steps_axis(axes[-1], {"": records})
    return figure


def _groups(records: Sequence[IterationRecord], names: dict[int, str]) -> dict[str, set[int]]:
    """Workers by the name of their curve."""
    tracks = {worker.worker: worker.track for record in records for worker in record.workers}
    tracks = {number: names.get(number, track) or "" for number, track in sorted(tracks.items())}
    if len(tracks) <= len(MODELS):
        return {f"{number} {track}".strip(): {number} for number, track in tracks.items()}
    groups: dict[str, set[int]] = {}
    for number, track in tracks.items():
        groups.setdefault(track, set()).add(number)
    return groups


def _means(
    records: Sequence[IterationRecord], workers: set[int], value: Callable[[WorkerSummary], float | None]
) -> np.ndarray:
    means = np.full(len(records), np.nan)
    for i, record in enumerate(records):
        known = [value(worker) for worker in record.workers if worker.worker in workers]
        numbers = [each for each in known if each is not None and np.isfinite(each)]
        if numbers:
            means[i] = np.mean(numbers)
    return means

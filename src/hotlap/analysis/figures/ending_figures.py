"""Why do episodes end, and how far do they get?"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import numpy as np
from matplotlib.figure import Figure

from hotlap.analysis.figures.question import NO_TRACES, Card, Question, for_each_run, joined
from hotlap.analysis.figures.stacked_bars import stacked_bars
from hotlap.analysis.figures.style import BAD, BEST, EVALUATION, GOOD, TRAINING, legend, name_axes, new_card
from hotlap.analysis.read.episodes import Episodes
from hotlap.analysis.read.phases import early_and_late, first_number, phase_names
from hotlap.analysis.read.run_data import Run
from hotlap.deepracer.statuses import STATUS_LABELS, STATUS_NAMES

_ENDINGS = {
    "lap_complete": (GOOD, "“Lap complete”, the green part, should grow."),
    "off_track": (BAD, "“Off track” means that all four wheels left the road."),
    "crashed": ("#8a2f6b", "“Crashed” means that it hit something."),
    "reversed": (BEST, "“Reversed” means that it drove the wrong way."),
    "immobilized": ("#c2930a", "“Immobilized” means that it stood still."),
    "time_up": ("#5d7fa8", "“Time Up” means that it was too slow."),
}
"""Color and meaning of each ending."""
_OTHER_COLOR = "#b7bec9"
_MAX_BARS = 40


def endings_figure(episodes: Episodes, *, first: int = 1) -> Figure:
    """Shares of what ended the training episodes, over the iterations.

    Args:
        episodes: Of one training.
        first: Number of the first iteration, see `first_number`.
    """
    figure, axes = new_card("What ended the episodes")
    parts = [(STATUS_LABELS[name], _ENDINGS[name][0], _ended_by(episodes, name)) for name in _present(episodes)]
    other = ~np.isin(episodes.status, [STATUS_NAMES.index(name) for name in _present(episodes)])
    if other.any():
        parts.append(("Other", _OTHER_COLOR, other))
    percents = [(label, color, 100 * ended) for label, color, ended in parts]
    stacked_bars(figure, axes, episodes.iteration + first, percents, max_bars=_MAX_BARS)
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
    legend(axes)
    name_axes(axes, "part of the lap at the end", "episodes")
    return figure


def _ended_by(episodes: Episodes, name: str) -> np.ndarray:
    return episodes.status == STATUS_NAMES.index(name)


def _present(episodes: Episodes) -> list[str]:
    return [name for name in _ENDINGS if _ended_by(episodes, name).any()]


@for_each_run
def _cards(run: Run) -> Iterator[Card]:
    if not len(run.episodes):
        return
    present = _present(run.episodes)
    endings = joined(
        "What ended the training episodes, as shares of those of an iteration.",
        "lap_complete" not in present and "None of them ended with a complete lap.",
        *(_ENDINGS[name][1] for name in present),
    )
    draw = partial(endings_figure, run.episodes, first=first_number(run.iterations))
    yield Card("endings", draw, endings)
    distances = (
        "How far training episodes got from where they started: gray the first ones, blue the last. Bars should move "
        "to the right. Where all episodes start at the same place, a peak below 100 % is a place that it does not get "
        "past."
    )
    yield Card("distances", partial(distance_figure, run.episodes), distances)


def _finding(run: Run) -> str:
    """Only if there is more than one reason."""
    episodes = run.episodes
    _, late = early_and_late(len(episodes))
    reasons = np.bincount(episodes.status[late & episodes.failed], minlength=len(STATUS_NAMES))
    numbers = {name: int(reasons[STATUS_NAMES.index(name)]) for name in STATUS_LABELS}
    found = sorted((name for name in numbers if numbers[name]), key=lambda name: -numbers[name])
    if len(found) < 2:
        return ""
    parts = [f"{numbers[name]} × {STATUS_LABELS[name].lower()}" for name in found]
    return f"Mistakes of the last {late.sum()} training episodes: {', '.join(parts)}."


QUESTION = Question("Why do episodes end?", "endings", [_cards], missing=NO_TRACES, finding=_finding)

"""How a training went on, as panels: reward, completion, clean laps and lap times over environment steps.

A panel draws one model, with its training and its evaluations, or compares several by their evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hotlap.analysis.figures.style import (
    BEST,
    EVALUATION,
    GRAY,
    MODELS,
    TRAINING,
    label_ends,
    name_axes,
    smoothed,
    thousands,
)
from hotlap.records.events import EvaluationSummary, IterationRecord

Models = Mapping[str, Sequence[IterationRecord]]
"""Records of trainings by the name of the model, in order; as many models as there are colors."""

FEW = 8  # points of a curve up to which it is not smoothed

_Value = Callable[[IterationRecord], float | None]


def draw_reward(axes: Axes, models: Models) -> None:
    """Mean reward of an episode."""
    _draw_courses(axes, models, lambda record: record.reward_mean, lambda summary: summary.reward_mean)


def draw_completion(axes: Axes, models: Models) -> None:
    """Mean part of the lap until the first mistake, and where the first lap was complete."""
    axes.set_ylim(-3, 103)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    if len(models) == 1:
        _mark_first_lap(axes, *models.values())
    _draw_courses(axes, models, lambda record: record.completion_mean, lambda summary: summary.completion_mean)


def draw_clean_rate(axes: Axes, models: Models) -> None:
    """Share of the laps of evaluations that were completed without a mistake."""
    axes.set_ylim(-3, 103)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    _draw_courses(axes, models, None, lambda summary: 100 * summary.clean_rate)
    if not has_evaluations(models):
        axes.text(0.5, 0.5, "no evaluation", transform=axes.transAxes, ha="center", color=GRAY)


def draw_lap_times(axes: Axes, models: Models) -> None:
    """Times of complete laps: their median in evaluation, the fastest, and the fastest in training."""
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    if len(models) > 1:
        _draw_courses(axes, models, None, lambda summary: summary.lap_time_median_s)
    else:
        _draw_lap_times_of_one(axes, *models.values())
    trained, evaluated = has_lap_times(models)
    if not (evaluated or (trained and len(models) == 1)):
        axes.text(0.5, 0.5, "no complete lap yet", transform=axes.transAxes, ha="center", color=GRAY)
        axes.set_yticks([])


def has_evaluations(models: Models) -> bool:
    """Whether evaluations within a training are recorded."""
    return any(record.evaluation for records in models.values() for record in records)


def has_lap_times(models: Models) -> tuple[bool, bool]:
    """Whether a lap was complete, and its time is known, in training and in evaluation."""
    records = [record for each in models.values() for record in each]
    evaluations = [record.evaluation for record in records if record.evaluation]
    return (
        any(record.lap_time_best_s is not None for record in records),
        any(evaluation.lap_time_median_s is not None for evaluation in evaluations),
    )


def mark_best(axes: Axes, models: Models, *, words: bool) -> None:
    """A dashed line at the best checkpoint of each model, with words beside that of a single one."""
    for color, records in zip(_colors(models, BEST), models.values(), strict=True):
        best = [record.total_steps for record in records if record.is_best]
        if not best:
            continue
        axes.axvline(best[-1], color=color, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1)
        if words and len(models) == 1:
            left = best[-1] < 0.4 * records[-1].total_steps
            axes.annotate(
                "best checkpoint",
                (best[-1], 0.03),
                xycoords=("data", "axes fraction"),
                xytext=(4 if left else -4, 0),
                textcoords="offset points",
                color=BEST,
                fontsize=9,
                fontweight="bold",
                ha="left" if left else "right",
            )


def steps_axis(axes: Axes, models: Models) -> None:
    """Let the horizontal axis count environment steps, from none to the last of any model."""
    last = max((record.total_steps for records in models.values() for record in records), default=0)
    axes.set_xlim(0, 1.01 * max(last, 1))
    name_axes(axes, "environment steps")
    axes.xaxis.set_major_formatter(FuncFormatter(thousands))


def add_minutes(axes: Axes, records: Sequence[IterationRecord]) -> None:
    """A second scale on top: wall-clock, where it stood at those steps."""
    steps = steps_of(records)
    minutes = np.array([record.elapsed_s / 60 for record in records])
    if len(steps) < 2 or not np.isfinite(minutes).all() or minutes[-1] <= minutes[0]:
        return
    ticks = [
        tick
        for tick in MaxNLocator(6, steps=[1, 2, 5, 10]).tick_values(0, minutes[-1])
        if minutes[0] <= tick <= minutes[-1]
    ]
    top = axes.secondary_xaxis("top")
    top.set_xticks(np.interp(ticks, minutes, steps), labels=[f"{tick:g}" for tick in ticks])
    top.tick_params(colors=GRAY, labelsize=8.5, length=3, color=GRAY)
    top.set_xlabel("minutes", color=GRAY, fontsize=9, loc="right")
    top.spines["top"].set_visible(False)


def steps_of(records: Sequence[IterationRecord]) -> np.ndarray:
    """Environment steps until the end of each iteration."""
    return np.array([record.total_steps for record in records], dtype=np.float64)


def evaluated(records: Sequence[IterationRecord], value: Callable[[EvaluationSummary], float | None]) -> np.ndarray:
    """One value per record; NaN where there was no evaluation, or none to speak of."""
    return _values(records, lambda record: None if record.evaluation is None else value(record.evaluation))


def draw_course(
    axes: Axes, steps: np.ndarray, values: np.ndarray, color: str, name: str
) -> tuple[str, str, float, float]:
    """Draw a thin curve of single iterations and a thick one of its smoothed course.

    Returns:
        Its label for `label_ends`; that of a curve without points is empty.
    """
    known = np.isfinite(values)
    x, y = steps[known], values[known]
    if not len(x):
        return ("", color, 0.0, 0.0)
    course = smoothed(y, max(1, len(y) // 30)) if len(y) > FEW else y
    marker = "o" if len(x) == 1 else None
    axes.plot(x, y, color=color, linewidth=0.9, alpha=0.4, marker=marker, markersize=4)
    axes.plot(x, course, color=color, linewidth=2.3, solid_capstyle="round")
    return (name, color, x[-1], course[-1])


def label_courses(axes: Axes, ends: Sequence[tuple[str, str, float, float]]) -> None:
    """Name curves at the right edge of all of them."""
    named = [end for end in ends if end[0]]
    right = max((x for _, _, x, _ in named), default=0.0)
    label_ends(axes, [(text, color, right, y) for text, color, _, y in named])


def _draw_courses(
    axes: Axes, models: Models, training: _Value | None, evaluation: Callable[[EvaluationSummary], float | None]
) -> None:
    ends = []
    for color, (name, records) in zip(_colors(models, EVALUATION), models.items(), strict=True):
        steps, values = steps_of(records), evaluated(records, evaluation)
        if len(models) > 1:
            if training and not np.isfinite(values).any():  # a log without evaluations is compared by its training
                values = _values(records, training)
            ends.append(draw_course(axes, steps, values, color, name))
            continue
        if training:
            ends.append(draw_course(axes, steps, _values(records, training), TRAINING, "training"))
        ends.append(draw_course(axes, steps, values, color, "evaluation"))
    label_courses(axes, ends)


def _mark_first_lap(axes: Axes, records: Sequence[IterationRecord]) -> None:
    first = next((record.total_steps for record in records if record.laps_completed), None)
    if first is None:
        return
    axes.plot([first], [100], marker="o", markersize=6, color=TRAINING, markeredgecolor="white", clip_on=False)
    axes.annotate(
        f"first lap in training\nafter {first:,} steps",
        (first, 100),
        xytext=(0, -9),
        textcoords="offset points",
        color=GRAY,
        fontsize=8.5,
        ha="left" if first < 0.6 * records[-1].total_steps else "right",
        va="top",
        bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
    )


def _draw_lap_times_of_one(axes: Axes, records: Sequence[IterationRecord]) -> None:
    steps = steps_of(records)
    training = _values(records, lambda record: record.lap_time_best_s)
    median = evaluated(records, lambda summary: summary.lap_time_median_s)
    best = evaluated(records, lambda summary: summary.lap_time_best_s)
    axes.plot(steps, training, ".", markersize=4, color=TRAINING, alpha=0.8)
    ends = [draw_course(axes, steps, median, EVALUATION, "median")]
    axes.plot(steps, best, ".", markersize=4, color=EVALUATION, alpha=0.55)
    for name, color, values in (("fastest", EVALUATION, best), ("in training", TRAINING, training)):
        known = np.flatnonzero(np.isfinite(values))
        if len(known):
            ends.append((name, color, steps[known[-1]], values[known[-1]]))
    label_courses(axes, [(text, color, steps[-1], y) for text, color, _, y in ends if text])


def _values(records: Sequence[IterationRecord], value: _Value) -> np.ndarray:
    values = [value(record) for record in records]
    return np.array([np.nan if each is None else each for each in values], dtype=np.float64)


def _colors(models: Models, single: str) -> Sequence[str]:
    return (single,) if len(models) == 1 else MODELS[: len(models)]

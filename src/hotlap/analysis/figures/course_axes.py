"""How trainings went on: axes with courses over environment steps."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hotlap.analysis.figures.style import BEST, GRAY, MODELS, label_ends, name_axes, smoothed, thousands
from hotlap.records.events import EvaluationSummary, IterationRecord

Records = Sequence[IterationRecord]

Models = Mapping[str, Records]
"""Records of trainings by the name of the model, in order; as many models as there are colors."""

FEW = 8  # points of a curve up to which it is not smoothed


def steps_of(records: Records) -> np.ndarray:
    """Environment steps until the end of each iteration."""
    return np.array([record.total_steps for record in records], dtype=np.float64)


def values_of(records: Records, value: Callable[[IterationRecord], float | None]) -> np.ndarray:
    """One value per record; NaN where there is none."""
    values = [value(record) for record in records]
    return np.array([np.nan if each is None else each for each in values], dtype=np.float64)


def evaluated(records: Records, value: Callable[[EvaluationSummary], float | None]) -> np.ndarray:
    """One value per record; NaN where there was no evaluation, or none to speak of."""
    return values_of(records, lambda record: None if record.evaluation is None else value(record.evaluation))


def colors_of(models: Models, single: str) -> Sequence[str]:
    """The color of each model; a single one has that which is given."""
    return (single,) if len(models) == 1 else MODELS[: len(models)]


def draw_course(
    axes: Axes, steps: np.ndarray, values: np.ndarray, color: str, name: str
) -> list[tuple[str, str, float, float]]:
    """Draw a thin curve of single iterations and a thick one of its smoothed course.

    Returns:
        Its label for `label_ends`; none for a curve without points.
    """
    known = np.isfinite(values)
    x, y = steps[known], values[known]
    if not len(x):
        return []
    course = smoothed(y, max(1, len(y) // 30)) if len(y) > FEW else y
    axes.plot(x, y, color=color, linewidth=0.9, alpha=0.4, marker="o" if len(x) == 1 else None, markersize=4)
    axes.plot(x, course, color=color, linewidth=2.3, solid_capstyle="round")
    return [(name, color, x[-1], course[-1])]


def draw_courses(axes: Axes, courses: Iterable[tuple[np.ndarray, np.ndarray, str, str]]) -> bool:
    """Draw courses, each given by steps, values, color and name, and name them at the right edge of all of them.

    Returns:
        Whether there was any.
    """
    ends = [end for course in courses for end in draw_course(axes, *course)]
    label_ends(axes, ends)
    return bool(ends)


def mark_best(axes: Axes, models: Models, *, words: bool) -> None:
    """A dashed line at the best checkpoint of each model, with words beside that of a single one."""
    for color, records in zip(colors_of(models, BEST), models.values(), strict=True):
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


def add_minutes(axes: Axes, records: Records) -> None:
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

"""The learning curve of one training: reward, completion, clean laps and lap times over steps and minutes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, MaxNLocator

from hotlap.analysis.style import BEST, EVALUATION, GRAY, TRAINING, label_ends, new_figure, save_figure, smoothed, tidy
from hotlap.records.events import EvaluationSummary, IterationRecord


def learning_curve(records: Sequence[IterationRecord], *, title: str = "Learning curve") -> Figure:
    """Draw the learning curve; thin lines are single iterations, thick ones their smoothed course.

    Args:
        records: Of one training, in order, as `ProgressLog.read` gives them; may be empty.
        title: Over the figure.
    """
    figure = new_figure(12, 7.4, title, _summary(records))
    panels = figure.subplots(2, 2, sharex=True)
    steps = np.array([record.total_steps for record in records], dtype=np.float64)
    _draw_reward(panels[0, 0], records, steps)
    _draw_completion(panels[0, 1], records, steps)
    _draw_clean_rate(panels[1, 0], records, steps)
    _draw_lap_times(panels[1, 1], records, steps)
    best = [step for step, record in zip(steps, records, strict=True) if record.is_best]
    for panel in panels.flat:
        if best:
            panel.axvline(best[-1], color=BEST, linewidth=1.1, linestyle=(0, (4, 3)), zorder=1)
        panel.margins(x=0.01)
    for panel in panels[1]:
        panel.set_xlabel("environment steps", color=GRAY, fontsize=9.5)
        panel.xaxis.set_major_formatter(FuncFormatter(_thousands))
    for panel in panels[0]:
        _add_minutes(panel, steps, np.array([record.elapsed_s / 60 for record in records]))
    if best:
        left = best[-1] < 0.4 * steps[-1]
        panels[1, 0].annotate(
            "best checkpoint",
            (best[-1], 4),
            xytext=(4 if left else -4, 0),
            textcoords="offset points",
            color=BEST,
            fontsize=9,
            fontweight="bold",
            ha="left" if left else "right",
        )
    return figure


def draw_learning_curve(records: Sequence[IterationRecord], path: str | Path, *, title: str = "Learning curve") -> Path:
    """Write the learning curve as PNG.

    Raises:
        RecordError: If it cannot be written.
    """
    return save_figure(learning_curve(records, title=title), path)


def _draw_reward(axes: Axes, records: Sequence[IterationRecord], steps: np.ndarray) -> None:
    tidy(axes, "Reward per episode")
    training = np.array([record.reward_mean for record in records], dtype=np.float64)
    evaluation = _evaluated(records, lambda summary: summary.reward_mean)
    ends = [
        _curve(axes, steps, training, TRAINING, "training"),
        _curve(axes, steps, evaluation, EVALUATION, "evaluation"),
    ]
    _label(axes, ends, steps)


def _draw_completion(axes: Axes, records: Sequence[IterationRecord], steps: np.ndarray) -> None:
    tidy(axes, "Part of the lap driven before the first mistake")
    axes.set_ylim(-3, 103)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    training = np.array([record.completion_mean for record in records], dtype=np.float64)
    evaluation = _evaluated(records, lambda summary: summary.completion_mean)
    ends = [
        _curve(axes, steps, training, TRAINING, "training"),
        _curve(axes, steps, evaluation, EVALUATION, "evaluation"),
    ]
    first = next((step for step, record in zip(steps, records, strict=True) if record.laps_completed), None)
    if first is not None:
        axes.plot([first], [100], marker="o", markersize=6, color=TRAINING, markeredgecolor="white", clip_on=False)
        axes.annotate(
            f"first lap in training\nafter {int(first):,} steps",
            (first, 100),
            xytext=(0, -9),
            textcoords="offset points",
            color=GRAY,
            fontsize=8.5,
            ha="left" if first < 0.6 * steps[-1] else "right",
            va="top",
            bbox={"facecolor": "white", "alpha": 0.75, "edgecolor": "none", "pad": 1},
        )
    _label(axes, ends, steps)


def _draw_clean_rate(axes: Axes, records: Sequence[IterationRecord], steps: np.ndarray) -> None:
    tidy(axes, "Clean laps in evaluation")
    axes.set_ylim(-3, 103)
    axes.yaxis.set_major_formatter("{x:.0f} %")
    rate = 100 * _evaluated(records, lambda summary: summary.clean_rate)
    _label(axes, [_curve(axes, steps, rate, EVALUATION, "evaluation")], steps)


def _draw_lap_times(axes: Axes, records: Sequence[IterationRecord], steps: np.ndarray) -> None:
    tidy(axes, "Lap time [s]")
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    training = np.array([np.nan if r.lap_time_best_s is None else r.lap_time_best_s for r in records], dtype=np.float64)
    median = _evaluated(records, lambda summary: summary.lap_time_median_s)
    best = _evaluated(records, lambda summary: summary.lap_time_best_s)
    axes.plot(steps, training, ".", markersize=4, color=TRAINING, alpha=0.8)
    ends = [_curve(axes, steps, median, EVALUATION, "median")]
    axes.plot(steps, best, ".", markersize=4, color=EVALUATION, alpha=0.55)
    for name, color, values in (("fastest", EVALUATION, best), ("in training", TRAINING, training)):
        known = np.flatnonzero(np.isfinite(values))
        if len(known):
            ends.append((name, color, steps[known[-1]], values[known[-1]]))
    if not np.isfinite(np.concatenate([training, median])).any():
        axes.text(0.5, 0.5, "no complete lap yet", transform=axes.transAxes, ha="center", color=GRAY)
        axes.set_yticks([])
    _label(axes, ends, steps)


def _curve(axes: Axes, steps: np.ndarray, values: np.ndarray, color: str, name: str) -> tuple[str, str, float, float]:
    """Draw a curve and return its label for `label_ends`; the label of a curve without points is empty."""
    known = np.isfinite(values)
    x, y = steps[known], values[known]
    if not len(x):
        return ("", color, 0.0, 0.0)
    course = smoothed(y, max(1, len(y) // 30)) if len(y) > 8 else y
    axes.plot(x, y, color=color, linewidth=0.9, alpha=0.4)
    axes.plot(x, course, color=color, linewidth=2.3, solid_capstyle="round")
    return (name, color, x[-1], course[-1])


def _label(axes: Axes, ends: list[tuple[str, str, float, float]], steps: np.ndarray) -> None:
    if len(steps):
        label_ends(axes, [(text, color, steps[-1], y) for text, color, _, y in ends if text])


def _evaluated(records: Sequence[IterationRecord], value: Callable[[EvaluationSummary], float | None]) -> np.ndarray:
    """One value per record; NaN where there was no evaluation, or none to speak of."""
    values = [None if record.evaluation is None else value(record.evaluation) for record in records]
    return np.array([np.nan if each is None else each for each in values], dtype=np.float64)


def _add_minutes(axes: Axes, steps: np.ndarray, minutes: np.ndarray) -> None:
    """A second scale on top: wall-clock, where it stood at those steps."""
    if len(steps) < 2 or minutes[-1] <= minutes[0]:
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


def _summary(records: Sequence[IterationRecord]) -> str:
    if not records:
        return "no iteration finished yet"
    last = records[-1]
    text = f"{len(records)} iterations, {last.total_episodes:,} episodes, {last.total_steps:,} steps"
    text += f" in {last.elapsed_s / 60:.1f} minutes"
    best = [record for record in records if record.is_best and record.evaluation is not None]
    if best and best[-1].evaluation is not None:
        clean, number = best[-1].evaluation.clean_rate, best[-1].evaluation.num_laps
        text += f"; best checkpoint: {round(clean * number)} of {number} laps clean"
    return text


def _thousands(value: float, _: object = None) -> str:
    return f"{value / 1000:g}k" if abs(value) >= 1000 else f"{value:g}"

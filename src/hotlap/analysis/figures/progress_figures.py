"""Does it get better? Reward, completion, clean laps and lap times over environment steps, of one or more models.

A panel draws one model, with its training and its evaluations, or compares several by their evaluations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from hotlap.analysis.figures.course_axes import (
    FEW,
    Models,
    Records,
    add_minutes,
    colors_of,
    draw_course,
    draw_courses,
    evaluated,
    mark_best,
    steps_axis,
    steps_of,
    values_of,
)
from hotlap.analysis.figures.question import Card, Question, joined, tries_out
from hotlap.analysis.figures.style import EVALUATION, GRAY, TRAINING, WHITE_BOX, label_ends, new_card, percent_axis
from hotlap.analysis.read.run_data import Run
from hotlap.records.events import EvaluationSummary, IterationRecord

_FEWEST = 5  # iterations: fewer show no course
_WHOLE = 99.995  # [%] a mean of whole laps, whatever the rounding of their sum
_STILL = 2.0  # [%] less than this between two fifths of a training is no change


def reward_curve(models: Models) -> Figure:
    """Mean reward of an episode over environment steps.

    Args:
        models: Records by the name of the model, such as ``{run.name: run.iterations}``. A single model is drawn with
            training and evaluation, several by their evaluations.
    """
    return _curve(*PANELS[0], models)


def completion_curve(models: Models) -> Figure:
    """Mean part of the lap until the first mistake over environment steps; see `reward_curve`."""
    return _curve(*PANELS[1], models)


def clean_rate_curve(models: Models) -> Figure:
    """Share of clean laps in evaluations over environment steps; see `reward_curve`."""
    return _curve(*PANELS[2], models)


def lap_time_curve(models: Models) -> Figure:
    """Times of complete laps over environment steps; several models by the median of their evaluations."""
    title, draw = PANELS[3]
    return _curve(title if len(models) == 1 else "Median lap time in evaluation [s]", draw, models)


def _curve(title: str, draw: Callable[[Axes, Models], None], models: Models) -> Figure:
    figure, axes = new_card(title)
    draw(axes, models)
    mark_best(axes, models, words=True)
    steps_axis(axes, models)
    if len(models) == 1:
        add_minutes(axes, *models.values())
    return figure


def _draw_reward(axes: Axes, models: Models) -> None:
    _compare(axes, models, lambda record: record.reward_mean, lambda summary: summary.reward_mean)


def _draw_completion(axes: Axes, models: Models) -> None:
    percent_axis(axes)
    if len(models) == 1:
        _mark_first_lap(axes, *models.values())
    _compare(axes, models, lambda record: record.completion_mean, lambda summary: summary.completion_mean)


def _draw_clean_rate(axes: Axes, models: Models) -> None:
    percent_axis(axes)
    _compare(axes, models, None, lambda summary: 100 * summary.clean_rate)
    if not _has_evaluations(models):
        axes.text(0.5, 0.5, "no evaluation", transform=axes.transAxes, ha="center", color=GRAY)


def _draw_lap_times(axes: Axes, models: Models) -> None:
    """Times of complete laps: their median in evaluation, the fastest, and the fastest in training."""
    axes.yaxis.set_major_locator(MaxNLocator(6, steps=[1, 2, 5, 10]))
    if len(models) > 1:
        _compare(axes, models, None, lambda summary: summary.lap_time_median_s)
    else:
        _draw_lap_times_of_one(axes, *models.values())
    trained, evaluated = _has_lap_times(models)
    if not (evaluated or (trained and len(models) == 1)):
        axes.text(0.5, 0.5, "no complete lap yet", transform=axes.transAxes, ha="center", color=GRAY)
        axes.set_yticks([])


PANELS: tuple[tuple[str, Callable[[Axes, Models], None]], ...] = (
    ("Reward per episode", _draw_reward),
    ("Part of the lap driven before the first mistake", _draw_completion),
    ("Clean laps in evaluation", _draw_clean_rate),
    ("Lap time [s]", _draw_lap_times),
)
"""Title of each panel, and how to draw it."""


def _compare(
    axes: Axes,
    models: Models,
    training: Callable[[IterationRecord], float | None] | None,
    evaluation: Callable[[EvaluationSummary], float | None],
) -> None:
    """The courses of a single model's training and evaluations, or of the evaluations of several."""
    courses = []
    for color, (name, records) in zip(colors_of(models, EVALUATION), models.items(), strict=True):
        steps, values = steps_of(records), evaluated(records, evaluation)
        if len(models) == 1:
            name = "evaluation"
            if training:
                courses.append((steps, values_of(records, training), TRAINING, "training"))
        elif training and not np.isfinite(values).any():  # a log without evaluations is compared by its training
            values = values_of(records, training)
        courses.append((steps, values, color, name))
    draw_courses(axes, courses)


def _mark_first_lap(axes: Axes, records: Records) -> None:
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
        bbox=WHITE_BOX,
    )


def _draw_lap_times_of_one(axes: Axes, records: Records) -> None:
    steps = steps_of(records)
    training = values_of(records, lambda record: record.lap_time_best_s)
    median = evaluated(records, lambda summary: summary.lap_time_median_s)
    best = evaluated(records, lambda summary: summary.lap_time_best_s)
    axes.plot(steps, training, ".", markersize=4, color=TRAINING, alpha=0.8)
    ends = draw_course(axes, steps, median, EVALUATION, "median")
    axes.plot(steps, best, ".", markersize=4, color=EVALUATION, alpha=0.55)
    for name, color, values in (("fastest", EVALUATION, best), ("in training", TRAINING, training)):
        known = values[np.isfinite(values)]
        if len(known):
            ends.append((name, color, steps[-1], known[-1]))
    label_ends(axes, ends)


def _has_evaluations(models: Models) -> bool:
    """Whether evaluations within a training are recorded."""
    return any(record.evaluation for records in models.values() for record in records)


def _has_lap_times(models: Models) -> tuple[bool, bool]:
    """Whether a lap was complete, and its time is known, in training and in evaluation."""
    records = [record for each in models.values() for record in each]
    evaluations = [record.evaluation for record in records if record.evaluation]
    return (
        any(record.lap_time_best_s is not None for record in records),
        any(evaluation.lap_time_median_s is not None for evaluation in evaluations),
    )


def _cards(runs: Sequence[Run]) -> Iterator[Card]:
    models = {run.name: run.iterations for run in runs if run.iterations}
    if not models:
        return
    on_wall = all(run.wall_clock for run in runs) or len(models) > 1
    reward = joined(_reward_words(models), not on_wall and "Minutes are those of the simulator's clock.")
    yield Card("reward", partial(reward_curve, models), reward)
    completion = joined(
        "How much of the lap the car drove, on average, until its first mistake. 100 % means that every lap was "
        "complete.",
        len(models) > 1 and "The curves are those of evaluations, or of training where there were none.",
        len(models) == 1 and _has_evaluations(models) and tries_out(evaluated=True),
    )
    yield Card("completion", partial(completion_curve, models), completion)
    clean_laps = (
        "Laps of an evaluation that were completed without a mistake. This is what a race asks for. Single "
        "evaluations have few laps and jump; trust the course over many."
        if _has_evaluations(models)
        else "No evaluations within the training are recorded, and only they tell how many laps are clean, that is "
        "completed without a mistake."
    )
    yield Card("clean_laps", partial(clean_rate_curve, models), clean_laps)
    yield Card("lap_times", partial(lap_time_curve, models), _lap_time_words(models))


def _reward_words(models: Models) -> str:
    if len(models) > 1:
        return (
            "Sum of rewards in an episode, one color per model: of its evaluations, or of its training where there "
            "were none. Rewards of different reward functions cannot be compared; whether each still rises, can."
        )
    (records,) = models.values()
    return joined(
        "Sum of rewards in an episode. It should rise and level off.",
        _has_evaluations(models) and "Evaluations drive without trying things out, so they usually lie above training.",
        len(records) > FEW and "The thin line joins single iterations, the thick one is their smoothed course.",
        any(record.is_best for record in records) and "The dashed line marks the best checkpoint.",
    )


def _lap_time_words(models: Models) -> str:
    trained, evaluated = _has_lap_times(models)
    if len(models) > 1:
        if not evaluated:
            return "No evaluation of these models has a complete lap, so there are no times to compare."
        return (
            "Median time of the complete laps of an evaluation; lower is faster. Times on different tracks cannot be "
            "compared."
        )
    if not (trained or evaluated):
        return "No lap was complete, neither in training nor in an evaluation, so there are no times yet."
    return joined(
        "Time of complete laps; lower is faster.",
        evaluated and "The line is the median of an evaluation, blue dots are its fastest lap.",
        trained and "Gray dots are the fastest lap in training.",
        evaluated and "Times that fall while clean laps stay high mean that it learns to race.",
    )


def _finding(run: Run) -> str:
    records = run.iterations
    courses = {
        "evaluation": evaluated(records, lambda summary: summary.completion_mean),
        "training": values_of(records, lambda record: record.completion_mean),
    }
    for what, values in courses.items():
        known = values[np.isfinite(values)]
        if len(known) >= _FEWEST:
            fifths = [float(part.mean()) for part in np.array_split(known, 5)]
            return (
                f"In {what} it drove {_percent(fifths[0])} of the lap before the first mistake in the first fifth of "
                f"the iterations and {_percent(fifths[4])} in the last: {_trend(fifths[3], fifths[4])}."
            )
    return ""


def _percent(part: float) -> str:
    """Rounded, but 100 only where nothing is missing."""
    return f"{part:.0f} %" if part >= _WHOLE or part < 99.5 else f"{min(part, 99.9):.1f} %"


def _trend(before: float, last: float) -> str:
    if last >= _WHOLE:
        return "it drives the whole lap"
    if last > 100 - _STILL:
        return "it drives nearly the whole lap"
    if last > before + _STILL:
        return "it was still getting better"
    if last < before - _STILL:
        return "it was getting worse again at the end"
    return "it had stopped getting better"


QUESTION = Question(
    "Does it get better?",
    "progress",
    [_cards],
    missing="The folder holds no record of iterations.",
    finding=_finding,
)

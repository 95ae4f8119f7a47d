"""Does it get better? One small figure each of reward, completion, clean laps and lap times, of one or more models."""

from __future__ import annotations

from collections.abc import Callable

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hotlap.analysis.figures.progress_panels import (
    Models,
    add_minutes,
    draw_clean_rate,
    draw_completion,
    draw_lap_times,
    draw_reward,
    mark_best,
    steps_axis,
)
from hotlap.analysis.figures.style import new_card


def reward_curve(models: Models) -> Figure:
    """Mean reward of an episode over environment steps.

    Args:
        models: Records by the name of the model, such as ``{run.name: run.iterations}``. A single model is drawn with
            training and evaluation, several by their evaluations.
    """
    return _curve("Reward per episode", draw_reward, models)


def completion_curve(models: Models) -> Figure:
    """Mean part of the lap until the first mistake over environment steps; see `reward_curve`."""
    return _curve("Part of the lap driven before the first mistake", draw_completion, models)


def clean_rate_curve(models: Models) -> Figure:
    """Share of clean laps in evaluations over environment steps; see `reward_curve`."""
    return _curve("Clean laps in evaluation", draw_clean_rate, models)


def lap_time_curve(models: Models) -> Figure:
    """Times of complete laps over environment steps; several models by the median of their evaluations."""
    title = "Lap time [s]" if len(models) == 1 else "Median lap time in evaluation [s]"
    return _curve(title, draw_lap_times, models)


def _curve(title: str, draw: Callable[[Axes, Models], None], models: Models) -> Figure:
    figure, axes = new_card(title)
    draw(axes, models)
    mark_best(axes, models, words=True)
    steps_axis(axes, models)
    if len(models) == 1:
        add_minutes(axes, *models.values())
    return figure

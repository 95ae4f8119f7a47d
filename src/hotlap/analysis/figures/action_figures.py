"""Which actions does it use, over the training, and at each place of the track?"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hotlap.analysis.figures.question import NO_TRACES, Card, Question, for_each_run, for_each_track
from hotlap.analysis.figures.style import (
    EVALUATION,
    SHARE_COLORS,
    color_bar,
    name_axes,
    new_card,
    new_cards,
    whole_numbers,
)
from hotlap.analysis.read.action_space import actions_taken
from hotlap.analysis.read.phases import bins_of, first_number, num_episodes, phase_names, steps_early_and_late
from hotlap.analysis.read.run_data import Run, Section
from hotlap.records.steps import Steps

_MAX_BINS = 60
_NUM_ROWS = 30  # of the densities of continuous commands
_ROW = 0.24  # [inch] per action
_MAX_LABELS = 30
_NEVER = "never taken"  # stands for steering and speed of an action of which they are not known
_RARE = 1.0  # [%] an action chosen less often is hardly used

ActionSpace = Sequence[tuple[float, float]] | None


def actions_over_time(steps: Steps, actions: ActionSpace = None, *, first: int = 1) -> Figure:
    """How often each action was chosen over the iterations.

    Args:
        steps: Of one training.
        actions: Steering [deg] and speed [m/s] of each; by default what the trace shows. In continuous action spaces
            steering and speed are drawn instead.
        first: Number of the first iteration, see `first_number`.
    """
    bins, edges = bins_of(steps.iteration + first, _MAX_BINS)
    return _choices("Actions over the training", steps, actions, bins, edges, "iteration")


def actions_around_track(steps: Steps, actions: ActionSpace = None) -> Figure:
    """Which action was chosen at each waypoint in the last episodes; see `actions_over_time`."""
    recent = steps.where(steps_early_and_late(steps)[1])
    bins, edges = bins_of(recent.nearest_waypoint, 4 * _MAX_BINS)
    _, late = phase_names(num_episodes(steps))
    return _choices(f"Actions along the track, {late}", recent, actions, bins, edges, "waypoint")


def action_shares(steps: Steps, actions: ActionSpace = None) -> Figure:
    """Share of each action in the last episodes, as bars."""
    names = _action_names(steps, actions)
    recent = steps.action[steps_early_and_late(steps)[1]]
    share = _shares(recent, np.zeros(len(recent), dtype=np.int64), len(names), 1)[:, 0]
    figure, axes = new_card(f"Actions chosen, {phase_names(num_episodes(steps))[1]}", _height(len(names)))
    axes.barh(np.arange(len(names)), share, color=EVALUATION, height=0.72)
    _label_rows(axes, names)
    axes.xaxis.set_major_formatter("{x:.0f} %")
    axes.grid(False, axis="y")
    return figure


def _action_names(steps: Steps, actions: ActionSpace = None) -> list[str]:
    """What to call each action: its number, steering and speed."""
    space = list(actions or ())
    space += actions_taken(steps)[len(space) :]
    return [
        f"{number}: {_signed(steer)}° {speed:.1f} m/s" if np.isfinite(steer) else f"{number}: {_NEVER}"
        for number, (steer, speed) in enumerate(space)
    ]


def _is_discrete(steps: Steps) -> bool:
    return bool(np.any(steps.action >= 0))


def _signed(angle: float) -> str:
    return f"{angle:+.1f}".replace(".0", "").replace("-", "−") if angle else "0"


def _height(num_actions: int) -> float:
    return float(np.clip(1.3 + _ROW * num_actions, 3.0, 7.5))


def _choices(title: str, steps: Steps, actions: ActionSpace, bins: np.ndarray, edges: np.ndarray, unit: str) -> Figure:
    """What was chosen in each bin: shares of the actions, or densities of steering and speed."""
    num_bins = len(edges) - 1
    if _is_discrete(steps):
        names = _action_names(steps, actions)
        figure, axes = new_card(title, _height(len(names)))
        share = _shares(steps.action, bins, len(names), num_bins)
        _draw_shares(figure, axes, share, edges, (-0.5, len(names) - 0.5))
        _label_rows(axes, names)
    else:
        figure, panels = new_cards([f"{title}: steering [deg]", "Speed [m/s]"], 5.2)
        for axes, values in zip(panels, (steps.steering_angle, steps.speed), strict=True):
            low, high = (float(values.min()), float(values.max())) if len(values) else (0.0, 0.0)
            high = max(high, low + 0.1)
            row = np.clip(((values - low) / (high - low) * _NUM_ROWS).astype(np.int64), 0, _NUM_ROWS - 1)
            _draw_shares(figure, axes, _shares(row, bins, _NUM_ROWS, num_bins), edges, (low, high))
    whole_numbers(axes.xaxis)
    name_axes(axes, unit)
    return figure


def _shares(row: np.ndarray, bins: np.ndarray, num_rows: int, num_bins: int) -> np.ndarray:
    """Percent of each row in each bin, shape (num_rows, num_bins); NaN in empty bins. Rows beyond are not counted."""
    counted = (row >= 0) & (row < num_rows)
    flat = np.bincount(row[counted] * num_bins + bins[counted], minlength=num_rows * num_bins)
    number = flat.reshape(num_rows, num_bins).astype(np.float64)
    total = number.sum(axis=0)
    return np.divide(100 * number, total, out=np.full_like(number, np.nan), where=total > 0)


def _draw_shares(figure: Figure, axes: Axes, share: np.ndarray, edges: np.ndarray, rows: tuple[float, float]) -> None:
    axes.grid(False)
    image = axes.imshow(
        np.ma.masked_invalid(share),
        aspect="auto",
        origin="lower",
        extent=(edges[0], edges[-1], *rows),
        cmap=SHARE_COLORS,
        vmin=0,
        interpolation="nearest",
    )
    color_bar(figure, axes, image, "share of the steps [%]")


def _label_rows(axes: Axes, names: Sequence[str]) -> None:
    every = max(1, -(-len(names) // _MAX_LABELS))
    rows = range(0, len(names), every)
    axes.set_yticks(rows, labels=[names[row] for row in rows], fontsize=8)
    axes.set_ylim(-0.5, max(len(names), 1) - 0.5)


@for_each_run
def _over_training(run: Run) -> Iterator[Card]:
    if not len(run.steps):
        return
    draw = partial(actions_over_time, run.steps, run.actions, first=first_number(run.iterations))
    if not _is_discrete(run.steps):
        commands = (
            "How often each steering angle and speed was chosen, iteration by iteration. Positive steering is left. A "
            "band that narrows shows a model that makes up its mind."
        )
        yield Card("actions", draw, commands)
        return
    actions = (
        "How often each action was chosen, iteration by iteration; the stronger the color, the more often. Positive "
        "steering is left. A new model chooses all about equally often; rows that fade are given up."
    )
    yield Card("actions", draw, actions)
    shares = (
        "The same for the last episodes. Actions that are hardly used may be left out of the next model's action "
        "space: a smaller one learns faster."
    )
    yield Card("action_shares", partial(action_shares, run.steps, run.actions), shares)


@for_each_track
def _along_track(run: Run, section: Section) -> Iterator[Card]:
    words = (
        "What it chose at each waypoint in the last episodes. Clear blocks are decided places; where a column is "
        "spread over many rows it is undecided or still tries things out."
    )
    yield Card("actions_track", partial(actions_around_track, section.steps, run.actions), words)


def _finding(run: Run) -> str:
    steps = run.steps
    if not _is_discrete(steps):
        return ""
    names = _action_names(steps, run.actions)
    taken = steps.action[steps_early_and_late(steps)[1]]
    taken = taken[(taken >= 0) & (taken < len(names))]
    if not len(taken):
        return ""
    share = 100 * np.bincount(taken, minlength=len(names)) / len(taken)
    rare = [_command(name) for name, each in zip(names, share, strict=True) if each < _RARE]
    most = int(np.argmax(share))
    text = f"Lately it chose {_command(names[most])} most often ({share[most]:.0f} % of the steps)"
    if not rare:
        return f"{text} and used all {len(names)} actions."
    hardly = "; ".join(rare[:4]) + (" and others" if len(rare) > 4 else "")
    return f"{text} and hardly used {len(rare)} of {len(names)} actions ({hardly})."


def _command(name: str) -> str:
    """Steering and speed of an action; its number where they are not known."""
    number, _, command = name.partition(": ")
    return f"number {number}" if command == _NEVER else command


QUESTION = Question(
    "Which actions does it use?", "actions", [_over_training, _along_track], missing=NO_TRACES, finding=_finding
)

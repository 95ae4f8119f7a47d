"""Where does the time go? Stages of each iteration, and how evenly the simulator stepped."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import partial

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from hotlap.analysis.figures.question import Card, Question, for_each_run, joined
from hotlap.analysis.figures.stacked_bars import stacked_bars
from hotlap.analysis.figures.style import (
    BAD,
    BEST,
    EVALUATION,
    GOOD,
    TRAINING,
    UPDATE,
    legend_above,
    name_axes,
    new_card,
    new_cards,
    say_instead,
    whole_numbers,
)
from hotlap.analysis.read.phases import first_number
from hotlap.analysis.read.run_data import Run
from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import STATUS_NAMES
from hotlap.records.events import IterationRecord
from hotlap.records.steps import Steps

_STAGE_COLORS = {
    "collect": EVALUATION,
    "update": UPDATE,
    "update and evaluate": UPDATE,
    "evaluate": GOOD,
    "checkpoint": BEST,
    "record": TRAINING,
}
_OTHER_COLOR = "#c2930a"
_MAX_BARS = 60


def stages_figure(records: Sequence[IterationRecord]) -> Figure:
    """Wall-clock of each stage of an iteration [s], over the iterations."""
    figure, axes = new_card("Time of an iteration [s]")
    names = list(dict.fromkeys(name for record in records for name in record.stages_s))
    if not names:
        say_instead(axes, "not recorded")
        return figure
    total = max(sum(sum(record.stages_s.values()) for record in records), 1e-9)
    parts = []
    for name in names:
        seconds = np.array([record.stages_s.get(name, 0.0) for record in records])
        share = 100 * seconds.sum() / total
        parts.append((f"{name} {share:.0f} %", _STAGE_COLORS.get(name, _OTHER_COLOR), seconds))
    numbers = np.array([record.number for record in records])
    stacked_bars(figure, axes, numbers, parts, max_bars=_MAX_BARS)
    return figure


def stability_figure(steps: Steps, records: Sequence[IterationRecord] = ()) -> Figure:
    """How evenly the simulator stepped: time between steps on its own clock, and its pace, over the iterations.

    Args:
        steps: Of one training.
        records: Its records; their stage ``collect`` gives the pace of runs whose traces hold no wall-clock.
    """
    figure, axes = new_cards(["Time between two steps [ms]", "Simulated seconds per second"], 4.6)
    periods, iterations = step_periods(steps)
    numbers, first = np.unique(iterations), first_number(records)
    if len(numbers):
        each = [1000 * periods[iterations == number] for number in numbers]
        levels = np.array([[np.median(one), np.quantile(one, 0.95), one.max()] for one in each])
        for column, name, color in ((2, "longest", BAD), (1, "95 %", BEST), (0, "median", EVALUATION)):
            _draw(axes[0], numbers + first, levels[:, column], color, name)
        if levels[:, 2].max() > 8 * max(levels[:, 0].min(), 1e-3) and levels.min() > 0:
            axes[0].set_yscale("log")
        else:
            axes[0].set_ylim(0, max(1.15 * levels.max(), 1.0))
        legend_above(axes[0], 3)
    else:
        say_instead(axes[0], "no two steps in a row")
    at, pace = pace_of(steps, records)
    if len(at):
        _draw(axes[1], at + first, pace, EVALUATION)
        axes[1].set_ylim(0, 1.15 * max(float(np.nanmax(pace)), 0.1))
    else:
        say_instead(axes[1], "not recorded")
    whole_numbers(axes[1].xaxis)
    name_axes(axes[1], "iteration")
    return figure


def _draw(axes: Axes, x: np.ndarray, y: np.ndarray, color: str, label: str = "") -> None:
    axes.plot(x, y, color=color, linewidth=1.6, marker="o" if len(x) == 1 else None, markersize=4, label=label)


def step_periods(steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """Times between steps of the same episode [s], shape (num_pairs,), and their iterations; resets are left out."""
    seconds = np.diff(steps.time)
    arrives = steps.status[1:] != STATUS_NAMES.index("prepare")
    ordinary = (np.diff(steps.episode) == 0) & arrives & (seconds >= 0)
    return seconds[ordinary], steps.iteration[1:][ordinary]


def pace_of(steps: Steps, records: Sequence[IterationRecord]) -> tuple[np.ndarray, np.ndarray]:
    """Iterations, and how many seconds were simulated in a second of wall-clock; empty where neither clock is known."""
    clocked = np.isfinite(steps.wall_clock)
    if clocked.any() and not np.array_equal(steps.wall_clock[clocked], steps.time[clocked]):
        numbers, pace = [], []
        for number in np.unique(steps.iteration[clocked]).tolist():
            here = clocked & (steps.iteration == number) & (steps.worker == steps.worker[0])
            wall, simulated = np.ptp(steps.wall_clock[here]), np.ptp(steps.time[here])
            if wall > 0:
                numbers.append(number)
                pace.append(simulated / wall)
        return np.array(numbers), np.array(pace)
    timed = [record for record in records if record.stages_s.get("collect", 0.0) > 0]
    pace = [record.num_steps * CONTROL_PERIOD / record.stages_s["collect"] for record in timed]
    return np.array([record.iteration for record in timed]), np.array(pace)


@for_each_run
def _cards(run: Run) -> Iterator[Card]:
    if any(record.stages_s for record in run.iterations):
        stages = (
            "Time of each iteration by stage, and the share of each over all. Collecting is driving, the update is "
            "learning. Episodes that get longer make every iteration longer."
        )
        yield Card("stages", partial(stages_figure, run.iterations), stages)
    if len(run.steps):
        stability = joined(
            "How evenly the simulator stepped. Commands are given every 67 ms; a simulator that cannot keep up skips, "
            "and the car drives longer on an old command. That of hotlap always steps exactly.",
            len(pace_of(run.steps, run.iterations)[0]) > 0
            and "Below, how many seconds were simulated in a real second.",
        )
        yield Card("stability", partial(stability_figure, run.steps, run.iterations), stability)


QUESTION = Question("Where does the time go?", "time", [_cards], missing="Times were not recorded.")

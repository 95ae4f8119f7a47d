"""The learning curve of one training: reward, completion, clean laps and lap times over steps and minutes."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from hotlap.analysis.progress_panels import (
    add_minutes,
    draw_clean_rate,
    draw_completion,
    draw_lap_times,
    draw_reward,
    mark_best,
    steps_axis,
)
from hotlap.analysis.style import new_figure, save_figure, tidy
from hotlap.records.events import IterationRecord
from hotlap.wording import counted

_PANELS = (
    ("Reward per episode", draw_reward),
    ("Part of the lap driven before the first mistake", draw_completion),
    ("Clean laps in evaluation", draw_clean_rate),
    ("Lap time [s]", draw_lap_times),
)


def learning_curve(records: Sequence[IterationRecord], *, title: str = "Learning curve") -> Figure:
    """Draw the learning curve; thin lines are single iterations, thick ones their smoothed course.

    Args:
        records: Of one training, in order, as `ProgressLog.read` gives them; may be empty.
        title: Over the figure.
    """
    figure = new_figure(12, 7.4, title, _summary(records))
    panels = figure.subplots(2, 2, sharex=True)
    for panel, (words, draw) in zip(panels.flat, _PANELS, strict=True):
        tidy(panel, words)
        draw(panel, {"": records})
        mark_best(panel, {"": records}, words=panel is panels[1, 0])
    for panel in panels[1]:
        steps_axis(panel, {"": records})
    for panel in panels[0]:
        add_minutes(panel, records)
    return figure


def draw_learning_curve(records: Sequence[IterationRecord], path: str | Path, *, title: str = "Learning curve") -> Path:
    """Write the learning curve as PNG.

    Raises:
        RecordError: If it cannot be written.
    """
    return save_figure(learning_curve(records, title=title), path)


def _summary(records: Sequence[IterationRecord]) -> str:
    if not records:
        return "no iteration finished yet"
    last = records[-1]
    text = f"{counted(len(records), 'iteration')}, {counted(last.total_episodes, 'episode')}, "
    text += f"{counted(last.total_steps, 'step')} in {last.elapsed_s / 60:.1f} minutes"
    best = [record for record in records if record.is_best and record.evaluation is not None]
    if best and best[-1].evaluation is not None:
        clean, number = best[-1].evaluation.clean_rate, best[-1].evaluation.num_laps
        text += f"; best checkpoint: {best[-1].number}, at first {round(clean * number)} of {number} laps clean"
    return text

"""The learning curve of one training: reward, completion, clean laps and lap times over steps and minutes."""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.figure import Figure

from hotlap.analysis.figures.course_axes import add_minutes, mark_best, steps_axis
from hotlap.analysis.figures.progress_figures import PANELS
from hotlap.analysis.figures.style import new_figure, tidy
from hotlap.records.events import IterationRecord
from hotlap.records.tallies import Tally
from hotlap.wording import counted


def learning_curve(
    records: Sequence[IterationRecord], *, title: str = "Learning curve", tally: Tally | None = None
) -> Figure:
    """Draw the learning curve; thin lines are single iterations, thick ones their smoothed course.

    Args:
        records: Of one training, in order, as `ProgressLog.read` gives them; may be empty.
        title: Over the figure.
        tally: All evaluation laps of the best checkpoint; by default those of its first evaluation are named.
    """
    figure = new_figure(12, 7.4, title, _summary(records, tally))
    panels = figure.subplots(2, 2, sharex=True)
    for panel, (words, draw) in zip(panels.flat, PANELS, strict=True):
        tidy(panel, words)
        draw(panel, {"": records})
        mark_best(panel, {"": records}, words=panel is panels[1, 0])
    for panel in panels[1]:
        steps_axis(panel, {"": records})
    for panel in panels[0]:
        add_minutes(panel, records)
    return figure


def _summary(records: Sequence[IterationRecord], tally: Tally | None) -> str:
    if not records:
        return "no iteration finished yet"
    last = records[-1]
    text = f"{counted(len(records), 'iteration')}, {counted(last.total_episodes, 'episode')}, "
    text += f"{counted(last.total_steps, 'step')} in {last.elapsed_s / 60:.1f} minutes"
    best = [(record.number, record.evaluation) for record in records if record.is_best and record.evaluation]
    if not best:
        return text
    number, evaluation = best[-1]
    clean, laps = round(evaluation.clean_rate * evaluation.num_laps), evaluation.num_laps
    if tally and tally.num_laps:
        clean, laps = tally.clean_laps, tally.num_laps
    return f"{text}; best checkpoint: {number}, {clean:,} of {counted(laps, 'evaluation lap')} clean"

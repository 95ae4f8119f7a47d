"""The result of an evaluation as people know it from the console: one row per trial."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from rich.markup import escape

from hotlap.deepracer.statuses import STATUS_LABELS
from hotlap.evaluation.statistics import Estimate, EvaluationReport
from hotlap.wording import counted, lap_time

if TYPE_CHECKING:
    from rich.table import Table

    from hotlap.evaluation.comparison import Difference

MAX_SENTENCES = 10  # about differences: a reader looks at the surest


def race_time(report: EvaluationReport) -> str:
    """The time of all trials together; DNF (did not finish) if one was not completed."""
    return "DNF" if report.race_time_s is None else lap_time(report.race_time_s * 1000)


def trials_table(report: EvaluationReport, *, max_rows: int | None = None) -> Table:
    """One row per trial: time, percent complete, status, off-tracks, crashes, penalties, resets; at the end the race.

    They are the time of all trials together, the best and the mean lap time.

    Args:
        report: The evaluation.
        max_rows: Show only the first trials; the caption says how many are left out.
    """
    table = _new_table("Evaluation results", padding=(0, 1, 0, 0))
    # Two-line headings: the whole table fits into eighty columns.
    table.add_column("\nTrial", justify="right", no_wrap=True)
    table.add_column("Time\nMM:SS.mmm", justify="right", no_wrap=True)
    table.add_column("%\ncomplete", justify="right", no_wrap=True)
    table.add_column("\nStatus", no_wrap=True)
    for heading in ("Off-\ntracks", "\nCrashes", "\nPenalties", "\nResets"):
        table.add_column(heading, justify="right", no_wrap=True)
    shown = report.laps if max_rows is None else report.laps[:max_rows]
    for lap in shown:
        style = "green" if lap.clean else "yellow" if lap.complete else "red"
        table.add_row(
            str(lap.trial),
            lap_time(lap.time_ms),
            f"{int(lap.completion_percentage)}",
            f"[{style}]{STATUS_LABELS.get(lap.status, lap.status)}[/]",
            str(lap.off_track_count),
            str(lap.crash_count),
            lap_time(lap.penalty_s * 1000) if lap.penalty_s else "--",
            str(lap.reset_count),
        )
    table.add_section()
    times, unfinished = report.lap_time, sum(not lap.complete for lap in report.laps)
    table.add_row("Total", race_time(report), "", f"{unfinished} unfinished" if unfinished else "")
    if times is not None:
        table.add_row("Best", lap_time(times.min * 1000))
        table.add_row("Mean", lap_time(times.mean.value * 1000))
    if len(shown) < report.num_laps:
        table.caption = f"and {report.num_laps - len(shown)} more trials"
    return table


def summary_table(report: EvaluationReport) -> Table:
    """What all trials together say, with 95 % intervals."""
    table = _new_table(f"Over {counted(report.num_laps, 'lap')}")
    table.add_column("")
    table.add_column("Value", justify="right")
    table.add_column("95 % interval", justify="right")
    if report.completion_rate is not None and report.clean_rate is not None:
        table.add_row("Laps completed", _percent(report.completion_rate.value), _range(report.completion_rate))
        table.add_row("Laps clean", _percent(report.clean_rate.value), _range(report.clean_rate))
        table.add_row("Mean completion", f"{report.completion_mean:.1f} %", "")
    times = report.lap_time
    if times is not None:
        interval = f"{times.mean.low:.3f} to {times.mean.high:.3f} s"
        table.add_row("Lap time: best", f"{times.min:.3f} s", "")
        table.add_row("Lap time: median", f"{times.median:.3f} s", "")
        table.add_row("Lap time: mean", f"{times.mean.value:.3f} s", interval if times.num_laps > 1 else "")
        table.add_row("Lap time: 90 % below", f"{times.p90:.3f} s", "")
    return table


def comparison_table(names: Sequence[str], reports: Sequence[EvaluationReport]) -> Table:
    """A row per model: clean and completed laps, lap times, time of the race."""
    table = _new_table("Comparison", padding=(0, 1, 0, 0))
    table.add_column("\nModel", overflow="fold")
    for heading in ("\nClean", "95 %\ninterval", "Com-\npleted", "Median\nlap", "Best\nlap", "\nTotal"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, report in zip(names, reports, strict=True):
        clean, complete, times = report.clean_rate, report.completion_rate, report.lap_time
        table.add_row(
            escape(name),
            f"{clean.value:.0%}" if clean else "--",
            f"{clean.low:.0%} to {clean.high:.0%}" if clean else "--",
            f"{complete.value:.0%}" if complete else "--",
            lap_time(times.median * 1000) if times else "--",
            lap_time(times.min * 1000) if times else "--",
            race_time(report),
        )
    return table


def tracks_table(names: Sequence[str], reports: Sequence[EvaluationReport], worst: Sequence[str]) -> Table:
    """A row per track: clean laps, lap times, and where most laps ended that were not clean."""
    table = _new_table("Tracks", padding=(0, 1, 0, 0))
    table.add_column("\nTrack", overflow="fold")
    for heading in ("\nClean", "95 %\ninterval", "Com-\npletion", "Median\nlap", "Best\nlap", "Mistakes\nmost at"):
        table.add_column(heading, justify="right", no_wrap=True)
    for name, report, where in zip(names, reports, worst, strict=True):
        clean, times = report.clean_rate, report.clean_lap_time
        table.add_row(
            escape(name),
            f"{clean.value:.0%}" if clean else "--",
            f"{clean.low:.0%} to {clean.high:.0%}" if clean else "--",
            f"{report.completion_mean:.1f} %" if report.completion_mean is not None else "--",
            lap_time(times.median * 1000) if times else "--",
            lap_time(times.min * 1000) if times else "--",
            where,
        )
    return table


def differences_in_words(
    names: Sequence[str], reports: Sequence[EvaluationReport], found: Sequence[Difference]
) -> list[str]:
    """A sentence for each of the surest differences beyond chance, or one that says that there is none."""
    sentences = []
    for each in found[:MAX_SENTENCES]:
        if each.measure == "clean_rate":
            words = f"drives more laps clean than {names[each.worse]}"
            values = f"{_percent(each.better_value)} against {_percent(each.worse_value)}"
        else:
            words = f"is faster than {names[each.worse]}"
            values = f"{each.better_value:.3f} s against {each.worse_value:.3f} s a lap"
        sentences.append(f"{names[each.better]} {words}: {values} ({_chance(each.p_value)}).")
    if len(found) > MAX_SENTENCES:
        sentences.append(f"And {len(found) - MAX_SENTENCES} more; --json lists them.")
    if not sentences:
        fewest = min(report.num_laps for report in reports)
        sentences = [
            f"No difference is beyond chance with {fewest} lap{'' if fewest == 1 else 's'} each; more laps tell more, "
            "such as --laps 200."
        ]
    return sentences


def _chance(p_value: float) -> str:
    """How often models that drive alike would differ so much."""
    times = (
        f"once in {float(f'{1 / p_value:.2g}'):,.0f} times" if p_value > 1e-6 else "less than once in a million times"
    )
    return f"chance alone would show this {times}, p = {p_value:.2g}"


def _new_table(title: str, *, padding: tuple[int, int, int, int] = (0, 1, 0, 1)) -> Table:
    from rich import box
    from rich.table import Table

    return Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD, padding=padding)


def _percent(share: float) -> str:
    return f"{100 * share:.1f} %"


def _range(estimate: Estimate) -> str:
    return f"{_percent(estimate.low)} to {_percent(estimate.high)}"

"""The numbers that a racer asks for first."""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median

from hotlap.analysis.read.run_data import Run
from hotlap.records.events import IterationRecord
from hotlap.wording import counted


@dataclass(frozen=True)
class Fact:
    """One number with its name."""

    label: str
    value: str
    """As shown; a dash if it is not known."""
    detail: str = ""
    """A few words under it, beginning with a small letter."""


def headline(run: Run) -> list[Fact]:
    """Best checkpoint, clean laps, lap time, steps, time, first lap; always the same facts in the same order."""
    return [_best(run), _clean(run), _lap_time(run), _steps(run), _time(run), _first_lap(run)]


def _best_record(run: Run) -> IterationRecord | None:
    """The iteration that made the best checkpoint; None if it is not known."""
    return next((record for record in reversed(run.iterations) if record.is_best), None)


def _best(run: Run) -> Fact:
    record = _best_record(run)
    if run.best is None and record is None:
        return Fact("Best checkpoint", "–", "not known")
    name = str(run.best) if run.best else record.checkpoint if record else ""
    after = f"after iteration {record.number}" if record else ""
    return Fact("Best checkpoint", name.removesuffix(".ckpt"), after)


def _clean(run: Run) -> Fact:
    if run.tally and run.tally.num_laps:
        laps = f"{run.tally.clean_laps:,} of {run.tally.num_laps:,}"
        return Fact("Clean laps", laps, "in all evaluations of the best checkpoint")
    record = _best_record(run) or next((each for each in reversed(run.iterations) if each.evaluation), None)
    if record is None or record.evaluation is None:
        return Fact("Clean laps", "–", "no evaluation is recorded")
    evaluation = record.evaluation
    which = "in an evaluation of the best checkpoint" if _best_record(run) else "in the last evaluation"
    return Fact("Clean laps", f"{round(evaluation.clean_rate * evaluation.num_laps)} of {evaluation.num_laps}", which)


def _lap_time(run: Run) -> Fact:
    if run.tally and run.tally.clean_times_ms:
        times_s = [time / 1000 for time in run.tally.clean_times_ms]
        detail = f"median of the best checkpoint's clean laps, fastest {min(times_s):.2f} s"
        return Fact("Lap time", f"{median(times_s):.2f} s", detail)
    record = _best_record(run)
    if record and record.evaluation and record.evaluation.lap_time_median_s is not None:
        fastest = record.evaluation.lap_time_best_s
        detail = f"median of the best checkpoint{f', fastest {fastest:.2f} s' if fastest is not None else ''}"
        return Fact("Lap time", f"{record.evaluation.lap_time_median_s:.2f} s", detail)
    times = [each.lap_time_best_s for each in run.iterations if each.lap_time_best_s is not None]
    times += [
        each.evaluation.lap_time_best_s
        for each in run.iterations
        if each.evaluation and each.evaluation.lap_time_best_s is not None
    ]
    return (
        Fact("Lap time", f"{min(times):.2f} s", "the fastest lap")
        if times
        else Fact("Lap time", "–", "no complete lap yet")
    )


def _steps(run: Run) -> Fact:
    if not run.iterations:
        return Fact("Steps", f"{len(run.steps):,}" if len(run.steps) else "–", "")
    last = run.iterations[-1]
    played = f"{counted(last.total_episodes, 'episode')}, {counted(len(run.iterations), 'iteration')}"
    return Fact("Steps", f"{last.total_steps:,}", played)


def _time(run: Run) -> Fact:
    if not run.iterations:
        return Fact("Time", "–", "")
    return Fact(
        "Time", duration(run.iterations[-1].elapsed_s), "of training" if run.wall_clock else "on the simulator's clock"
    )


def _first_lap(run: Run) -> Fact:
    for record in run.iterations:
        evaluation = record.evaluation
        if record.laps_completed:
            where = "in training"
        elif evaluation and (evaluation.clean_rate > 0 or evaluation.lap_time_best_s is not None):
            where = "in an evaluation"
        else:
            continue
        return Fact("First complete lap", f"{record.total_steps:,} steps", f"{where}, {duration(record.elapsed_s)}")
    return Fact("First complete lap", "–", "none yet")


def duration(seconds: float) -> str:
    """A time in words, such as 2 min 05 s."""
    if not seconds < 1e9:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"

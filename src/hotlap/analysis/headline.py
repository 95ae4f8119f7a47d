"""The numbers that a racer asks for first."""

from __future__ import annotations

from dataclasses import dataclass

from hotlap.analysis.findings import best_record
from hotlap.analysis.run import Run
from hotlap.wording import counted


@dataclass(frozen=True)
class Fact:
    """One number with its name."""

    label: str
    value: str
    """As shown; a dash if it is not known."""
    detail: str = ""
    """A few words under it."""


def headline(run: Run) -> list[Fact]:
    """Best checkpoint, clean laps, lap time, steps, time; always the same facts in the same order."""
    return [_best(run), _clean(run), _lap_time(run), _steps(run), _time(run), _first_lap(run)]


def _best(run: Run) -> Fact:
    record = best_record(run)
    if run.best is None and record is None:
        return Fact("Best checkpoint", "–", "none is named")
    name = str(run.best) if run.best else record.checkpoint if record else ""
    after = f"after iteration {record.number}" if record else ""
    return Fact("Best checkpoint", name.removesuffix(".ckpt"), after)


def _clean(run: Run) -> Fact:
    record = best_record(run) or next((each for each in reversed(run.iterations) if each.evaluation), None)
    if record is None or record.evaluation is None:
        return Fact("Clean laps", "–", "no evaluation")
    evaluation = record.evaluation
    which = "of the best checkpoint" if best_record(run) else "in the last evaluation"
    return Fact("Clean laps", f"{round(evaluation.clean_rate * evaluation.num_laps)} of {evaluation.num_laps}", which)


def _lap_time(run: Run) -> Fact:
    record = best_record(run)
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
        Fact("Lap time", f"{min(times):.2f} s", "fastest of all") if times else Fact("Lap time", "–", "no complete lap")
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
    first = next((each for each in run.iterations if each.laps_completed), None)
    if first is None:
        return Fact("First lap in training", "–", "none yet")
    return Fact("First lap in training", f"{first.total_steps:,}", f"steps, {duration(first.elapsed_s)}")


def duration(seconds: float) -> str:
    """A time in words, such as 2 min 05 s."""
    if not seconds < 1e9:
        return "–"
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes:02d} min" if hours else f"{minutes} min {rest:02d} s"

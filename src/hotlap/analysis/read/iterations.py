"""One record per iteration, whatever a run left: our own progress file, the metrics of the original, or traces alone.

Every curve of a report is drawn from these records, so that ours and the original's stand on the same axes.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np

from hotlap.analysis.read.episodes import Episodes
from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import STATUS_LABELS, STATUS_NAMES
from hotlap.records.events import EvaluationSummary, IterationRecord, WorkerSummary
from hotlap.records.steps import Steps

_CODES = {label.lower(): STATUS_NAMES.index(name) for name, label in STATUS_LABELS.items()}
_LAP_COMPLETE = STATUS_NAMES.index("lap_complete")
_LARGEST = 1e12


@dataclass(frozen=True, eq=False)
class Results:
    """Records of ``TrainingMetrics.json`` as columns, of all workers; shape (num_records,).

    ``iteration`` is counted: a new one begins where the trial of a training episode starts again. Times in seconds.
    """

    worker: np.ndarray
    iteration: np.ndarray
    training: np.ndarray
    """Whether it was a training episode, else one of an evaluation within the training."""
    reward: np.ndarray
    progress: np.ndarray
    complete: np.ndarray
    seconds: np.ndarray
    end: np.ndarray
    """Simulation clock at its end [s]."""

    def __len__(self) -> int:
        return len(self.worker)


def results_of(records: Iterable[Mapping[str, Any]], worker: int) -> tuple[Results, int]:
    """The records of one worker's metrics file, and how many were left out because they are damaged."""
    rows, num_damaged = [], 0
    for record in records:
        try:
            row = [float(record[name]) for name in ("reward_score", "completion_percentage", "metric_time", "trial")]
            row.append(float(record["elapsed_time_in_milliseconds"]))
            training = record.get("phase", "training") == "training"
            status = _CODES.get(str(record.get("episode_status", "")).lower(), -1)
        except (KeyError, TypeError, ValueError, OverflowError):
            num_damaged += 1
            continue
        if not all(abs(value) < _LARGEST for value in row):
            num_damaged += 1
            continue
        rows.append((*row, training, status))
    table = np.array(rows, dtype=np.float64).reshape(-1, 7)
    reward, progress, end, trial, elapsed, phases, codes = table.T
    in_training = phases > 0
    begins = np.zeros(len(table), dtype=np.int64)
    order = np.flatnonzero(in_training)
    begins[order[1:]] = np.diff(trial[order]) <= 0
    return Results(
        worker=np.full(len(table), worker),
        iteration=np.cumsum(begins),
        training=in_training,
        reward=reward,
        progress=np.clip(progress, 0.0, 100.0),
        complete=(codes == _LAP_COMPLETE) | (progress >= 100.0),
        seconds=elapsed / 1000,
        end=end / 1000,
    ), num_damaged


def joined_results(parts: Sequence[Results]) -> Results:
    """One table of the workers' tables."""
    return Results(
        **{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Results)}
    )


def records_of(results: Results, steps: Steps, episodes: Episodes, *, best_number: int | None) -> list[IterationRecord]:
    """Records made from metrics and traces, each of which may be empty.

    Steps of an iteration without a trace are those that its simulated time has room for. ``elapsed_s`` is the
    simulator's clock.

    Args:
        results: Metrics, by which an iteration is known if there are any; else by its trace.
        steps: The traces.
        episodes: Their episodes.
        best_number: Number of the best checkpoint; iteration i makes checkpoint i + 1.
    """
    if not len(results):
        results = _results_of_episodes(steps, episodes)
    records: list[IterationRecord] = []
    total_episodes = total_steps = 0
    clock = 0.0
    traced = np.bincount(steps.iteration) if len(steps) else np.zeros(0, dtype=np.int64)
    for iteration in np.unique(results.iteration).tolist():
        here = results.iteration == iteration
        training, evaluated = here & results.training, here & ~results.training
        num_steps = int(traced[iteration]) if iteration < len(traced) else 0
        num_steps = num_steps or round(float(results.seconds[training].sum()) / CONTROL_PERIOD)
        total_episodes += int(training.sum())
        total_steps += num_steps
        first = here & (results.worker == results.worker[here][0])
        clock += float(max(results.end[first].max() - (results.end - results.seconds)[first].min(), 0.0))
        laps = results.seconds[training & results.complete]
        records.append(
            IterationRecord(
                iteration=iteration,
                checkpoint="",
                total_episodes=total_episodes,
                total_steps=total_steps,
                elapsed_s=clock,
                num_episodes=int(training.sum()),
                num_steps=num_steps,
                reward_mean=_mean(results.reward[training]),
                completion_mean=_mean(results.progress[training]),
                laps_completed=len(laps),
                lap_time_best_s=float(laps.min()) if len(laps) else None,
                evaluation=_evaluation(results, evaluated),
                is_best=iteration + 1 == best_number,
                workers=_workers(results, training, steps, iteration),
            )
        )
    return records


def with_wall_clock(records: Sequence[IterationRecord], steps: Steps) -> tuple[bool, list[IterationRecord]]:
    """Records with the times that the newest traces of the original tell, and whether there are any.

    Driving ends with the last step of an iteration; until the first step of the next one it learns and evaluates.
    """
    clocked = np.isfinite(steps.wall_clock)
    if not clocked.any() or np.array_equal(steps.wall_clock[clocked], steps.time[clocked]):
        return False, list(records)
    number, clock = steps.iteration[clocked], steps.wall_clock[clocked]
    order = np.argsort(number, kind="stable")
    numbers, begins = np.unique(number[order], return_index=True)
    first, last = np.minimum.reduceat(clock[order], begins), np.maximum.reduceat(clock[order], begins)
    known = {
        each: (begin, end) for each, begin, end in zip(numbers.tolist(), first.tolist(), last.tolist(), strict=True)
    }
    timed = []
    for record in records:
        begin, end = known.get(record.iteration, (np.nan, np.nan))
        following, _ = known.get(record.iteration + 1, (np.nan, np.nan))
        stages = {"collect": end - begin, "update and evaluate": following - end}
        timed.append(
            replace(
                record,
                elapsed_s=(following if following >= end else end) - float(first.min()),
                stages_s={name: seconds for name, seconds in stages.items() if seconds >= 0},
            )
        )
    return True, timed


def sound_records(records: Iterable[IterationRecord]) -> tuple[list[IterationRecord], int]:
    """Records whose numbers a figure can show, and how many were left out; a progress file may be damaged.

    A measurement that no training reaches is NaN, like one that was not finite; with a count like that a record is
    damaged.
    """
    kept, num_damaged = [], 0
    for record in records:
        try:
            kept.append(_sound(record))
        except ValueError:
            num_damaged += 1
    return kept, num_damaged


def _sound(value: Any) -> Any:
    """A record, or a value of one. Raises ValueError if it cannot be sound."""
    if isinstance(value, float):
        return value if abs(value) < _LARGEST else np.nan
    if isinstance(value, int) and not 0 <= value < _LARGEST:
        raise ValueError(value)
    if isinstance(value, list):
        return [_sound(each) for each in value]
    if isinstance(value, dict):
        return {name: _sound(each) for name, each in value.items()}
    if isinstance(value, IterationRecord | EvaluationSummary | WorkerSummary):
        return replace(value, **{each.name: _sound(getattr(value, each.name)) for each in fields(value)})
    return value


def _results_of_episodes(steps: Steps, episodes: Episodes) -> Results:
    last = episodes.first + episodes.num_steps - 1
    return Results(
        worker=episodes.worker,
        iteration=episodes.iteration,
        training=np.ones(len(episodes), dtype=bool),
        reward=episodes.reward,
        progress=episodes.progress,
        complete=episodes.complete,
        seconds=episodes.seconds,
        end=steps.time[last],
    )


def _evaluation(results: Results, evaluated: np.ndarray) -> EvaluationSummary | None:
    if not evaluated.any():
        return None
    complete = results.complete[evaluated]
    times = results.seconds[evaluated][complete]
    return EvaluationSummary(
        num_laps=int(evaluated.sum()),
        completion_mean=_mean(results.progress[evaluated]),
        clean_rate=float(complete.mean()),
        reward_mean=_mean(results.reward[evaluated]),
        lap_time_median_s=float(np.median(times)) if len(times) else None,
        lap_time_best_s=float(times.min()) if len(times) else None,
    )


def _workers(results: Results, training: np.ndarray, steps: Steps, iteration: int) -> list[WorkerSummary]:
    """Empty with a single worker."""
    workers = np.unique(results.worker)
    if len(workers) < 2:
        return []
    summaries = []
    for worker in workers.tolist():
        mine = training & (results.worker == worker)
        summaries.append(
            WorkerSummary(
                worker=worker,
                track="",
                num_episodes=int(mine.sum()),
                num_steps=int(np.sum((steps.iteration == iteration) & (steps.worker == worker))),
                reward_mean=_mean(results.reward[mine]) if mine.any() else None,
                completion_mean=_mean(results.progress[mine]) if mine.any() else None,
                laps_completed=int(results.complete[mine].sum()),
            )
        )
    return summaries


def _mean(values: np.ndarray) -> float:
    return float(values.mean()) if len(values) else np.nan

"""Traces as steps in the order driven, whatever their age (see ``trace_table``)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from hotlap.analysis.read.steps import Steps
from hotlap.analysis.read.trace_table import MAX_BYTES, NOT_LOGGED, TraceTable, read_table
from hotlap.deepracer.statuses import STATUS_NAMES

__all__ = ["MAX_BYTES", "read_trace"]

_CODES = {name: code for code, name in enumerate(STATUS_NAMES)}
_UNKNOWN, _IN_PROGRESS = _CODES["unknown"], _CODES["in_progress"]


def read_trace(data: bytes, *, source: str, worker: int = 0, iteration: int | None = 0) -> tuple[Steps, int]:
    """Read a trace.

    Args:
        data: The file, a CSV with a header or a log, gzipped or not.
        source: Its name, for the error.
        worker: Whose it is.
        iteration: Of which iteration; None: of those that the file itself tells, or the first.

    Returns:
        The steps, episodes numbered from 0, and how many rows were left out because they are damaged.

    Raises:
        RecordError: If it is no trace.
    """
    table = read_table(data, source=source)
    return _in_order(_steps(table, worker, iteration)), table.num_damaged


def _steps(table: TraceTable, worker: int, iteration: int | None) -> Steps:
    number, num_steps = table.number, len(table)
    guessed = _guessed_status(table.done, table.on_track, number["progress"])
    never = bool((table.status == NOT_LOGGED).all())
    status = guessed if never else np.where(table.status == NOT_LOGGED, _UNKNOWN, table.status).astype(np.int8)
    return Steps(
        worker=np.full(num_steps, worker),
        iteration=np.full(num_steps, iteration) if iteration is not None else np.maximum(table.iteration, 0),
        episode=number["episode"].astype(np.int64),
        step=number["steps"].astype(np.int64),
        x=number["X"],
        y=number["Y"],
        yaw=number["yaw"],
        steer=number["steer"],
        throttle=number["throttle"],
        action=table.action,
        reward=number["reward"],
        on_track=table.on_track,
        progress=number["progress"],
        waypoint=number["closest_waypoint"].astype(np.int64),
        track_length=number["track_len"],
        time=number["tstamp"],
        status=status,
        wall_clock=table.wall_clock,
    )


def _in_order(steps: Steps) -> Steps:
    """Steps in the order driven, with episodes numbered from 0. Logs that were collected backwards are turned round."""
    if np.any((np.diff(steps.step) < 0) & (np.diff(steps.episode) == 0)):
        steps = steps.where(np.lexsort((steps.time, steps.episode)))
    begins = np.ones(len(steps), dtype=bool)
    begins[1:] = (np.diff(steps.episode) != 0) | (np.diff(steps.step) < 0)
    # The laps of a continuous evaluation may share an episode.
    begins[1:] |= (steps.progress[:-1] >= 100.0) & (steps.progress[1:] < 50.0)
    return replace(steps, episode=np.cumsum(begins) - 1)


def _guessed_status(done: np.ndarray, on_track: np.ndarray, progress: np.ndarray) -> np.ndarray:
    """What the status would have been, for traces of 2019, which have none."""
    status = np.full(len(done), _IN_PROGRESS, dtype=np.int8)
    status[done] = _UNKNOWN
    status[done & ~on_track] = _CODES["off_track"]
    status[done & (progress >= 100.0)] = _CODES["lap_complete"]
    return status

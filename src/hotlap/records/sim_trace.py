"""Simulation traces: one row per control step, in the 19 columns of the original, as CSV and as lines for a log.

Columns arrive as arrays, one `TraceRows` per episode, and leave as text in one go, so that nothing is formatted while
cars drive. Source of the columns and their formats: DeepRacer simapp 6.0.5, ``markov/metrics``.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, fields
from itertools import repeat

import numpy as np

from hotlap.deepracer.trace import LOG_MARK, TRACE_COLUMNS
from hotlap.records.store import Store

# Single-precision values carry about seven digits: six decimals keep a position to a micrometre, and the text short.
_SINGLE_DECIMALS = 6


@dataclass(frozen=True, eq=False)
class TraceRows:
    """The trace of one episode. Every column is an array of shape (num_steps,), or one value for all steps.

    Double-precision columns are written with all their digits, single-precision ones with six decimals.
    """

    episode: int | np.ndarray
    """Counter of this worker over the whole training, from 0; in evaluation the number of completed trials."""

    steps: np.ndarray
    """Step in the episode, from 1. Gives the number of rows."""

    x: np.ndarray
    """Front point of the car [m]."""

    y: np.ndarray

    yaw: np.ndarray
    """Heading [deg]."""

    steer: np.ndarray
    """Commanded steering [deg], left positive."""

    throttle: np.ndarray
    """Commanded speed [m/s]."""

    action: np.ndarray
    """Index of the action, shape (num_steps,); continuous: steering [deg] and speed [m/s], shape (num_steps, 2)."""

    reward: np.ndarray

    done: np.ndarray
    """Whether the episode ended with this step."""

    all_wheels_on_track: np.ndarray

    progress: np.ndarray
    """Percent of the lap."""

    closest_waypoint: np.ndarray

    track_len: float | np.ndarray
    """Length of the center line [m]."""

    tstamp: np.ndarray
    """Simulation clock of the worker [s]."""

    episode_status: str | np.ndarray
    """Internal status such as ``in_progress`` or ``off_track``."""

    pause_duration: float | np.ndarray = 0.0
    """Penalty that remains [s]."""

    obstacle_crash_counter: int | np.ndarray = 0

    wall_clock: np.ndarray | None = None
    """Seconds since the epoch. None repeats ``tstamp``, as if the job had begun at time zero and run in real time:
    a trace then depends on the seed alone, and two runs of it are equal byte by byte."""

    def __post_init__(self) -> None:
        num_steps = len(self.steps)
        for each in fields(self):
            column = getattr(self, each.name)
            if isinstance(column, np.ndarray) and column.ndim and len(column) != num_steps:
                raise ValueError(f"column {each.name} has {len(column)} rows, steps has {num_steps}")

    def __len__(self) -> int:
        return len(self.steps)


def training_trace_key(iteration: int, worker: int | None = None) -> str:
    """Key of a training iteration's trace; ``worker`` only where there are several."""
    prefix = "" if worker is None else f"{worker}/"
    return f"{prefix}training-simtrace/{iteration}-iteration.csv"


def evaluation_trace_key(stamp: str) -> str:
    """Key of an evaluation's trace; ``stamp`` is 14 digits, YYYYMMDDhhmmss, which the analysis tools look for."""
    if len(stamp) != 14 or not stamp.isdigit():
        raise ValueError(f"an evaluation's stamp is 14 digits, YYYYMMDDhhmmss; got {stamp!r}")
    return f"evaluation-{stamp}/evaluation-simtrace/0-iteration.csv"


def write_trace(store: Store, key: str, episodes: Iterable[TraceRows]) -> None:
    """Write the trace of an iteration or evaluation, whole or not at all.

    Raises:
        RecordError: If it could not be written.
    """
    store.put(key, format_csv(episodes).encode())


def format_csv(episodes: Iterable[TraceRows]) -> str:
    """The text of a trace file, header included."""
    lines = [",".join(TRACE_COLUMNS)]
    for rows in episodes:
        lines.extend(map(",".join, zip(*_csv_columns(rows), strict=False)))
    return "\n".join(lines) + "\n"


def format_log_lines(rows: TraceRows) -> list[str]:
    """The ``SIM_TRACE_LOG`` line of each step, for standard output."""
    columns = (
        _integers(rows.episode),
        _integers(rows.steps),
        _fixed(rows.x, "%.4f"),
        _fixed(rows.y, "%.4f"),
        _fixed(rows.yaw, "%.4f"),
        _fixed(rows.steer, "%.2f"),
        _fixed(rows.throttle, "%.2f"),
        _actions(rows.action),
        _fixed(rows.reward, "%.4f"),
        _booleans(rows.done),
        _booleans(rows.all_wheels_on_track),
        _fixed(rows.progress, "%.4f"),
        _integers(rows.closest_waypoint),
        _fixed(rows.track_len, "%.2f"),
        _floats(rows.tstamp),
        _texts(rows.episode_status),
        _fixed(rows.pause_duration, "%.2f"),
        _integers(rows.obstacle_crash_counter),
        _fixed(rows.tstamp if rows.wall_clock is None else rows.wall_clock, "%.4f"),
    )
    return [f"{LOG_MARK}{','.join(row)}" for row in zip(*columns, strict=False)]


def _csv_columns(rows: TraceRows) -> tuple[Iterable[str], ...]:
    tstamp = list(_floats(rows.tstamp, len(rows)))
    return (
        _integers(rows.episode),
        _floats(np.asarray(rows.steps, dtype=np.float64)),
        _floats(rows.x),
        _floats(rows.y),
        _floats(rows.yaw),
        _floats(rows.steer),
        _floats(rows.throttle),
        _actions(rows.action),
        _floats(rows.reward),
        _booleans(rows.done),
        _booleans(rows.all_wheels_on_track),
        _floats(rows.progress),
        _integers(rows.closest_waypoint),
        _floats(rows.track_len),
        tstamp,
        _texts(rows.episode_status),
        _floats(rows.pause_duration),
        _integers(rows.obstacle_crash_counter),
        tstamp if rows.wall_clock is None else _floats(rows.wall_clock),
    )


# A column given as one value is formatted once; `repeat` ends with the columns that have a length.
def _floats(column: object, num_steps: int | None = None) -> Iterator[str]:
    values = np.asarray(column)
    if values.dtype.itemsize < 8 or values.dtype.kind != "f":
        values = np.round(values.astype(np.float64), _SINGLE_DECIMALS) + 0.0  # + 0.0: no "-0.0"
    if values.ndim == 0:
        text = repr(values.item())
        return repeat(text) if num_steps is None else repeat(text, num_steps)
    return map(repr, values.tolist())


def _fixed(column: object, template: str) -> Iterator[str]:
    values = np.asarray(column)
    if values.ndim == 0:
        return repeat(template % values.item())
    return map(template.__mod__, values.tolist())


def _integers(column: object) -> Iterator[str]:
    values = np.asarray(column).astype(np.int64)
    return repeat(str(values.item())) if values.ndim == 0 else map(str, values.tolist())


def _booleans(column: object) -> Iterator[str]:
    values = np.asarray(column, dtype=bool)
    if values.ndim == 0:
        return repeat(str(values.item()))
    return map(("False", "True").__getitem__, values.tolist())


def _texts(column: str | np.ndarray) -> Iterator[str]:
    return repeat(column) if isinstance(column, str) else iter(column.tolist())


def _actions(column: np.ndarray) -> Iterator[str]:
    values = np.asarray(column)
    if values.ndim < 2:
        return _integers(values)
    # A comma would split the field: the original prints the pair as an array does.
    return map("[{} {}]".format, _floats(values[:, 0]), _floats(values[:, 1]))

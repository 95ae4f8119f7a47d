"""Simulation traces: one row per control step, in the 19 columns of the original, as CSV and as lines for a log.

Steps leave as text in one go, so that nothing is formatted while cars drive; `hotlap.records.trace_reader` reads them
back. Source of the formats: DeepRacer simapp 6.0.5, ``markov/metrics``.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

import numpy as np

from hotlap.deepracer.statuses import STATUS_NAMES
from hotlap.deepracer.trace import LOG_MARK, TRACE_COLUMNS
from hotlap.records.steps import Steps
from hotlap.records.store import Store

# Single-precision values carry about seven digits: six decimals keep a position to a micrometre, and the text short.
_SINGLE_DECIMALS = 6
_LOG_DECIMALS = {
    **dict.fromkeys(("x", "y", "heading", "reward", "progress", "wall_clock"), 4),
    **dict.fromkeys(("steering_angle", "speed", "track_length", "pause_duration"), 2),
}


def training_trace_key(iteration: int, worker: int | None = None) -> str:
    """Key of a training iteration's trace; ``worker`` only where there are several."""
    prefix = "" if worker is None else f"{worker}/"
    return f"{prefix}training-simtrace/{iteration}-iteration.csv"


def evaluation_trace_key(stamp: str) -> str:
    """Key of an evaluation's trace; ``stamp`` is 14 digits, YYYYMMDDhhmmss, which the analysis tools look for."""
    if len(stamp) != 14 or not stamp.isdigit():
        raise ValueError(f"an evaluation's stamp is 14 digits, YYYYMMDDhhmmss; got {stamp!r}")
    return f"evaluation-{stamp}/evaluation-simtrace/0-iteration.csv"


def write_trace(store: Store, key: str, episodes: Iterable[Steps]) -> None:
    """Write the trace of an iteration or evaluation, whole or not at all.

    Raises:
        RecordError: If it could not be written.
    """
    store.put(key, format_csv(episodes).encode())


def format_csv(episodes: Iterable[Steps]) -> str:
    """The text of a trace file, header included.

    Double-precision columns are written with all their digits, single-precision ones with six decimals.
    """
    lines = [",".join(TRACE_COLUMNS)]
    for steps in map(_clocked, episodes):
        columns = _texts(steps) | {"step": map(repr, steps.step.astype(np.float64).tolist())}  # as the original counts
        lines.extend(map(",".join, zip(*columns.values(), strict=True)))
    return "\n".join(lines) + "\n"


def format_log_lines(steps: Steps) -> list[str]:
    """The ``SIM_TRACE_LOG`` line of each step, for standard output."""
    steps = _clocked(steps)
    columns = _texts(steps) | {
        name: map(f"%.{decimals}f".__mod__, steps.columns[name].tolist()) for name, decimals in _LOG_DECIMALS.items()
    }
    return [f"{LOG_MARK}{','.join(row)}" for row in zip(*columns.values(), strict=True)]


def _clocked(steps: Steps) -> Steps:
    """With a wall clock: where none is known that of the simulation, as if the job had begun at time zero and run in
    real time. A trace then depends on the seed alone, and two runs of it are equal byte by byte."""
    return replace(steps, wall_clock=np.where(np.isnan(steps.wall_clock), steps.time, steps.wall_clock))


def _texts(steps: Steps) -> dict[str, Iterable[str]]:
    """Each column of a trace, by our names, in its order and with all its digits."""
    texts = {name: _text(steps.columns[name]) for name in TRACE_COLUMNS.values()}
    texts["status"] = map(STATUS_NAMES.__getitem__, steps.status.tolist())
    if np.any(steps.action < 0):  # continuous; a comma would split the field
        texts["action"] = map("[{} {}]".format, _text(steps.steering_angle), _text(steps.speed))
    return texts


def _text(column: np.ndarray) -> Iterable[str]:
    if column.dtype == np.float32:
        column = np.round(column.astype(np.float64), _SINGLE_DECIMALS) + 0.0  # + 0.0: no "-0.0"
    return map(repr, column.tolist())

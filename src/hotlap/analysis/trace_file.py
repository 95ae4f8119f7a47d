"""Simulation traces of any age read back: ours and those of every version of the original.

The number of columns has grown with the versions, from 15 in 2019 to 19, and the header says which are there. Before
there was a status, angles were in radians. Rows that a kill tore, or that are not a step for another reason, are left
out and counted. Columns: DeepRacer simapp, ``markov/metrics``.
"""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import fields, replace
from io import BytesIO
from itertools import islice

import numpy as np

from hotlap.analysis.steps import STATUSES, Steps
from hotlap.errors import RecordError

MAX_BYTES = 256 * 1024**2  # a hundred times an ordinary trace
MAX_COLUMNS = 200  # ten times those of any version
MAX_LINE = 1 << 14  # characters; a longer line is no row
MAX_DAMAGED = 100_000  # rows; kills leave a few
_ROWS_AT_ONCE = 50_000  # as texts they take twenty times the room of the numbers

# Columns of numbers, and what no sound value reaches: a row with a wilder one is damaged, and would blow up a figure.
_NUMBERS = {
    "episode": 1e9,
    "steps": 1e9,
    "X": 1e4,
    "Y": 1e4,
    "yaw": 1e6,
    "steer": 1e6,
    "throttle": 1e3,
    "reward": 1e12,
    "progress": 1e6,
    "closest_waypoint": 1e5,
    "track_len": 1e5,
    "tstamp": 1e12,
}
_REQUIRED = (*_NUMBERS, "action", "done", "all_wheels_on_track")
_CODES = {name: code for code, name in enumerate(STATUSES)}
_UNKNOWN, _IN_PROGRESS = _CODES["unknown"], _CODES["in_progress"]


def read_trace(data: bytes, *, source: str, worker: int = 0, iteration: int = 0) -> tuple[Steps, int]:
    """Read a trace.

    Args:
        data: The file, a CSV with a header.
        source: Its name, for the error.
        worker: Whose it is.
        iteration: Of which iteration.

    Returns:
        The steps, episodes numbered from 0, and how many rows were left out because they are damaged.

    Raises:
        RecordError: If it is no trace.
    """
    if len(data) > MAX_BYTES:
        raise RecordError(
            f"{source} has {len(data) >> 20} MiB, more than any trace (at most {MAX_BYTES >> 20} MiB). Move it away."
        )
    rows = csv.reader(_lines(data))
    try:
        header = next(rows, [])
        absent = [name for name in _REQUIRED if name not in header]
        if absent or len(header) > MAX_COLUMNS:
            raise _no_trace(source, header, absent)
        parts, num_damaged = [], 0
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            columns, damaged = _columns(header, some)
            parts.append(_steps(columns, worker, iteration))
            num_damaged += damaged
            if num_damaged > MAX_DAMAGED:
                raise RecordError(f"{source} is no trace: {num_damaged} of its rows are damaged. Move it away.")
    except csv.Error as error:
        raise RecordError(f"{source} is no trace: it is no CSV file ({error}). Move it away.") from error
    parts = parts or [Steps.none()]
    steps = Steps(**{each.name: np.concatenate([getattr(part, each.name) for part in parts]) for each in fields(Steps)})
    return _in_order(steps), num_damaged


def _no_trace(source: str, header: list[str], absent: list[str]) -> RecordError:
    lack = f"it lacks the columns {', '.join(absent)}" if absent else f"it has {len(header)} columns"
    return RecordError(
        f"{source} is no trace: {lack if header else 'it is empty'}. A trace begins with a line like "
        "episode,steps,X,Y,yaw,steer,throttle,… Move the file away, or restore it from a copy."
    )


def _lines(data: bytes) -> Iterator[str]:
    """The lines of a file; one that is too long for a row is empty."""
    for line in BytesIO(data):
        if len(line) > MAX_LINE:
            yield ""
        else:
            yield from line.decode(errors="replace").splitlines()


def _columns(header: list[str], rows: list[list[str]]) -> tuple[dict[str, np.ndarray | Sequence[str]], int]:
    """Columns by name, numbers as float64, and the number of rows left out."""
    whole = [row for row in rows if len(row) == len(header)]
    columns = _parsed(header, whole)
    if columns is None:  # one by one, to find the rows that cannot be read
        whole = [row for row in whole if _parsed(header, [row]) is not None]
        columns = _parsed(header, whole)
        assert columns is not None
    sound = np.ones(len(whole), dtype=bool)
    for name, limit in _NUMBERS.items():
        sound &= np.abs(np.asarray(columns[name])) < limit  # which NaN is not either
    sound &= np.asarray(columns["closest_waypoint"]) >= 0
    if not sound.all():
        whole = [row for row, kept in zip(whole, sound, strict=True) if kept]
        columns = _parsed(header, whole)
        assert columns is not None
    return columns, len(rows) - len(whole)


def _parsed(header: list[str], rows: list[list[str]]) -> dict[str, np.ndarray | Sequence[str]] | None:
    """Columns of rows as long as the header; None if something that must be a number is none."""
    texts: Iterable[Sequence[str]] = zip(*rows, strict=True) if rows else [()] * len(header)
    columns: dict[str, np.ndarray | Sequence[str]] = dict(zip(header, texts, strict=True))
    try:
        for name in _NUMBERS:
            columns[name] = np.fromiter(map(float, columns[name]), dtype=np.float64, count=len(rows))
    except (ValueError, OverflowError):
        return None
    return columns


def _steps(columns: dict[str, np.ndarray | Sequence[str]], worker: int, iteration: int) -> Steps:
    number = {name: np.asarray(columns[name], dtype=np.float64) for name in _NUMBERS}
    num_steps = len(number["X"])
    on_track = _booleans(columns["all_wheels_on_track"])
    in_radians = "episode_status" not in columns
    if in_radians:
        status = _guessed_status(_booleans(columns["done"]), on_track, number["progress"])
        number["yaw"], number["steer"] = np.rad2deg(number["yaw"]), np.rad2deg(number["steer"])
    else:
        status = np.array([_CODES.get(text, _UNKNOWN) for text in columns["episode_status"]], dtype=np.int8)
    return Steps(
        worker=np.full(num_steps, worker),
        iteration=np.full(num_steps, iteration),
        episode=number["episode"].astype(np.int64),
        step=number["steps"].astype(np.int64),
        x=number["X"],
        y=number["Y"],
        yaw=number["yaw"],
        steer=number["steer"],
        throttle=number["throttle"],
        action=np.fromiter(map(_action, columns["action"]), dtype=np.int64, count=num_steps),
        reward=number["reward"],
        on_track=on_track,
        progress=number["progress"],
        waypoint=number["closest_waypoint"].astype(np.int64),
        track_length=number["track_len"],
        time=number["tstamp"],
        status=status,
        wall_clock=_wall_clock(columns.get("wall_clock"), num_steps),
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


def _booleans(texts: np.ndarray | Sequence[str]) -> np.ndarray:
    return np.array([text in ("True", "true", "1") for text in texts], dtype=bool)


def _action(text: str) -> int:
    """Index of an action; -1 for what is none, such as the pair of a continuous action."""
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else -1


def _wall_clock(texts: np.ndarray | Sequence[str] | None, num_steps: int) -> np.ndarray:
    """The column, NaN where it is absent or this version left it empty."""
    try:
        clock = np.array([float(text) for text in texts], dtype=np.float64) if texts is not None else np.zeros(0)
    except ValueError:
        clock = np.zeros(0)
    if len(clock) != num_steps:
        return np.full(num_steps, np.nan)
    return np.where(np.abs(clock) < _NUMBERS["tstamp"], clock, np.nan)

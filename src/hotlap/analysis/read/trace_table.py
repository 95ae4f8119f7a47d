"""Simulation traces of any age and form as columns: ours and those of every version of the original.

They come as CSV, gzipped or not, or as the lines ``SIM_TRACE_LOG:…`` of a log, whatever else stands in it. The number
of columns has grown with the versions, from 15 in 2019 to 19. Rows that a kill tore, or that are not a step for another
reason, are left out and counted. Columns: DeepRacer simapp, ``markov/metrics``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain, islice

import numpy as np

from hotlap.bounded import gunzip
from hotlap.deepracer.statuses import STATUS_NAMES
from hotlap.deepracer.trace import LOG_MARK, TRACE_COLUMNS
from hotlap.errors import RecordError

MAX_BYTES = 256 * 1024**2  # a hundred times an ordinary trace
MAX_COLUMNS = 200  # ten times those of any version
MAX_LINE = 1 << 14  # characters; a longer line is no row
MAX_DAMAGED = 100_000  # rows; kills leave a few
_MARK = LOG_MARK.encode()
_COLUMNS = tuple(TRACE_COLUMNS)
NOT_LOGGED = -1  # in ``status`` and ``iteration``
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
REQUIRED = (*_NUMBERS, "action", "done", "all_wheels_on_track")
_TRAINING_LINE = re.compile(rb"Training> Name=[^\n]{0,200}?Episode=(\d{1,9}),[^\n]{0,200}?Training iteration=(\d{1,9})")
_EPISODES_LINE = re.compile(rb"num_episodes_between_training[\"']?\s{0,9}[:=]\s{0,9}[\"']?(\d{1,6})")
_EPISODES = 20  # of an iteration, by default
_EPOCH = 1e8  # [s] the clock of a simulation never gets there, that of a wall is far beyond
_LARGEST_RADIANS = 1.0  # the greatest steering in radians is half of it; in degrees every car has had many
_CODES = {name: code for code, name in enumerate(STATUS_NAMES)}
_UNKNOWN = _CODES["unknown"]


@dataclass(frozen=True, eq=False)
class TraceTable:
    """The sound rows of a trace, in the order logged; every array has shape (num_rows,).

    Angles are in degrees here, also where 2019 logged radians.
    """

    number: Mapping[str, np.ndarray]
    """The columns of numbers by name, float64."""
    action: np.ndarray
    """Index of the action; -1 for what is none, such as the pair of a continuous action."""
    done: np.ndarray
    on_track: np.ndarray
    status: np.ndarray
    """Index into ``STATUS_NAMES``, int8; `NOT_LOGGED` where there is none."""
    iteration: np.ndarray
    """Of the job; `NOT_LOGGED` where the file does not tell."""
    wall_clock: np.ndarray
    """[s] since the epoch; NaN where not logged."""
    columns: frozenset[str]
    """Those that hold something."""
    in_radians: bool
    """Whether the angles were logged in radians, as in 2019."""
    num_damaged: int
    """Rows that were left out."""

    def __len__(self) -> int:
        return len(self.done)

    @property
    def on_wall_clock(self) -> bool:
        """Whether the stamps are those of a wall clock, as until 2021."""
        return bool(len(self)) and float(np.median(self.number["tstamp"])) > _EPOCH


def is_trace(head: bytes) -> bool:
    """Whether the first bytes of a file, unpacked, are those of a trace in CSV form."""
    header = head.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace").strip().split(",")
    return set(REQUIRED) <= set(header)


def read_table(data: bytes, *, source: str) -> TraceTable:
    """Read a trace.

    Args:
        data: The file: a CSV with a header, or a log with ``SIM_TRACE_LOG`` lines; either may be gzipped.
        source: Its name, for the error.

    Raises:
        RecordError: If it is no trace.
    """
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gunzip(data, MAX_BYTES)
        except ValueError as error:
            raise RecordError(f"{source} is no trace: {error}. Copy the file again.") from None
    if len(data) > MAX_BYTES:
        raise RecordError(
            f"{source} has {len(data) >> 20} MiB, more than any trace (at most {MAX_BYTES >> 20} MiB). Move it away."
        )
    rows = csv.reader(_lines_of_log(data) if _MARK in data else _lines(data))
    parts: list[TraceTable] = []
    try:
        header = next(rows, [])
        absent = [name for name in REQUIRED if name not in header]
        if absent or len(header) > MAX_COLUMNS:
            raise _no_trace(source, header, absent)
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            parts.append(_part(header, some))
            num_damaged = sum(part.num_damaged for part in parts)
            if num_damaged > MAX_DAMAGED:
                raise RecordError(f"{source} is no trace: {num_damaged} of its rows are damaged. Move it away.")
    except csv.Error as error:
        raise RecordError(f"{source} is no trace: it is no CSV file ({error}). Move it away.") from error
    table = _joined(parts or [_part(header, [])])
    if _MARK in data:
        table = replace(table, iteration=_iterations_in_log(data, table.number["episode"].astype(np.int64)))
    return _in_degrees(table)


def _joined(parts: Sequence[TraceTable]) -> TraceTable:
    arrays = ("action", "done", "on_track", "status", "iteration", "wall_clock")
    return TraceTable(
        number={name: np.concatenate([part.number[name] for part in parts]) for name in _NUMBERS},
        columns=frozenset().union(*(part.columns for part in parts)),
        in_radians=False,
        num_damaged=sum(part.num_damaged for part in parts),
        **{name: np.concatenate([getattr(part, name) for part in parts]) for name in arrays},
    )


def _in_degrees(table: TraceTable) -> TraceTable:
    """The rows of a whole file, whose angles are as logged."""
    steer = np.abs(table.number["steer"])
    # 2019 had no status.
    if (table.status != NOT_LOGGED).any() or float(steer.max(initial=0.0)) >= _LARGEST_RADIANS:
        return table
    turned = {name: np.rad2deg(table.number[name]) for name in ("yaw", "steer")}
    return replace(table, number={**table.number, **turned}, in_radians=True)


def _no_trace(source: str, header: list[str], absent: list[str]) -> RecordError:
    lack = f"it lacks the columns {', '.join(absent)}" if absent else f"it has {len(header)} columns"
    return RecordError(
        f"{source} is no trace: {lack if header else 'it is empty'}. A trace begins with a line like "
        "episode,steps,X,Y,yaw,steer,throttle,… Move the file away, or restore it from a copy."
    )


def _lines(data: bytes) -> Iterator[str]:
    """The lines of a file; one that is too long for a row is empty."""
    for line in BytesIO(data.removeprefix(b"\xef\xbb\xbf")):
        if len(line) > MAX_LINE:
            yield ""
        else:
            yield from line.decode(errors="replace").splitlines()


def _lines_of_log(data: bytes) -> Iterator[str]:
    """A header that fits, and what the lines of a log say behind the mark."""
    rows = (_row_of_log(line) for line in BytesIO(data) if _MARK in line)
    first = next(rows, "")
    yield ",".join(_columns_of_log(first))
    yield from chain([first], rows)


def _iterations_in_log(data: bytes, episode: np.ndarray) -> np.ndarray:
    """The iteration of each episode, by the lines that tell it, else by how many episodes an iteration has."""
    told = [(int(match[1]) - 1, int(match[2])) for match in _TRAINING_LINE.finditer(data)]  # counted from 1
    if told:
        last, number = np.array(sorted(told)).T
        return number[np.minimum(np.searchsorted(last, episode), len(last) - 1)]
    match = _EPISODES_LINE.search(data)
    return episode // max(1, int(match[1])) if match else episode // _EPISODES


def _row_of_log(line: bytes) -> str:
    return "" if len(line) > MAX_LINE else line.partition(_MARK)[2].decode(errors="replace").strip()


def _columns_of_log(row: str) -> tuple[str, ...]:
    """What the values of a log's row are: columns were only ever added at the end."""
    values = row.split(",")
    pair = values[7].startswith("[") and "]" not in values[7] if len(values) > 7 else False
    num = len(values) - pair
    if num == 18 and _number(values[-1]) > _EPOCH:  # a variant without the counter of crashes
        return (*_COLUMNS[:17], _COLUMNS[18])
    return _COLUMNS[:num]


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return np.nan


def _part(header: list[str], rows: list[list[str]]) -> TraceTable:
    """Some rows as columns, angles as logged."""
    action = header.index("action")
    for row in rows:
        # Text logs print continuous actions with a comma: [-21.59, 3.45].
        if len(row) == len(header) + 1 and row[action].startswith("["):
            row[action : action + 2] = [" ".join(row[action : action + 2])]
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
    texts = {name: values for name, values in columns.items() if name not in _NUMBERS}
    return TraceTable(
        number={name: np.asarray(columns[name], dtype=np.float64) for name in _NUMBERS},
        action=np.fromiter(map(_action, columns["action"]), dtype=np.int64, count=len(whole)),
        done=_booleans(columns["done"]),
        on_track=_booleans(columns["all_wheels_on_track"]),
        status=np.fromiter(map(_status, texts.get("episode_status", [""] * len(whole))), np.int8, len(whole)),
        iteration=np.fromiter(map(_iteration, texts.get("iteration", [""] * len(whole))), np.int64, len(whole)),
        wall_clock=_wall_clock(columns.get("wall_clock"), len(whole)),
        columns=frozenset({*_NUMBERS, *(name for name, values in texts.items() if any(values))}),
        in_radians=False,
        num_damaged=len(rows) - len(whole),
    )


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


def _booleans(texts: np.ndarray | Sequence[str]) -> np.ndarray:
    return np.array([text.strip() in ("True", "true", "1") for text in texts], dtype=bool)


def _action(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 5 else -1


def _status(text: str) -> int:
    return _CODES.get(text, _UNKNOWN) if text else NOT_LOGGED


def _iteration(text: str) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 7 else NOT_LOGGED


def _wall_clock(texts: np.ndarray | Sequence[str] | None, num_steps: int) -> np.ndarray:
    """The column, NaN where it is absent or this version left it empty."""
    try:
        clock = np.array([float(text) for text in texts], dtype=np.float64) if texts is not None else np.zeros(0)
    except ValueError:
        clock = np.zeros(0)
    if len(clock) != num_steps:
        return np.full(num_steps, np.nan)
    return np.where(np.abs(clock) < _NUMBERS["tstamp"], clock, np.nan)

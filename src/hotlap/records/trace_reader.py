"""Simulation traces of any age and form as steps: ours and those of every version of the original.

They come as CSV, gzipped or not, or as the lines ``SIM_TRACE_LOG:…`` of a log, whatever else stands in it. The number
of columns has grown with the versions, from 15 in 2019 to 19. Rows that a kill tore, or that are not a step for another
reason, are left out and counted. Columns: DeepRacer simapp, ``markov/metrics``.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from io import BytesIO
from itertools import chain, compress, islice, repeat
from pathlib import Path
from typing import Literal

import numpy as np

from hotlap.bounded import gunzip
from hotlap.deepracer.statuses import STATUS_NAMES, Status
from hotlap.deepracer.trace import LOG_MARK, TRACE_COLUMNS
from hotlap.errors import RecordError
from hotlap.records.steps import Steps

MAX_BYTES = 256 * 1024**2  # a hundred times an ordinary trace
_MAX_COLUMNS = 200  # ten times those of any version
_MAX_LINE = 1 << 14  # characters; a longer line is no row
_MAX_DAMAGED = 100_000  # rows; kills leave a few
_MARK = LOG_MARK.encode()
_NAMES = tuple(TRACE_COLUMNS)
_ROWS_AT_ONCE = 50_000  # as texts they take twenty times the room of the numbers

_REQUIRED = _NAMES[:15]  # those of 2019
_KNOWN = {**TRACE_COLUMNS, "iteration": "iteration"}  # a column that some tools add

# Columns of numbers, and what no sound value reaches: a row with a wilder one is damaged, and would blow up a figure.
_LIMITS = {
    "episode": 1e9,
    "step": 1e9,
    "x": 1e4,
    "y": 1e4,
    "heading": 1e6,
    "steering_angle": 1e6,
    "speed": 1e3,
    "reward": 1e12,
    "progress": 1e6,
    "nearest_waypoint": 1e5,
    "track_length": 1e5,
    "time": 1e12,
}
_TRAINING_LINE = re.compile(rb"Training> Name=[^\n]{0,200}?Episode=(\d{1,9}),[^\n]{0,200}?Training iteration=(\d{1,9})")
_EPISODES_LINE = re.compile(rb"num_episodes_between_training[\"']?\s{0,9}[:=]\s{0,9}[\"']?(\d{1,6})")
_EPISODES = 20  # of an iteration, by default
_EPOCH = 1e8  # [s] the clock of a simulation never gets there, that of a wall is far beyond
_LARGEST_RADIANS = 1.0  # the greatest steering in radians is half of it; in degrees every car has had many
_CODES = {name: code for code, name in enumerate(STATUS_NAMES)}
_NOT_LOGGED = -1


@dataclass(frozen=True, eq=False)
class Trace:
    """What a trace holds."""

    steps: Steps
    """The sound rows, in the order and with the episodes logged. Angles are in degrees where 2019 had radians, and the
    status is what it would have been where 2019 had none."""
    columns: frozenset[str]
    """Names of the columns that hold something."""
    in_radians: bool
    """Whether the angles were logged in radians, as in 2019."""
    num_damaged: int
    """Rows that were left out."""

    @property
    def on_wall_clock(self) -> bool:
        """Whether the stamps are those of a wall clock, as until 2021."""
        return bool(len(self.steps)) and float(np.median(self.steps.time)) > _EPOCH


def kind_of_trace(path: Path) -> Literal["csv", "log"] | None:
    """In which form a file is a trace, by what is in it; None if it is none."""
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            head = file.read(_MAX_LINE)
            if head.startswith(b"\x1f\x8b"):
                if path.stat().st_size > MAX_BYTES:
                    return None
                head = gunzip(head + file.read(), MAX_BYTES)
                return "csv" if _is_csv(head) else "log" if _MARK in head else None
            if _is_csv(head):
                return "csv"
            read = len(head)
            while head and read < MAX_BYTES:
                if _MARK in head:
                    return "log"
                more = file.read(1 << 20)
                read += len(more)
                head = head[-len(_MARK) :] + more if more else b""
    except (OSError, ValueError):
        pass
    return None


def _is_csv(head: bytes) -> bool:
    """Whether a file, unpacked, begins like a trace in CSV form."""
    header = head.split(b"\n", 1)[0].decode("utf-8-sig", errors="replace").strip().split(",")
    return set(_REQUIRED) <= set(header)


def read_trace(data: bytes, *, source: str, worker: int = 0, iteration: int | None = None) -> Trace:
    """Read a trace.

    Args:
        data: The file: a CSV with a header, or a log with ``SIM_TRACE_LOG`` lines; either may be gzipped.
        source: Its name, for the error.
        worker: Whose it is.
        iteration: Of which iteration; None: of those that the file itself tells, or the first.

    Raises:
        RecordError: If it is no trace.
    """
    data = _unpacked(data, source)
    is_log = _MARK in data
    steps, columns, num_damaged = _rows(csv.reader(_lines_of_log(data) if is_log else _lines(data)), source)
    # 2019 had no status.
    in_radians = "status" not in columns and float(np.abs(steps.steering_angle).max(initial=0.0)) < _LARGEST_RADIANS
    known = {"worker": np.full(len(steps), worker), "status": _known_status(steps)}
    if in_radians:
        known |= {name: np.rad2deg(steps.columns[name]) for name in ("heading", "steering_angle")}
    if iteration is not None:
        known["iteration"] = np.full(len(steps), iteration)
    elif is_log:
        known["iteration"] = _iterations_in_log(data, steps.episode)
    return Trace(replace(steps, **known), frozenset(columns), in_radians, num_damaged)


def _unpacked(data: bytes, source: str) -> bytes:
    if data.startswith(b"\x1f\x8b"):
        try:
            data = gunzip(data, MAX_BYTES)
        except ValueError as error:
            raise RecordError(f"{source} is no trace: {error}. Copy the file again.") from None
    if len(data) > MAX_BYTES:
        raise RecordError(
            f"{source} has {len(data) >> 20} MiB, more than any trace (at most {MAX_BYTES >> 20} MiB). Move it away."
        )
    return data


def _rows(rows: Iterator[list[str]], source: str) -> tuple[Steps, set[str], int]:
    """The sound rows, angles as logged; the columns that hold something; how many rows are damaged.

    Args:
        rows: Their texts, the header first.
        source: The file's name, for the error.
    """
    parts: list[Steps] = []
    columns: set[str] = set()
    num_damaged = 0
    try:
        header = next(rows, [])
        absent = [name for name in _REQUIRED if name not in header]
        if absent or len(header) > _MAX_COLUMNS:
            raise _no_trace(source, header, absent)
        names = [_KNOWN.get(name, "") for name in header]
        while some := list(islice(rows, _ROWS_AT_ONCE)):
            part, filled = _part(names, some)
            parts.append(part)
            columns |= filled
            num_damaged += len(some) - len(part)
            if num_damaged > _MAX_DAMAGED:
                raise RecordError(f"{source} is no trace: {num_damaged} of its rows are damaged. Move it away.")
    except csv.Error as error:
        raise RecordError(f"{source} is no trace: it is no CSV file ({error}). Move it away.") from error
    return Steps.joined(parts), columns, num_damaged


def _known_status(steps: Steps) -> np.ndarray:
    """The status, or what it would have been where there is none."""
    logged = steps.status != _NOT_LOGGED
    if logged.any():
        return np.where(logged, steps.status, np.int8(Status.UNKNOWN))
    status = np.full(len(steps), Status.IN_PROGRESS, dtype=np.int8)
    status[steps.done] = Status.UNKNOWN
    status[steps.done & ~steps.all_wheels_on_track] = Status.OFF_TRACK
    status[steps.done & (steps.progress >= 100.0)] = Status.LAP_COMPLETE
    return status


def _no_trace(source: str, header: list[str], absent: list[str]) -> RecordError:
    lack = f"it lacks the columns {', '.join(absent)}" if absent else f"it has {len(header)} columns"
    return RecordError(
        f"{source} is no trace: {lack if header else 'it is empty'}. A trace begins with a line like "
        "episode,steps,X,Y,yaw,steer,throttle,… Move the file away, or restore it from a copy."
    )


def _lines(data: bytes) -> Iterator[str]:
    """The lines of a file; one that is too long for a row is empty."""
    for line in BytesIO(data.removeprefix(b"\xef\xbb\xbf")):
        if len(line) > _MAX_LINE:
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
    return "" if len(line) > _MAX_LINE else line.partition(_MARK)[2].decode(errors="replace").strip()


def _columns_of_log(row: str) -> tuple[str, ...]:
    """What the values of a log's row are: columns were only ever added at the end."""
    values = row.split(",")
    pair = values[7].startswith("[") and "]" not in values[7] if len(values) > 7 else False
    num = len(values) - pair
    if num == 18 and _measured(values[-1:], np.nan)[0] > _EPOCH:  # a variant without the counter of crashes
        return (*_NAMES[:17], _NAMES[18])
    return _NAMES[:num]


def _part(names: list[str], rows: list[list[str]]) -> tuple[Steps, set[str]]:
    """The sound ones of some rows, and the columns that hold something.

    Args:
        names: Of the columns; empty for those that mean nothing to us.
        rows: Their texts.
    """
    action = names.index("action")
    for row in rows:
        # Text logs print continuous actions with a comma: [-21.59, 3.45].
        if len(row) == len(names) + 1 and row[action].startswith("["):
            row[action : action + 2] = [" ".join(row[action : action + 2])]
    whole = [row for row in rows if len(row) == len(names)]
    texts = _in_columns(names, whole)
    numbers = _numbers(texts)
    if numbers is None:  # one by one, to find the rows that cannot be read
        whole = [row for row in whole if _numbers(_in_columns(names, [row])) is not None]
        texts = _in_columns(names, whole)
        numbers = _numbers(texts)
        assert numbers is not None
    sound = numbers["nearest_waypoint"] >= 0
    for name, limit in _LIMITS.items():
        sound &= np.abs(numbers[name]) < limit  # which NaN is not either
    if not sound.all():
        texts = _in_columns(names, list(compress(whole, sound)))

    def column(name: str) -> Sequence[str]:
        return texts.get(name, ("",) * int(sound.sum()))

    steps = Steps.of(
        **{name: values[sound] for name, values in numbers.items()},
        iteration=_meant(column("iteration"), lambda text: max(_index(text, 6), 0)),
        action=_meant(column("action"), lambda text: _index(text, 4)),
        done=_meant(column("done"), _boolean),
        all_wheels_on_track=_meant(column("all_wheels_on_track"), _boolean),
        status=_meant(column("status"), lambda text: _CODES.get(text, Status.UNKNOWN) if text else _NOT_LOGGED),
        pause_duration=_measured(column("pause_duration"), 0.0),
        obstacle_crash_counter=_measured(column("obstacle_crash_counter"), 0.0),
        wall_clock=_measured(column("wall_clock"), np.nan),
    )
    return steps, {*_LIMITS, *(name for name, values in texts.items() if any(values))}


def _in_columns(names: list[str], rows: list[list[str]]) -> dict[str, Sequence[str]]:
    """The texts of whole rows."""
    return dict(zip(names, zip(*rows, strict=True) if rows else repeat(()), strict=False))


def _numbers(texts: Mapping[str, Sequence[str]]) -> dict[str, np.ndarray] | None:
    """The columns of numbers; None if something in them is no number."""
    try:
        return {name: np.fromiter(map(float, texts[name]), np.float64, len(texts[name])) for name in _LIMITS}
    except (ValueError, OverflowError):
        return None


def _measured(texts: Sequence[str], missing: float) -> np.ndarray:
    """A column that need not be there, and that some versions left empty."""
    try:
        values = np.array([float(text) for text in texts], dtype=np.float64)
    except ValueError:
        return np.full(len(texts), missing)
    return np.where(np.abs(values) < _LIMITS["time"], values, missing)


def _meant(texts: Sequence[str], meaning: Callable[[str], int]) -> list[int]:
    """What a column's texts mean, of which most are the same few."""
    meanings = {text: meaning(text) for text in set(texts)}
    return [meanings[text] for text in texts]


def _boolean(text: str) -> bool:
    return text.strip() in ("True", "true", "1")


def _index(text: str, most_digits: int) -> int:
    """A whole number; -1 for what is none, such as the pair of a continuous action."""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= most_digits else -1

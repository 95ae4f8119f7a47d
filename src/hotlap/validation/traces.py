"""Recorded simulation traces of the original: what car, on which track, and what each control step logged.

A folder of recordings holds traces (CSV, gzipped or not) and ``index.csv`` with the columns ``file, version, role,
track``, where ``file`` is relative to the folder or to its parent; its tracks lie in ``tracks`` beside it. A single
trace is looked up in the ``index.csv`` beside it, or its version and track are given.

Two habits of the recordings matter to everyone who reads them. The pose of a row is the one BEFORE its action takes
effect. And its time stamp is written after the step, so the pose of row k was taken at the stamp of row k - 1.
Columns: DeepRacer simapp, ``markov/metrics``.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from dataclasses import dataclass, replace
from io import StringIO
from pathlib import Path

import numpy as np

from hotlap.analysis.read.driven_track import driven_backwards
from hotlap.bounded import gunzip, read_bounded, told
from hotlap.errors import DataError, RecordError
from hotlap.records import trace_reader
from hotlap.records.steps import Steps
from hotlap.records.trace_reader import MAX_BYTES, Trace
from hotlap.tracks.catalog import load_track
from hotlap.tracks.route_file import read_route
from hotlap.tracks.track import DUPLICATE_DISTANCE, Track

MAX_COLUMNS = 100

VERSIONS = ("v1", "v2", "v3", "v4", "v5", "droa")
INDEX_COLUMNS = ("file", "version", "role", "track")
LENGTH_TOLERANCE = 0.006  # [m] two printed decimals, and a little


@dataclass(frozen=True)
class Recording:
    """A recorded drive: where its traces are, which car it was and on which track."""

    path: Path
    version: str
    """Names a car of ``sim.vehicle.VEHICLES``; ``v1`` is driven as ``v2``."""
    track: str
    role: str = ""
    """``fit`` if the vehicle's parameters were fitted to it, ``check`` or ``extra`` if not."""
    route: DrivenRoute | None = None
    """Where it was driven, if that is known already; else ``find_route`` finds it by the track's name."""
    parts: tuple[Path, ...] = ()
    """Further traces of the same drive, such as those of later iterations."""
    title: str = ""
    """What to call it, if not as the file."""

    @property
    def name(self) -> str:
        """What to call it: by default the file's name without its endings."""
        if self.title:
            return self.title
        return self.path.name.removesuffix(".gz").removesuffix(".csv")


def read_trace(path: Path) -> Trace:
    """Read a trace: a CSV or a log, gzipped or not; damaged rows are left out.

    Raises:
        DataError: If the file cannot be read, is no trace, or has no sound row.
    """
    try:
        trace = trace_reader.read_trace(read_bounded(path, MAX_BYTES), source=str(path))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except RecordError as error:
        raise DataError(str(error)) from error
    if not len(trace.steps):
        raise DataError(
            f"{path}: the trace has no sound rows ({trace.num_damaged} are damaged). Copy the file again, or leave it "
            "out."
        )
    return trace


def read_drive(file: Recording) -> Steps:
    """All that was recorded of a drive; where that is in several files, each is an iteration.

    Raises:
        DataError: See ``read_trace``.
    """
    parts = [read_trace(path).steps for path in (file.path, *file.parts)]
    if len(parts) == 1:
        return parts[0]
    number = np.repeat(np.arange(len(parts)), [len(part) for part in parts])
    return replace(Steps.joined(parts), iteration=number)


@dataclass(frozen=True, eq=False)
class DrivenRoute:
    """The route that a trace was driven on, in the direction it was driven."""

    name: str
    """Name of the route file, with ``(reversed)`` where it was driven against its rows."""
    track: Track
    file_rows: np.ndarray
    """First and last row of the file, in driving order, that is this waypoint, shape (num_waypoints, 2)."""


def find_route(file: Recording, steps: Steps, folder: Path | None = None) -> DrivenRoute:
    """Find the route file of a trace, and which way it was driven.

    Where there are several of a name, ending in ``_cw``, ``_ccw`` or neither, it is not always the one that was asked
    for: older simulators had but one for both directions, and the endings have been mixed up. The logged track length
    tells which it was, the logged progress in which direction.

    Args:
        file: The trace's place and track name.
        steps: What it recorded.
        folder: Where to look for the route; by default in ``tracks`` beside the trace or its folder, then by its name
            among all tracks.

    Raises:
        TrackError: If there is no such track.
    """
    if file.route is not None:
        return file.route
    stem = file.track.removesuffix("_ccw").removesuffix("_cw")
    names = dict.fromkeys((file.track, stem, f"{stem}_cw", f"{stem}_ccw"))
    places = [place for place in (folder, file.path.parent / "tracks", file.path.parent.parent / "tracks") if place]
    paths = [place / f"{name}.npy" for name in names for place in places if os.path.isfile(place / f"{name}.npy")]
    candidates = [(read_route(path), np.load(path, allow_pickle=False)[:, :2]) for path in paths]
    if not candidates:
        named = load_track(file.track)
        candidates = [(named, named.center)]
    logged = float(np.median(steps.track_length))

    def misfit(candidate: tuple[Track, np.ndarray]) -> tuple[int, bool]:
        track, _ = candidate
        return round(abs(track.length - logged) / LENGTH_TOLERANCE), driven_backwards(steps, track)

    track, rows = min(candidates, key=misfit)  # of those equally good the first
    return _in_direction(track, rows, misfit((track, rows))[1])


def driven_route(track: Track, path: Path, steps: Steps) -> tuple[DrivenRoute, bool]:
    """The route ``track`` in a file, in the direction in which it was driven, and whether this is against its rows."""
    backwards = driven_backwards(steps, track)
    return _in_direction(track, np.load(path, allow_pickle=False)[:, :2], backwards), backwards


def _in_direction(track: Track, rows: np.ndarray, backwards: bool) -> DrivenRoute:
    name = track.name
    if backwards:
        name, track, rows = f"{name} (reversed)", track.reversed(), rows[::-1]
    return DrivenRoute(name, track, _rows_of_waypoints(rows, len(track.center)))


def _rows_of_waypoints(rows: np.ndarray, num_waypoints: int) -> np.ndarray:
    moves = np.hypot(*np.diff(rows, axis=0).T) >= DUPLICATE_DISTANCE
    waypoint = np.concatenate(([0], np.cumsum(moves)))
    if waypoint[-1] + 1 != num_waypoints:  # a closing row was added when the track was read
        return np.repeat(np.arange(num_waypoints)[:, None], 2, axis=1)
    numbers = np.arange(num_waypoints)
    first = np.searchsorted(waypoint, numbers, side="left")
    return np.stack([first, np.searchsorted(waypoint, numbers, side="right") - 1], axis=-1)


def read_index(path: Path) -> list[Recording]:
    header, rows = read_csv(path, INDEX_COLUMNS)
    files = []
    for row in rows:
        entry = dict(zip(header, row, strict=True))
        trace = path.parent / Path(entry["file"]).name
        if entry["version"] not in VERSIONS:
            raise DataError(
                f"{path}: {entry['file'][:100]!r} has version {entry['version'][:60]!r}; the versions are "
                f"{', '.join(VERSIONS)}."
            )
        if not os.path.isfile(trace):
            raise DataError(
                f"{path}: lists {entry['file'][:100]!r}, but there is no such file in {path.parent}. Copy it there, or "
                "remove the line."
            )
        files.append(Recording(trace, entry["version"], entry["track"], entry["role"]))
    return files


def read_csv(path: Path, required: Sequence[str]) -> tuple[list[str], list[list[str]]]:
    """Header and rows of a CSV file, gzipped or not; every row is as long as the header.

    Raises:
        DataError: If the file cannot be read, a required column is missing, or a row has too few or many values.
    """
    try:
        content = read_bounded(path, MAX_BYTES)
        if path.suffix == ".gz":
            content = gunzip(content, MAX_BYTES)
        header, *rows = csv.reader(StringIO(content.decode("utf-8-sig"), newline=""))
    except OSError as error:
        raise DataError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except (ValueError, csv.Error) as error:
        raise DataError(f"{path}: cannot be read as a CSV file ({told(error) or 'it is empty'}).") from error
    if len(header) > MAX_COLUMNS:
        raise DataError(f"{path}: has {len(header)} columns, a recorded trace at most {MAX_COLUMNS}.")
    absent = [name for name in required if name not in header]
    if absent:
        raise DataError(
            f"{path}: the columns {', '.join(absent)} are missing; the header is {','.join(header)[:200]!a}. "
            f"Expected a file with at least {', '.join(required)}."
        )
    for number, row in enumerate(rows):
        if len(row) != len(header):
            raise DataError(f"{path}: row {number} has {len(row)} values, the header has {len(header)}.")
    return header, rows

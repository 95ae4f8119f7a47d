"""The recordings that a user names: folders with an index or without, archives, logs and single traces."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from hotlap.analysis.run_files import RunFiles, find_run, kind_of_trace, wanted_size
from hotlap.analysis.trace_table import MAX_BYTES
from hotlap.archives.archive import as_folder, is_archive
from hotlap.archives.tar import GZIP
from hotlap.bounded import gunzip, load_json, read_bounded
from hotlap.deepracer.trace import LOG_MARK
from hotlap.errors import DataError, RecordError
from hotlap.validation.identify import METADATA_VERSIONS, routes_of, the_route, the_version, versions_of
from hotlap.validation.traces import VERSIONS, TraceFile, read_index, read_rows

DIRECTIONS = ("as_is", "reversed")
_METADATA = "model_metadata.json"
_SIMAPP_VERSION = re.compile(rb"simapp_version[\"':= ]{1,5}([1-6])\b")


@dataclass
class Recordings:
    """Traces to compare with.

    Attributes:
        files: Each with its version and track.
        taken: What was found where, in sentences; nothing about traces that an index lists.
    """

    files: list[TraceFile] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Known:
    """What the user says of traces that no index lists; None: it is to be found out."""

    version: str | None = None
    track: str | None = None
    direction: str | None = None
    tracks: Path | None = None


@contextmanager
def open_traces(
    paths: Sequence[str | Path],
    *,
    version: str | None = None,
    track: str | None = None,
    direction: str | None = None,
    tracks: Path | None = None,
) -> Iterator[Recordings]:
    """The traces at some places; those of archives are there as long as this.

    A folder with an ``index.csv`` holds what this lists, and a trace beside one is looked up in it. Of all others the
    version, track and direction are found out, unless they are given.

    Args:
        paths: Folders, archives, logs, traces, or patterns like ``logs/*.csv.gz``.
        version: Version of traces that no index lists.
        track: Name or route file of their track.
        direction: ``as_is`` or ``reversed``, whether they were driven along the rows of the route file.
        tracks: A folder of route files that are tried too.

    Raises:
        DataError: If a place does not exist or holds no traces, if two versions or tracks fit, or an index is damaged.
        RecordError: If an archive is damaged.
        TrackError: If there is no such track.
    """
    if version is not None and version not in VERSIONS:
        raise DataError(f"version {version!r} is not known; the versions are {', '.join(VERSIONS)}.")
    if direction is not None and direction not in DIRECTIONS:
        raise DataError(f"direction {direction!r} is not known; expected {' or '.join(DIRECTIONS)}.")
    known = Known(version, track, direction, tracks)
    recordings = Recordings()
    with ExitStack() as stack:
        for path in _places(paths):
            if os.path.lexists(path / "index.csv"):  # what is no file is refused by its name
                recordings.files.extend(read_index(path / "index.csv"))
            elif listed := _listed(path, known):
                recordings.files.append(listed)
            else:
                folder = (
                    stack.enter_context(as_folder(path, wanted_size)) if path.is_dir() or is_archive(path) else path
                )
                _add(recordings, path, folder, known)
        yield recordings


def _places(paths: Sequence[str | Path]) -> Iterator[Path]:
    for path in map(Path, paths):
        if path.exists():
            yield path
            continue
        matches = sorted(glob.glob(str(path))) if glob.has_magic(str(path)) else []
        if not matches:
            raise DataError(
                f"{path}: there is no such file or folder. Give a trace, a log, or a folder or archive of some."
            )
        yield from map(Path, matches)


def _listed(path: Path, known: Known) -> TraceFile | None:
    """A single trace, as the index beside it says; None if there is none that lists it, or the user knows better."""
    index = path.parent / "index.csv"
    if path.is_dir() or not index.is_file() or known.version or known.track:
        return None
    return next((file for file in read_index(index) if file.path.name == path.name), None)


def _add(recordings: Recordings, place: Path, inside: Path, known: Known) -> None:
    if inside.is_file() and kind_of_trace(inside) is None:
        raise DataError(
            f"{place}: this is no trace. Expected a CSV with the columns episode,steps,X,Y,…, a log with "
            f"{LOG_MARK} lines, or a .tar.gz or .zip of them."
        )
    try:
        run = find_run(inside)
    except RecordError as error:
        raise DataError(str(error).replace(str(inside), str(place))) from None
    drives = _drives(run)
    if not drives:
        raise DataError(
            f"{place}: there are no traces in it. Expected CSV files with the columns episode,steps,X,Y,… (such as "
            f"training-simtrace/N-iteration.csv), or logs with {LOG_MARK} lines."
        )
    found = [_identified(place, title, paths, run.root, known) for title, paths in drives]
    tell = ", ".join(dict.fromkeys(f"version {file.version} on {file.track}" for file in found))
    recordings.files.extend(found)
    recordings.taken.append(f"Took {run.taken} from {place}: {tell}.")


def _drives(run: RunFiles) -> list[tuple[str, list[Path]]]:
    """Each worker's training and each evaluation, by name."""
    single = [(file.path.name.split(".")[0], [file.path]) for file in run.training if file.iteration is None]
    workers: dict[int, list[Path]] = {}
    for file in run.training:
        if file.iteration is not None:
            workers.setdefault(file.worker, []).append(file.path)
    training = [(f"worker {worker}" if len(workers) > 1 else "training", paths) for worker, paths in workers.items()]
    return single + training + [(f"evaluation {each.name}", list(each.paths)) for each in run.evaluations]


def _identified(place: Path, title: str, paths: list[Path], root: Path, known: Known) -> TraceFile:
    source = str(place) if place.is_file() and place in paths else f"{place}, {title}"
    table = read_rows(paths[0])
    version = (
        known.version or _told_version(root) or _version_in_log(paths[0]) or the_version(versions_of(table), source)
    )
    tracks = known.tracks or next((each for each in (root / "tracks", root.parent / "tracks") if each.is_dir()), None)
    length = float(np.median(table.number["track_len"]))
    route = the_route(routes_of(table, tracks, known.track), source, length, known.direction)
    title = "" if len(paths) == 1 and place in paths else f"{place.name} {title}"
    return TraceFile(paths[0], version, route.name, route=route, parts=tuple(paths[1:]), title=title)


def _version_in_log(path: Path) -> str | None:
    """As a log tells it when its job begins."""
    if kind_of_trace(path) != "log":
        return None
    content = read_bounded(path, MAX_BYTES)
    if content.startswith(GZIP):
        content = gunzip(content, MAX_BYTES)
    match = _SIMAPP_VERSION.search(content)
    return METADATA_VERSIONS.get(match[1].decode()) if match else None


def _told_version(root: Path) -> str | None:
    """By the metadata of the model, in its folder, in that of its checkpoints, or above."""
    for folder in (root, root / "model", root / "ip", root.parent):
        try:
            version = load_json(read_bounded(folder / _METADATA, 1 << 20))["version"]
        except (OSError, ValueError, TypeError, KeyError, IndexError):
            continue
        if found := METADATA_VERSIONS.get(str(version).split(".")[0]):
            return found
    return None

"""The recordings that a user names: folders with an index or without, archives, logs and single traces."""

from __future__ import annotations

import glob
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hotlap.analysis.read.run_files import RunFiles, find_run, wanted_size
from hotlap.archives.archive import as_folder, is_archive
from hotlap.archives.tar import GZIP
from hotlap.bounded import gunzip, load_json, read_bounded
from hotlap.deepracer.trace import LOG_MARK
from hotlap.errors import DataError, HotlapError, RecordError, TrackError
from hotlap.records.trace_reader import MAX_BYTES, kind_of_trace
from hotlap.validation.identify import METADATA_VERSIONS, routes_of, the_route, versions_of
from hotlap.validation.traces import VERSIONS, Recording, read_drive, read_index, read_trace
from hotlap.validation.which_car import car_errors, clearly_best, different_cars

DIRECTIONS = ("as_is", "reversed")
_METADATA = "model_metadata.json"
_SIMAPP_VERSION = re.compile(rb"simapp_version[\"':= ]{1,5}([1-6])\b")


@dataclass
class Recordings:
    """Traces to compare with.

    Attributes:
        files: Each with its version and track; one that two versions may have logged is there for each of them.
        taken: What was found where, in sentences; nothing about traces that an index lists.
        left_out: Why others cannot be compared, in sentences.
    """

    files: list[Recording] = field(default_factory=list)
    taken: list[str] = field(default_factory=list)
    left_out: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Known:
    """What the user says of traces that no index lists; None: it is to be found out."""

    version: str | None = None
    track: str | None = None
    direction: str | None = None
    tracks: Path | None = None


class Problems:
    """What keeps some recordings from being compared, while others are."""

    def __init__(self) -> None:
        self.found: list[HotlapError] = []

    @contextmanager
    def gathered(self) -> Iterator[None]:
        """Keep an error of the user's files for later."""
        try:
            yield
        except (DataError, RecordError, TrackError) as error:
            self.found.append(error)

    @property
    def told(self) -> list[str]:
        """Each sentence once."""
        return list(dict.fromkeys(map(str, self.found)))

    def raise_all(self) -> None:
        """Raise what was found, if anything was."""
        if len(self.told) > 1:
            more = f" ({len(self.told) - 3} more after these.)" if len(self.told) > 3 else ""
            raise DataError(" ".join(self.told[:3]) + more)
        if self.found:
            raise self.found[0]


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
    version, track and direction are found out, unless they are given. What cannot be compared is left out, if there is
    something else.

    Args:
        paths: Folders, archives, logs, traces, or patterns like ``logs/*.csv.gz``.
        version: Version of traces that no index lists: ``v4`` or ``4``.
        track: Name or route file of their track.
        direction: ``as_is`` or ``reversed``, whether they were driven along the rows of the route file.
        tracks: A folder of route files that are tried too.

    Raises:
        DataError: If a place does not exist, or if none holds traces that can be compared: because two tracks fit, say,
            or an index is damaged.
        RecordError: If an archive is damaged, and there is nothing else.
        TrackError: If there is no such track.
    """
    if version is not None:
        version = METADATA_VERSIONS.get(version, version.lower())
        if version not in VERSIONS:
            raise DataError(f"version {version!r} is not known; the versions are {', '.join(VERSIONS)}.")
    if direction is not None and direction not in DIRECTIONS:
        raise DataError(f"direction {direction!r} is not known; expected {' or '.join(DIRECTIONS)}.")
    known = Known(version, track, direction, tracks)
    recordings, problems = Recordings(), Problems()
    with ExitStack() as stack:
        for path in list(_places(paths)):
            with problems.gathered():
                if os.path.lexists(path / "index.csv"):  # what is no file is refused by its name
                    recordings.files.extend(read_index(path / "index.csv"))
                elif listed := _listed(path, known):
                    recordings.files.append(listed)
                else:
                    folder = (
                        stack.enter_context(as_folder(path, wanted_size)) if path.is_dir() or is_archive(path) else path
                    )
                    _add(recordings, path, folder, known, problems)
        if not recordings.files:
            problems.raise_all()
        recordings.left_out = problems.told
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


def _listed(path: Path, known: Known) -> Recording | None:
    """A single trace, as the index beside it says; None if there is none that lists it, or the user knows better."""
    index = path.parent / "index.csv"
    if path.is_dir() or not index.is_file() or known.version or known.track:
        return None
    return next((file for file in read_index(index) if file.path.name == path.name), None)


def _add(recordings: Recordings, place: Path, inside: Path, known: Known, problems: Problems) -> None:
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
    found: list[Recording] = []
    doubts: list[str] = []
    for title, paths in drives:
        with problems.gathered():
            files, doubt = _identified(place, title, paths, run.root, known)
            found += files
            doubts += [doubt] if doubt else []
    if found:
        tell = ", ".join(dict.fromkeys(f"version {file.version} on {file.track}" for file in found))
        recordings.files.extend(found)
        recordings.taken += [f"Took {run.taken} from {place}: {tell}.", *doubts]


def _drives(run: RunFiles) -> list[tuple[str, list[Path]]]:
    """Each worker's training and each evaluation, by name."""
    single = [(file.path.name.split(".")[0], [file.path]) for file in run.training if file.iteration is None]
    workers: dict[int, list[Path]] = {}
    for file in run.training:
        if file.iteration is not None:
            workers.setdefault(file.worker, []).append(file.path)
    training = [(f"worker {worker}" if len(workers) > 1 else "training", paths) for worker, paths in workers.items()]
    return single + training + [(f"evaluation {each.name}", list(each.paths)) for each in run.evaluations]


def _identified(
    place: Path, title: str, paths: list[Path], root: Path, known: Known
) -> tuple[list[Recording], str | None]:
    """A drive by the version that logged it, or for each that may have; and a sentence where that was not told."""
    source = str(place) if place.is_file() and place in paths else f"{place}, {title}"
    trace = read_trace(paths[0])
    tracks = known.tracks or next((each for each in (root / "tracks", root.parent / "tracks") if each.is_dir()), None)
    length = float(np.median(trace.steps.track_length))
    route = the_route(routes_of(trace.steps, tracks, known.track), source, length, known.direction)
    title = "" if len(paths) == 1 and place in paths else f"{place.name} {title}"
    told = known.version or _told_version(root) or _version_in_log(paths[0])
    versions = [told] if told else different_cars(versions_of(trace))
    files = [
        Recording(paths[0], version, route.name, route=route, parts=tuple(paths[1:]), title=title)
        for version in versions
    ]
    if len(versions) == 1:
        return files, None
    alike = f"{source}: the cars of versions {' and '.join(versions)} log alike"
    errors = car_errors(read_drive(files[0]), versions)
    off = ", ".join(f"that of {version} is {errors[version]['1']:.2f} m off" for version in errors)
    best = clearly_best(errors)
    if best:
        only = [file for file in files if file.version == best]
        return only, f"{alike}; when they repeat a second of the drive, {off}. So it was {best}."
    why = f"when they repeat a second of the drive, {off}" if errors else "too little was driven to tell them apart"
    options = " or ".join(f"`--version {version}`" for version in versions)
    each = [replace(file, title=f"{file.name} as {file.version}") for file in files]
    return each, f"{alike}; {why}. It is compared with each of them. If you know which it was: {options}."


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

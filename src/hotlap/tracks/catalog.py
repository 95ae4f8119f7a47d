"""Tracks by name: built-in ones, those in the user's folder, and route files by their path."""

from __future__ import annotations

import fnmatch
import glob
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

from hotlap.deepracer.driving import DIRECTIONS, Direction
from hotlap.errors import TrackError
from hotlap.shell import quoted
from hotlap.tracks.names import GENERATED, Turn, match_name, near_names
from hotlap.tracks.originals import console_names, original_routes
from hotlap.tracks.route_file import parse_route, read_route, read_route_bytes, write_route, write_whole
from hotlap.tracks.track import Track
from hotlap.user_folders import data_folder, given_folder

BUILT_IN_FOLDER = Path(__file__).parent / "data"
FOLDER_VARIABLE = "HOTLAP_TRACKS"
MAX_LISTED = 20  # tracks that a message names

# Route files hold no colors. Tracks that are not named here, whatever their direction, are "classic".
TRACK_THEMES = {
    "reinvent_base": "reinvent_2018",
    "reinvent_base_2019": "reinvent_2018",
    "reinvent_carpet": "carpet",
    "reinvent_concrete": "concrete",
    "reinvent_wood": "wood",
    "bow_tie": "brick",
    "copper_oval": "desert",
    "grand_tour": "concrete",
    "harvest_moon": "night",
    "paperclip": "wood",
    "river_run": "snow",
}


@dataclass(frozen=True)
class TrackEntry:
    """A track that can be loaded by its name."""

    name: str
    path: Path
    built_in: bool


def user_folder() -> Path:
    """Folder of the user's own tracks: ``HOTLAP_TRACKS``, or the platform's place for data. It may not exist yet."""
    return given_folder(FOLDER_VARIABLE) or data_folder() / "tracks"


def list_tracks() -> list[TrackEntry]:
    """All tracks with a name, built-in ones first, each group by name. A user's track hides a built-in namesake."""
    own = {path.stem: TrackEntry(path.stem, path, False) for path in sorted(user_folder().glob("*.npy"))}
    built_in = [TrackEntry(path.stem, path, True) for path in sorted(BUILT_IN_FOLDER.glob("*.npy"))]
    return [entry for entry in built_in if entry.name not in own] + list(own.values())


def load_track(name_or_path: str | Path, *, direction: Direction = "as_is", require_closed: bool = False) -> Track:
    """Load a track by its name or from a route file.

    Args:
        name_or_path: A path ending in ``.npy``, or a name as ``find_track`` takes it.
        direction: ``"as_is"`` drives the rows in their order, ``"reversed"`` against it, ``"cw"`` and ``"ccw"``
            whichever of the two runs clockwise or counter-clockwise.
        require_closed: Refuse open tracks.

    Raises:
        TrackError: If the name is unknown, the file is no usable route, or an open track is given where a loop is
            needed.
    """
    if direction not in DIRECTIONS:
        raise TrackError(f"direction is {direction!r}, expected one of {', '.join(DIRECTIONS)}.")
    path, turn = _find(str(name_or_path))
    track = read_route(path)
    track = replace(track, theme=TRACK_THEMES.get(track.name.removesuffix("_cw").removesuffix("_ccw"), track.theme))
    if turn:
        track = replace(in_direction(track, turn), name=f"{track.name}_{turn}")
    if require_closed and not track.closed:
        gap = float(((track.center[0] - track.center[-1]) ** 2).sum() ** 0.5)
        raise TrackError(
            f"track {track.name!r} is open: its ends are {gap:.2f} m apart, but a loop is needed here. Choose another "
            f"track; or, if it should be a loop, add it again with `hotlap tracks add {quoted(path)} --close`."
        )
    return in_direction(track, direction)


def in_direction(track: Track, direction: Direction) -> Track:
    """The track as it runs in a direction of `load_track`.

    Raises:
        TrackError: If it is open, and neither clockwise nor counter-clockwise.
    """
    if direction == "as_is":
        return track
    if direction == "reversed":
        return track.reversed()
    if not track.closed:
        raise TrackError(
            f"track {track.name!r} is open and runs neither clockwise nor counter-clockwise. "
            f"Use the direction as_is or reversed."
        )
    return track if track.ccw == (direction == "ccw") else track.reversed()


def find_track(name: str) -> tuple[TrackEntry, Turn | None]:
    """The track that a name means, and the direction that the name asks for beyond the file's.

    Args:
        name: A built-in name, the name of a file in the user's folder, or what the console of AWS called it; in any
            case, with or without ``.npy``. With ``_cw`` or ``_ccw`` after it, it is that direction of the track, unless
            a file has the whole name.

    Raises:
        TrackError: If there is no such track; the message says how to get it, or which are called alike.
    """
    if name == GENERATED:
        raise TrackError(
            f"{name!r} is no track: as race.track of a job it stands for many that are made up. `hotlap tracks new` "
            "makes one."
        )
    entries = {entry.name: entry for entry in list_tracks()}
    known, called_there = original_routes(), console_names()
    match = match_name(name, entries, called_there)
    if match is not None:
        return entries[match.name], match.turn
    missing = match_name(name, known, called_there)
    if missing is not None:
        called = known[missing.name].console_name
        raise TrackError(
            f"there is no track named {name!r} here. It is one of the original's"
            f"{f', {called!r} in its console' if called and called != name else ''}; bring it with "
            f"`hotlap tracks get {missing.name}`."
        )
    near = near_names(name, [*entries, *known], called_there)
    meant = " or ".join(map(repr, near))
    listed = f"Known are: {', '.join(entries)}" if len(entries) <= MAX_LISTED else "`hotlap tracks list` shows them all"
    absent = [each for each in near[:1] if each not in entries]
    raise TrackError(
        f"there is no track named {name!r}.{f' Did you mean {meant}?' if near else ''}"
        f"{f' `hotlap tracks get {absent[0]}` brings the original.' if absent else ''} {listed}. Own route files are "
        "named by their path (ending in .npy) or added with `hotlap tracks add FILE`."
    )


def matching_tracks(patterns: str) -> list[str]:
    """The tracks that some words separated by commas mean: names or paths, with ``*``, ``?`` and ``[…]`` as in a shell.

    Raises:
        TrackError: If one of the words means none.
    """
    names = [entry.name for entry in list_tracks()]
    found: list[str] = []
    for word in filter(None, (word.strip() for word in patterns.split(","))):
        if not glob.has_magic(word):
            _find(word)
            meant = [word]
        elif word.endswith(".npy") or "/" in word or os.sep in word:
            meant = [path for path in sorted(glob.glob(word)) if path.endswith(".npy")]
        else:
            meant = fnmatch.filter(names, word)
        if not meant:
            raise TrackError(
                f"no track matches {word!r}. `hotlap tracks list` shows the names; files are matched by paths such as "
                "'tracks/*.npy'."
            )
        found += meant
    if not found:
        raise TrackError(f"{patterns!r} names no track.")
    return list(dict.fromkeys(found))


def name_behind(called: str) -> str | None:
    """The name of the track that people call so, whether it is here or one of the original's; None for no track."""
    names = [*(entry.name for entry in list_tracks()), *original_routes()]
    match = match_name(called, names, console_names())
    if match is None:
        return None
    return f"{match.name}_{match.turn}" if match.turn else match.name


def is_built_in(name_or_path: str | Path) -> bool:
    """Whether ``load_track`` takes a track that comes with hotlap.

    Raises:
        TrackError: If there is no track of that name.
    """
    return _find(str(name_or_path))[0].parent == BUILT_IN_FOLDER


def add_track(
    path: str | Path, name: str | None = None, *, closed: bool | None = None, overwrite: bool = False
) -> Track:
    """Check a route file and copy it into the user's folder, where ``load_track`` finds it by name.

    Args:
        path: The route file.
        name: Its new name; by default the file's.
        closed: True adds the closing row that an unfinished loop lacks.
        overwrite: Whether another track of that name in the user's folder may be replaced.

    Raises:
        TrackError: If the file is no usable route, or the name cannot be used.
    """
    path = Path(path)
    return add_route(read_route_bytes(path), name or path.stem, source=str(path), closed=closed, overwrite=overwrite)


def add_route(content: bytes, name: str, *, source: str, closed: bool | None = None, overwrite: bool = False) -> Track:
    """Check the contents of a route file and put them into the user's folder, as they are unless ``closed``.

    Args:
        content: Of the file.
        name: Of the track.
        source: Where it is from, for messages.
        closed: As for ``add_track``, like ``overwrite``.

    Raises:
        TrackError: As ``add_track``.
    """
    track = parse_route(content, name, closed=closed, source=source)
    destination = user_folder() / f"{check_name(name)}.npy"
    if destination.exists() and not overwrite and (closed or read_route_bytes(destination) != content):
        raise TrackError(f"a track named {name!r} is already at {destination}. Give another name, or use --force.")
    if closed:
        write_route(track, destination)
    else:
        write_whole(content, destination)
    return track


def check_name(name: str) -> str:
    """Return ``name`` if it can name a track and its file, else raise a TrackError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name) or name.endswith(".npy"):
        raise TrackError(
            f"{name!r} cannot name a track. Use up to 64 letters, digits, '_', '-' and '.', without .npy at the end."
        )
    if name == GENERATED:
        raise TrackError(f"{name!r} cannot name a track: as race.track it stands for tracks that are made up.")
    return name


def _find(name_or_path: str) -> tuple[Path, Turn | None]:
    """File of a track, and the direction that its name asks for beyond the file's."""
    path = Path(name_or_path).expanduser()
    if path.suffix == ".npy" and (path.is_file() or path.name != name_or_path):
        return path, None
    try:
        entry, turn = find_track(name_or_path)
    except TrackError:
        if path.suffix == ".npy" and match_name(name_or_path, original_routes(), {}) is None:
            return path, None  # whose reader says that there is no such file
        raise
    return entry.path, turn

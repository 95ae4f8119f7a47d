"""Tracks by name: built-in ones, those in the user's folder, and route files by their path."""

from __future__ import annotations

import difflib
import re
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal

from hotlap.errors import TrackError
from hotlap.tracks.route_file import read_route, write_route
from hotlap.tracks.track import Track
from hotlap.user_folders import data_folder, given_folder

DEFAULT_TRACK = "first_lap"
BUILT_IN_FOLDER = Path(__file__).parent / "data"
FOLDER_VARIABLE = "HOTLAP_TRACKS"

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

Direction = Literal["as_is", "cw", "ccw", "reversed"]
DIRECTIONS: tuple[Direction, ...] = ("as_is", "cw", "ccw", "reversed")


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
        name_or_path: A built-in name, the name of a file in the user's folder, or a path ending in ``.npy``. A name
            ending in ``_cw`` or ``_ccw`` that is not known is that direction of the track without the ending.
        direction: ``"as_is"`` drives the rows in their order, ``"reversed"`` against it, ``"cw"`` and ``"ccw"``
            whichever of the two runs clockwise or counter-clockwise.
        require_closed: Refuse open tracks.

    Raises:
        TrackError: If the name is unknown, the file is no usable route, or an open track is given where a loop is
            needed.
    """
    if direction not in DIRECTIONS:
        raise TrackError(f"direction is {direction!r}, expected one of {', '.join(DIRECTIONS)}.")
    path, suffix = _find(str(name_or_path))
    track = read_route(path)
    track = replace(track, theme=TRACK_THEMES.get(track.name.removesuffix("_cw").removesuffix("_ccw"), track.theme))
    if suffix:
        track = replace(_turn(track, suffix), name=str(name_or_path))
    if require_closed and not track.closed:
        gap = float(((track.center[0] - track.center[-1]) ** 2).sum() ** 0.5)
        raise TrackError(
            f"track {track.name!r} is open: its ends are {gap:.2f} m apart, but a loop is needed here. Choose another "
            f"track; or, if it should be a loop, add it again with `hotlap tracks add {path} --close`."
        )
    return _turn(track, direction)


def add_track(
    path: str | Path, name: str | None = None, *, closed: bool | None = None, overwrite: bool = False
) -> Track:
    """Check a route file and copy it into the user's folder, where ``load_track`` finds it by name.

    Args:
        path: The route file.
        name: Its new name; by default the file's.
        closed: True adds the closing row that an unfinished loop lacks.
        overwrite: Whether a track of that name in the user's folder may be replaced.

    Raises:
        TrackError: If the file is no usable route, or the name cannot be used.
    """
    track = read_route(path, closed=closed, name=name)
    destination = user_folder() / f"{check_name(track.name)}.npy"
    if destination.exists() and not overwrite:
        raise TrackError(
            f"a track named {track.name!r} is already at {destination}. Give another name, or use --force."
        )
    write_route(track, destination)
    return track


def check_name(name: str) -> str:
    """Return ``name`` if it can name a track and its file, else raise a TrackError."""
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}", name) or name.endswith(".npy"):
        raise TrackError(
            f"{name!r} cannot name a track. Use up to 64 letters, digits, '_', '-' and '.', without .npy at the end."
        )
    return name


def _find(name_or_path: str) -> tuple[Path, Direction | None]:
    """File of a track, and the direction that its name asks for beyond the file's."""
    if name_or_path.endswith(".npy"):
        return Path(name_or_path).expanduser(), None
    paths = {entry.name: entry.path for entry in list_tracks()}
    if name_or_path in paths:
        return paths[name_or_path], None
    stem, _, suffix = name_or_path.rpartition("_")
    if stem in paths and suffix in ("cw", "ccw"):
        return paths[stem], "cw" if suffix == "cw" else "ccw"
    near = difflib.get_close_matches(name_or_path.lower(), paths, n=1, cutoff=0.5)
    raise TrackError(
        f"there is no track named {name_or_path!r}.{f' Did you mean {near[0]!r}?' if near else ''} Known are: "
        f"{', '.join(paths)}. Own route files are named by their path (ending in .npy) or added with "
        f"`hotlap tracks add FILE`."
    )


def _turn(track: Track, direction: Direction) -> Track:
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

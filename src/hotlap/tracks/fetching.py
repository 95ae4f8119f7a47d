"""Bring routes of the original into the user's folder: checked, with their source and license beside them.

``SOURCES.json`` in that folder says of every fetched route where it is from and under which license.
"""

from __future__ import annotations

import fnmatch
import hashlib
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from hotlap.bounded import load_json, read_bounded
from hotlap.errors import TrackError
from hotlap.tracks.catalog import check_name, list_tracks, user_folder
from hotlap.tracks.download import UnreachableError
from hotlap.tracks.names import match_name, near_names
from hotlap.tracks.originals import OriginalRoute, console_names, original_routes
from hotlap.tracks.route_file import MAX_BYTES, parse_route, write_whole
from hotlap.tracks.route_sources import RouteSource

SOURCES_FILE: Final = "SOURCES.json"
UNKNOWN_LICENSE: Final = "unknown: ask whoever published the source"
_MAX_SOURCES: Final = 4 << 20  # bytes


@dataclass(frozen=True)
class Fetched:
    """What became of one route."""

    name: str
    status: Literal["new", "here", "failed"]
    file: Path
    sha256: str | None = None
    length_m: float | None = None
    source: str | None = None
    license: str | None = None
    note: str | None = None
    """Why it failed, or what is odd about it."""


def choose_names(wanted: Sequence[str], there: Iterable[str] | None, *, all_of_them: bool) -> list[str]:
    """Names of the routes that somebody asks for.

    Args:
        wanted: Names as people write them, and patterns with ``*``, ``?`` and ``[...]``.
        there: Names that the source has; None if it cannot tell, then those of the original.
        all_of_them: All that the source has.

    Raises:
        TrackError: If a name means none, or a pattern fits none.
    """
    known, called_there = original_routes(), console_names()
    everything = list(known if there is None else there)
    if all_of_them:
        return everything
    names: dict[str, None] = {}
    for text in wanted:
        if any(mark in text for mark in "*?["):
            fitting = [name for name in everything if fnmatch.fnmatchcase(name.casefold(), text.casefold())]
            if not fitting:
                raise TrackError(f"no route is called like {text!r}. `hotlap tracks list --all` shows what there is.")
            names |= dict.fromkeys(fitting)
            continue
        match = match_name(text, [*everything, *(name for name in known if name not in everything)], called_there)
        if match is not None:
            names[match.name] = None
        elif there is None:  # the server may know it
            names[check_name(text.removesuffix(".npy"))] = None
        else:
            near = " or ".join(map(repr, near_names(text, everything, called_there)))
            raise TrackError(
                f"there is no route named {text!r}.{f' Did you mean {near}?' if near else ''} "
                "`hotlap tracks list --all` shows what there is."
            )
    return list(names)


def here(name: str) -> Fetched | None:
    """A route that is in the user's folder already and is the original's by its checksum; None if it is not."""
    route, file = original_routes().get(name), user_folder() / f"{name}.npy"
    if route is None or _checksum(file) != route.sha256:
        return None
    return Fetched(name, "here", file, route.sha256, route.length_m, license=route.license)


def fetch_routes(
    names: Sequence[str],
    source: RouteSource,
    *,
    any_hash: bool = False,
    overwrite: bool = False,
    tell: Callable[[Fetched], None] = lambda fetched: None,
) -> list[Fetched]:
    """Bring routes from a source, one after the other; a bad one does not keep the next from coming.

    Args:
        names: Of the routes.
        source: Where they are.
        any_hash: Take routes of the original whose files differ from the published ones.
        overwrite: Replace other tracks of the user's with these names.
        tell: Called after each.

    Raises:
        TrackError: If nothing can be got from the source, or the user's folder cannot be written to.
    """
    done: list[Fetched] = []
    for name in names:
        fetched = here(name)
        if fetched is None:
            try:
                fetched = _fetch(name, source, any_hash=any_hash, overwrite=overwrite)
            except UnreachableError as error:
                raise _no_way(error, done, len(names)) from error
            except TrackError as error:
                fetched = Fetched(name, "failed", user_folder() / f"{name}.npy", note=str(error))
        if fetched.status != "failed":
            _note_source(fetched)
        done.append(fetched)
        tell(fetched)
    return done


def _fetch(name: str, source: RouteSource, *, any_hash: bool, overwrite: bool) -> Fetched:
    known = original_routes().get(name)
    file = user_folder() / f"{check_name(name)}.npy"
    content, fits = _choose(source.candidates(name), known)
    checksum = hashlib.sha256(content).hexdigest()
    track = parse_route(content, name, source=f"{source.shown}: {name}.npy")
    license_, note = UNKNOWN_LICENSE, None
    if known is None:
        note = "it is not among the known routes of the original: only its shape was checked"
    elif fits:
        license_ = known.license
    elif any_hash:
        note = f"it is not the published file (that is {known.length_m:.2f} m long), and was taken all the same"
    else:
        raise TrackError(
            f"{source.shown}: {name}.npy is not the published file: its SHA-256 is {checksum}, expected "
            f"{known.sha256}. It has a right shape and is {track.length:.2f} m long, the published one "
            f"{known.length_m:.2f} m. Get it from another source, or take it as it is with --any-hash."
        )
    present = _checksum(file)
    if present is not None and present != checksum and not overwrite:
        raise TrackError(f"another track named {name!r} is already at {file}. Replace it with --force, or rename it.")
    if present != checksum:
        write_whole(content, file)
    status: Literal["new", "here"] = "here" if present == checksum else "new"
    return Fetched(name, status, file, checksum, track.length, source.shown, license_, note)


def _choose(candidates: Sequence[bytes], known: OriginalRoute | None) -> tuple[bytes, bool]:
    """The published file among several of a name, or else the first; and whether it is the published one."""
    for content in candidates:
        if known is not None and hashlib.sha256(content).hexdigest() == known.sha256:
            return content, True
    return candidates[0], False


def _checksum(file: Path) -> str | None:
    try:
        return hashlib.sha256(read_bounded(file, MAX_BYTES)).hexdigest()
    except OSError:
        return None


def _note_source(fetched: Fetched) -> None:
    """Write down where a route is from, unless that is known."""
    file = user_folder() / SOURCES_FILE
    try:
        notes = load_json(read_bounded(file, _MAX_SOURCES))
    except (OSError, ValueError):
        notes = {}
    notes = notes if isinstance(notes, dict) else {}
    before = notes.get(fetched.name)
    if isinstance(before, dict) and before.get("sha256") == fetched.sha256:
        return
    known = original_routes().get(fetched.name)
    published = known is not None and known.sha256 == fetched.sha256
    notes[fetched.name] = {
        "sha256": fetched.sha256,
        "source": fetched.source or (known.repository if known and published else None),
        "published": known.address if known and published else None,
        "license": fetched.license,
    }
    text = json.dumps(dict(sorted(notes.items())), indent=2, ensure_ascii=False)
    write_whole(f"{text}\n".encode(), file)


def _no_way(error: UnreachableError, done: Sequence[Fetched], wanted: int) -> UnreachableError:
    ready = sum(each.status != "failed" for each in done)
    built_in = sum(entry.built_in for entry in list_tracks())
    return UnreachableError(
        f"no network, or the server is away: {'not everything' if ready else 'nothing'} fetched ({ready} of {wanted}). "
        f"The {built_in} built-in tracks work without: `hotlap tracks list`.\n{error} The same command goes on with "
        "the rest once there is a network. Or take routes from another place with --source PLACE: a mirror's address, "
        "a checkout of https://github.com/aws-deepracer-community/deepracer-simapp, a folder, a .tar or .zip, or the "
        "file system of the simulator's image."
    )

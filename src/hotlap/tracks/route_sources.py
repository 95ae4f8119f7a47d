"""Where ``hotlap tracks get`` takes routes from: the published ones, another address, an archive, or a folder.

A folder may be a git checkout of the simulator or the file system of its image; an archive may hold any of them.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
import urllib.parse
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from hotlap.errors import TrackError
from hotlap.tracks.download import Downloader, NotThereError, shown
from hotlap.tracks.found_routes import Found, routes_in_archive, routes_in_folder
from hotlap.tracks.originals import OriginalRoute
from hotlap.tracks.route_file import MAX_BYTES

SOURCE_VARIABLE: Final = "HOTLAP_TRACK_SOURCE"
MAX_ARCHIVE: Final = 4 << 30  # bytes of one that is downloaded
PUBLISHED_FOLDER: Final = "bundle/routes"  # of the simulator's repository

_ARCHIVE = re.compile(r"\.(tar|tar\.gz|tgz|zip)$", re.IGNORECASE)
_GITHUB = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?/?(?:/tree/([^/]+)/?(.*))?")


@dataclass(frozen=True)
class RouteSource:
    """A place with route files."""

    shown: str
    """Its name for people."""
    names: Sequence[str] | None
    """Of all routes that are there; None if it cannot tell."""
    candidates: Callable[[str], list[bytes]]
    """What the files of a name contain.

    Raises:
        NotThereError: If there is none.
        TrackError: If it cannot be got; an `UnreachableError` if nothing can.
    """


def open_source(place: str | None, known: Mapping[str, OriginalRoute], downloader: Downloader) -> RouteSource:
    """The source that ``place`` names, or ``HOTLAP_TRACK_SOURCE``, or where the known routes are published.

    Raises:
        TrackError: If there is no such place, or nothing that may hold routes.
    """
    place = place or os.environ.get(SOURCE_VARIABLE)
    if not place:
        repositories = dict.fromkeys(route.repository for route in known.values())
        return RouteSource(
            ", ".join(repositories), list(known), lambda name: [downloader.get(known[name].address, MAX_BYTES)]
        )
    parts = urllib.parse.urlsplit(place)
    if parts.scheme in ("http", "https"):
        return _archive_at(place, downloader) if _ARCHIVE.search(parts.path) else _address(place, downloader)
    if "://" in place:
        raise TrackError(f"{shown(place)}: routes come from http:// and https:// addresses, folders and archives.")
    path = Path(place).expanduser().absolute()  # it is noted in SOURCES.json
    if path.is_dir():
        return _gathered(routes_in_folder(path), str(path))
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError(errno.EINVAL, "it is neither a file nor a folder")
        with path.open("rb") as file:
            return _gathered(routes_in_archive(file, str(path)), str(path))
    except OSError as error:
        raise TrackError(
            f"{path}: the source of tracks cannot be read ({error.strerror or error}). Expected a folder, an archive "
            "(.tar, .tar.gz, .zip) or an address."
        ) from error


def _archive_at(address: str, downloader: Downloader) -> RouteSource:
    with tempfile.TemporaryFile() as file:
        downloader.save(address, file, MAX_ARCHIVE)
        file.seek(0)
        return _gathered(routes_in_archive(file, shown(address)), shown(address))


def _gathered(found: Found, shown: str) -> RouteSource:
    """Routes that are here."""

    def candidates(name: str) -> list[bytes]:
        if name not in found:
            raise NotThereError(f"{shown}: there is no {name}.npy in it.")
        return found[name]

    return RouteSource(shown, list(found), candidates)


def _address(address: str, downloader: Downloader) -> RouteSource:
    """A folder on a server, or the page of a repository on GitHub."""
    parts = urllib.parse.urlsplit(address)._replace(fragment="")
    page = _GITHUB.fullmatch(parts.path) if parts.hostname in ("github.com", "www.github.com") else None
    if page:
        owner, repository, revision, folder = page.groups()
        path = f"/{owner}/{repository}/{revision or 'HEAD'}/{folder or PUBLISHED_FOLDER}"
        parts = parts._replace(netloc="raw.githubusercontent.com", path=path)

    def candidates(name: str) -> list[bytes]:
        file = parts._replace(path=f"{parts.path.rstrip('/')}/{name}.npy")
        return [downloader.get(urllib.parse.urlunsplit(file), MAX_BYTES)]

    return RouteSource(shown(urllib.parse.urlunsplit(parts)), None, candidates)

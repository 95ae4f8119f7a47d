"""Where ``hotlap tracks get`` takes routes from: the published ones, another address, an archive, or a folder.

A folder may be a git checkout of the simulator or the file system of its image; an archive may hold any of them.
"""

from __future__ import annotations

import errno
import os
import re
import tempfile
import urllib.parse
from collections.abc import Mapping
from pathlib import Path
from typing import Final, Protocol

from hotlap.errors import TrackError
from hotlap.tracks.archives import Found, routes_in_archive, routes_in_folder
from hotlap.tracks.download import Downloader, NotThereError, shown
from hotlap.tracks.originals import OriginalRoute
from hotlap.tracks.route_file import MAX_BYTES

SOURCE_VARIABLE: Final = "HOTLAP_TRACK_SOURCE"
MAX_ARCHIVE: Final = 4 << 30  # bytes of one that is downloaded
PUBLISHED_FOLDER: Final = "bundle/routes"  # of the simulator's repository

_ARCHIVE = re.compile(r"\.(tar|tar\.gz|tgz|zip)$", re.IGNORECASE)
_GITHUB = re.compile(r"/([^/]+)/([^/]+?)(?:\.git)?/?(?:/tree/([^/]+)/?(.*))?")


class RouteSource(Protocol):
    """A place with route files."""

    shown: str
    """Its name for people."""

    def names(self) -> list[str] | None:
        """Names of all routes that are there; None if it cannot tell."""

    def candidates(self, name: str) -> list[bytes]:
        """What the files of that name contain.

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
        return _Published(known, downloader)
    parts = urllib.parse.urlsplit(place)
    if parts.scheme in ("http", "https"):
        return _archive_at(place, downloader) if _ARCHIVE.search(parts.path) else _Address(place, downloader)
    if "://" in place:
        raise TrackError(f"{shown(place)}: routes come from http:// and https:// addresses, folders and archives.")
    path = Path(place).expanduser().absolute()  # it is noted in SOURCES.json
    if path.is_dir():
        return _Gathered(routes_in_folder(path), str(path))
    try:
        if path.exists() and not path.is_file():  # a pipe would be waited for
            raise OSError(errno.EINVAL, "it is neither a file nor a folder")
        with path.open("rb") as file:
            return _Gathered(routes_in_archive(file, str(path)), str(path))
    except OSError as error:
        raise TrackError(
            f"{path}: the source of tracks cannot be read ({error.strerror or error}). Expected a folder, an archive "
            "(.tar, .tar.gz, .zip) or an address."
        ) from error


def _archive_at(address: str, downloader: Downloader) -> RouteSource:
    with tempfile.TemporaryFile() as file:
        downloader.save(address, file, MAX_ARCHIVE)
        file.seek(0)
        return _Gathered(routes_in_archive(file, shown(address)), shown(address))


class _Gathered:
    """Routes that are here."""

    def __init__(self, found: Found, shown: str) -> None:
        self.found = found
        self.shown = shown

    def names(self) -> list[str]:
        return list(self.found)

    def candidates(self, name: str) -> list[bytes]:
        if name not in self.found:
            raise NotThereError(f"{self.shown}: there is no {name}.npy in it.")
        return self.found[name]


class _Address:
    """A folder on a server, or the page of a repository on GitHub."""

    def __init__(self, address: str, downloader: Downloader) -> None:
        parts = urllib.parse.urlsplit(address)
        page = _GITHUB.fullmatch(parts.path) if parts.hostname in ("github.com", "www.github.com") else None
        if page:
            owner, repository, revision, folder = page.groups()
            path = f"/{owner}/{repository}/{revision or 'HEAD'}/{folder or PUBLISHED_FOLDER}"
            parts = parts._replace(netloc="raw.githubusercontent.com", path=path)
        self.parts = parts._replace(fragment="")
        self.downloader = downloader
        self.shown = shown(urllib.parse.urlunsplit(self.parts))

    def names(self) -> None:
        return None

    def candidates(self, name: str) -> list[bytes]:
        path = f"{self.parts.path.rstrip('/')}/{name}.npy"
        return [self.downloader.get(urllib.parse.urlunsplit(self.parts._replace(path=path)), MAX_BYTES)]


class _Published:
    """Each route where it was first published."""

    def __init__(self, known: Mapping[str, OriginalRoute], downloader: Downloader) -> None:
        self.known = known
        self.downloader = downloader
        self.shown = ", ".join(dict.fromkeys(route.repository for route in known.values()))

    def names(self) -> list[str]:
        return list(self.known)

    def candidates(self, name: str) -> list[bytes]:
        return [self.downloader.get(self.known[name].address, MAX_BYTES)]

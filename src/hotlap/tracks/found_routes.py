"""Route files in folders and archives: ``.tar``, ``.tar.gz``, ``.zip``, or a whole file system that was put into one.

Only the last part of a name in an archive counts, and nothing is unpacked to disk.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from hotlap.archives.archive import find_files
from hotlap.bounded import MalformedError, told
from hotlap.errors import TrackError
from hotlap.tracks.route_file import MAX_BYTES, read_route_bytes

MAX_FOUND: Final = 64 << 20  # bytes of route files; the original's are 1.5 MiB
MAX_ENTRIES: Final = 2_000_000  # of a folder and all below it
ROUTES_FOLDER: Final = "routes"  # of the original

Found = dict[str, list[bytes]]
"""Contents of the route files by their names; of several of a name those in a folder ``routes`` come first."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def routes_in_folder(folder: Path) -> Found:
    """Route files in a folder and below it; links are not followed.

    Raises:
        TrackError: If there are none, or the folder is larger than any file system of an image.
    """
    return _gathered(_walk(folder), str(folder))


def routes_in_archive(file: BinaryIO, shown: str) -> Found:
    """Route files in an archive; ``shown`` is its name for messages.

    Raises:
        TrackError: If there are none, or it is damaged or made to harm.
    """
    try:
        return _gathered(find_files(file, _limit), shown)
    except (MalformedError, OSError) as error:
        raise TrackError(
            f"{shown}: the archive cannot be read: {told(error)}. Expected .tar, .tar.gz or .zip; get it again, or "
            "unpack it and name the folder."
        ) from None


def _walk(folder: Path) -> Iterator[tuple[str, bytes]]:
    entries = 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        entries += len(names) + len(folders)
        if entries > MAX_ENTRIES:
            raise TrackError(f"{folder}: it holds more than {MAX_ENTRIES} files. Name the folder that has the routes.")
        for name in sorted(names):
            path = Path(place, name)
            if _limit(name) is None or path.is_symlink() or not path.is_file() or path.stat().st_size > MAX_BYTES:
                continue
            yield path.as_posix(), read_route_bytes(path)


def _limit(name: str) -> int | None:
    stem, ending = os.path.splitext(PurePosixPath(name).name)
    return MAX_BYTES if ending == ".npy" and _NAME.fullmatch(stem) else None


def _gathered(files: Iterable[tuple[str, bytes]], shown: str) -> Found:
    others: Found = {}
    found: Found = {}
    size = 0
    for name, content in files:
        path = PurePosixPath(name)
        size += len(content)
        if size > MAX_FOUND:
            raise TrackError(f"{shown}: it holds more than {MAX_FOUND >> 20} MiB of .npy files. Name their folder.")
        (found if path.parent.name == ROUTES_FOLDER else others).setdefault(path.stem, []).append(content)
    for name, contents in others.items():
        found.setdefault(name, []).extend(contents)
    if not found:
        raise TrackError(
            f"{shown}: there are no route files (.npy) in it. Expected a folder or an archive with files such as "
            "reinvent_base.npy; of a container's image, export its file system (docker export)."
        )
    return dict(sorted(found.items()))

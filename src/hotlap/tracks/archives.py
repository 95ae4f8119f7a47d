"""Route files in folders and archives: ``.tar``, ``.tar.gz``, ``.zip``, or a whole file system that was put into one.

Only the last part of a name in an archive counts, and nothing is unpacked to disk.
"""

from __future__ import annotations

import os
import re
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO, Final

from hotlap.bounded import MalformedError, told
from hotlap.errors import TrackError
from hotlap.tar import find_files
from hotlap.tracks.route_file import MAX_BYTES, read_route_bytes

MAX_FOUND: Final = 64 << 20  # bytes of route files; the original's are 1.5 MiB
MAX_ENTRIES: Final = 2_000_000  # of a folder and all below it
MAX_ZIP_DIRECTORY: Final = 16 << 20  # bytes that name its members; Python's zipfile makes ten times as much of them
ROUTES_FOLDER: Final = "routes"  # of the original

Found = dict[str, list[bytes]]
"""Contents of the route files by their names; of several of a name those in a folder ``routes`` come first."""

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")


def is_archive(path: Path) -> bool:
    """Whether a file is an archive that may hold routes, by its first bytes."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            start = file.read(512)
    except OSError:
        return False
    return start[:2] in (b"\x1f\x8b", b"PK") or start[257:262] == b"ustar"


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
        start = file.read(2)
        file.seek(0)
        return _gathered(_in_zip(file) if start == b"PK" else find_files(file, _limit), shown)
    except (ValueError, OSError, zlib.error, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError) as error:
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


def _in_zip(file: BinaryIO) -> Iterator[tuple[str, bytes]]:
    _check_zip_directory(file)
    with zipfile.ZipFile(file) as archive:
        for member in archive.infolist():
            if _limit(member.filename) is None or member.is_dir() or member.file_size > MAX_BYTES:
                continue
            if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise MalformedError("it is packed in a way that few programs know")
            with archive.open(member) as content:
                yield member.filename, content.read(MAX_BYTES)


def _check_zip_directory(file: BinaryIO) -> None:
    """Refuse a zip whose list of members is too long to be read."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - (1 << 16) - 42))
    end = file.read()
    at = end.rfind(b"PK\5\6")
    if at < 0 or len(end) < at + 22:
        raise MalformedError("it is cut short")
    if b"PK\6\7" in end[:at] or int.from_bytes(end[at + 12 : at + 16], "little") > MAX_ZIP_DIRECTORY:
        raise MalformedError("it has too many members")
    file.seek(0)


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

"""Archives that people bring, known by what they begin with and not by their name: tar, tar.gz and zip."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hotlap.archives import tar, zip
from hotlap.bounded import MalformedError
from hotlap.errors import RecordError
from hotlap.unfinished import scratch_folder


def is_archive(path: Path) -> bool:
    """Whether a file is an archive; a gzipped file that holds no tar is none."""
    try:
        if not path.is_file():
            return False
        with path.open("rb") as file:
            return _is_zip(file) or tar.begins_tar(file)
    except OSError:
        return False


def unpack(archive: Path, target: Path, wanted: Callable[[str], int | None]) -> dict[str, Path]:
    """Write the wanted members of an archive into the folder ``target``, under numbers instead of names.

    Args:
        archive: A tar, gzipped or not, or a zip.
        target: An empty folder.
        wanted: Largest size [bytes] of the member with this name; None: not wanted.

    Returns:
        Where each member lies, by its name in the archive.

    Raises:
        MalformedError: If it is no such archive, or has a member that no archive of ours has: links, devices, names
            that lead outside, more or larger files than any model. ``target`` may then hold a part.
    """
    if not archive.is_file():  # a pipe would be waited for
        raise MalformedError("it is no file")
    paths: dict[str, Path] = {}
    with archive.open("rb") as file:
        for name, size, parts in _members(file, wanted):
            limit = wanted(name)
            if limit is None:
                continue
            if size > limit:
                raise MalformedError(f"{name!r} in it has {size} bytes, more than the {limit} that any such file has")
            if name in paths:
                raise MalformedError(f"{name!r} is in it twice")
            paths[name] = target / str(len(paths))
            with paths[name].open("xb") as out:
                out.writelines(parts)
    return paths


def find_files(archive: BinaryIO, wanted: Callable[[str], int | None]) -> Iterator[tuple[str, bytes]]:
    """Names and contents of the wanted files in an archive that may hold a whole file system.

    Args:
        archive: A tar, gzipped or not, or a zip, at its beginning.
        wanted: Largest size [bytes] of the file with this name; None: not wanted. Larger ones are passed over.

    Raises:
        MalformedError: If it is no such archive, is damaged, or is larger than the file system of any image.
    """
    for name, size, parts in _members(archive, wanted, file_system=True):
        limit = wanted(name)
        if limit is not None and size <= limit:
            yield name, b"".join(parts)


@contextmanager
def as_folder(place: Path, wanted: Callable[[str], int | None]) -> Iterator[Path]:
    """A folder as it is, or the wanted files of an archive in a folder that lasts as long as this.

    Where everything lies in one folder, it is this folder.

    Raises:
        RecordError: If the archive is damaged, or made to harm.
    """
    if place.is_dir():
        yield inner_folder(place)
        return
    with scratch_folder() as scratch:
        packed, folder = scratch / "packed", scratch / "folder"
        packed.mkdir()
        folder.mkdir()
        try:
            for name, path in unpack(place, packed, wanted).items():
                (folder / name).parent.mkdir(parents=True, exist_ok=True)
                path.rename(folder / name)
        except MalformedError as error:
            raise RecordError(
                f"{place}: this archive cannot be used: {error}. Expected a .tar.gz or .zip of a model or of its logs; "
                "download or copy it again."
            ) from None
        except OSError as error:
            raise RecordError(f"{place}: this archive cannot be unpacked ({error.strerror or error}).") from None
        yield inner_folder(folder)


def inner_folder(folder: Path) -> Path:
    """The first folder from here that holds more than one folder."""
    for _ in range(8):
        inside = [path for path in folder.iterdir() if not path.name.startswith((".", "__MACOSX"))]
        if len(inside) != 1 or not inside[0].is_dir() or inside[0].is_symlink() or inside[0].name in _PARTS:
            break
        folder = inside[0]
    return folder


_PARTS = ("training-simtrace", "sim-trace", "metrics", "model", "agent", "logs")
"""Folders that are a part of a model, not what a model lies in."""


def _members(
    file: BinaryIO, wanted: Callable[[str], int | None], *, file_system: bool = False
) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    return (zip if _is_zip(file) else tar).members(file, wanted, file_system=file_system)


def _is_zip(file: BinaryIO) -> bool:
    """By its first bytes; the file stands at its beginning, before and after."""
    start = file.read(len(zip.MAGIC[0]))
    file.seek(0)
    return start in zip.MAGIC

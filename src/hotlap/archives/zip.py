"""Read a stranger's ``.zip``: the same law as for ``tar``, and the same limits.

Python's zipfile reads the directory at the end into memory whatever its length, so that is looked at before. It never
gives more of a member than the directory says, so the limits hold for what it says.

Source: PKWARE APPNOTE 6.3.10, section 4.3.16.
"""

from __future__ import annotations

import stat
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import BinaryIO, Final

from hotlap.archives.tar import MAX_MEMBERS, MAX_UNPACKED, plain_name
from hotlap.bounded import MalformedError, told

MAGIC: Final = (b"PK\x03\x04", b"PK\x05\x06")  # a first member, or the end of an archive without any
MAX_DIRECTORY: Final = 16 << 20  # bytes that name the members; zipfile makes ten times as much of them
_CHUNK: Final = 1 << 20
_END, _LOCATOR64 = b"PK\x05\x06", b"PK\x06\x07"
_LEN_END, _MAX_COMMENT, _LEN_LOCATOR64 = 22, 0xFFFF, 20
_ENCRYPTED = 1


def members(
    file: BinaryIO, wanted: Callable[[str], int | None], *, file_system: bool = False
) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """As ``tar.members``, of a zip archive."""
    left = MAX_UNPACKED
    with _opened(file) as zipped:
        if len(zipped.infolist()) > MAX_MEMBERS and not file_system:
            raise MalformedError(f"it has more than {MAX_MEMBERS} members")
        for member in zipped.infolist():
            name = member.filename if file_system else plain_name(member.filename)
            kind = stat.S_IFMT(member.external_attr >> 16) if member.create_system == 3 else 0  # Unix tells what it is
            if member.is_dir() or (kind == stat.S_IFDIR and not file_system):
                continue
            if kind not in (0, stat.S_IFREG) and not file_system:
                raise MalformedError(f"{name!r} in it is a link or a device; an archive of a model has only files")
            if wanted(name) is not None:
                left -= member.file_size
                if left < 0 and not file_system:
                    raise MalformedError(f"it unpacks to more than {MAX_UNPACKED >> 20} MiB")
                yield name, member.file_size, _parts(zipped, member)


@contextmanager
def _opened(file: BinaryIO) -> Iterator[zipfile.ZipFile]:
    with _only_malformed():
        _check_directory(file)
        zipped = zipfile.ZipFile(file)
    with zipped:
        yield zipped


@contextmanager
def _only_malformed() -> Iterator[None]:
    """Let whatever zipfile finds wrong be a `MalformedError`."""
    try:
        yield
    except MalformedError:
        raise
    except (
        zipfile.BadZipFile,
        zlib.error,
        struct.error,
        EOFError,
        ValueError,
        NotImplementedError,
        RuntimeError,
    ) as error:
        raise MalformedError(f"it is damaged ({told(error)})") from None


def _check_directory(file: BinaryIO) -> None:
    """Refuse an archive whose list of members is too long to be read; large ones have it in another form."""
    length = file.seek(0, 2)
    file.seek(max(0, length - _LEN_END - _MAX_COMMENT - _LEN_LOCATOR64))
    tail = file.read()
    at = tail.rfind(_END)
    if at < 0 or at + _LEN_END > len(tail):
        raise MalformedError("it is cut short or no zip file")
    size = int.from_bytes(tail[at + 12 : at + 16], "little")
    if tail[max(0, at - _LEN_LOCATOR64) : at].startswith(_LOCATOR64) or size > MAX_DIRECTORY:
        raise MalformedError("it has too many members, or too large ones")
    file.seek(0)


def _parts(zipped: zipfile.ZipFile, member: zipfile.ZipInfo) -> Iterator[bytes]:
    if member.flag_bits & _ENCRYPTED:
        raise MalformedError(f"{member.filename!r} in it is encrypted")
    if member.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
        raise MalformedError(f"{member.filename!r} in it is packed in a way that few programs know")
    try:
        with _only_malformed(), zipped.open(member) as content:
            while part := content.read(_CHUNK):
                yield part
    except OSError as error:  # its place is nowhere in the file
        raise MalformedError(f"{member.filename!r} in it is damaged ({told(error)})") from None

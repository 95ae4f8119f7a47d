"""Read a stranger's tar, gzipped or not: only what is wanted, only plain files, never outside, never too much.

Not by Python's tarfile: older versions of it (3.11.7 among them) hang on a header with a negative size, and it reads
extension headers of any size into memory. An archive is read once from front to back. In a model's archive whatever is
not a plain file in a plain place is an error; in that of a whole file system it is passed over.

Source: IEEE Std 1003.1 (ustar, pax), GNU tar manual (long names).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from typing import BinaryIO, Final, Protocol

from hotlap.bounded import MalformedError

MAX_UNPACKED: Final = 1 << 30  # bytes; five checkpoints with their graphs are a third of it
MAX_MEMBERS: Final = 20_000
MAX_FILE_SYSTEM: Final = 32 << 30  # bytes; the original simulator's image unpacks to about ten
MAX_FILE_SYSTEM_MEMBERS: Final = 2_000_000
MAX_GZIP_MEMBERS: Final = 1000
MAX_EXTENSION: Final = 1 << 16  # bytes of a header that holds a long name

GZIP: Final = b"\x1f\x8b"
_BLOCK: Final = 512
_CHUNK: Final = 1 << 20
_PACKED_CHUNK: Final = 1 << 16
_FILE, _FOLDER, _PAX, _PAX_ALL, _LONG_NAME, _LONG_LINK = (b"0", b"\0", b"7"), b"5", b"x", b"g", b"L", b"K"


def members(
    file: BinaryIO, wanted: Callable[[str], int | None], *, file_system: bool = False
) -> Iterator[tuple[str, int, Iterator[bytes]]]:
    """Name, size and content of the wanted members of an archive; each content is read, if at all, before the next.

    Args:
        file: A tar, gzipped or not, at its beginning.
        wanted: Whether something is wanted of a member with this name: not if it says None.
        file_system: It may hold a whole file system: more and larger files, and links, devices and odd names, which are
            passed over.

    Raises:
        MalformedError: If it is no such archive, or has a member that no model's archive has: links, devices, names
            that lead outside, more or larger ones than any model.
    """
    limits = (MAX_FILE_SYSTEM, MAX_FILE_SYSTEM_MEMBERS) if file_system else (MAX_UNPACKED, MAX_MEMBERS)
    reader = _Reader(_stream(file), *limits, file_system=file_system)
    for name, size in reader.files():
        if wanted(name) is not None:
            yield name, size, reader.parts(size)


class _Stream(Protocol):
    def read(self, size: int, /) -> bytes: ...


class _Gzip:
    """The contents of a gzip file.

    Not by Python's gzip, which goes on for hours through a file of empty members of 20 bytes each.
    """

    def __init__(self, file: BinaryIO) -> None:
        self.file = file
        self.unpacker = zlib.decompressobj(wbits=31)
        self.waiting = b""
        self.num_members = 1

    def read(self, size: int) -> bytes:
        """The next ``size`` bytes, or all that are left."""
        parts = []
        while size and (self.waiting or self._fill()):
            if self.unpacker.eof:
                self._begin_member()
            try:
                part = self.unpacker.decompress(self.waiting, size)
            except zlib.error as error:
                raise MalformedError(f"it is damaged or no gzip file ({error})") from None
            self.waiting = self.unpacker.unused_data if self.unpacker.eof else self.unpacker.unconsumed_tail
            parts.append(part)
            size -= len(part)
        return b"".join(parts)

    def _fill(self) -> bool:
        """Read on; whether there is more."""
        self.waiting = self.file.read(_PACKED_CHUNK)
        return bool(self.waiting)

    def _begin_member(self) -> None:
        self.num_members += 1
        if self.num_members > MAX_GZIP_MEMBERS:
            raise MalformedError(f"it is made of more than {MAX_GZIP_MEMBERS} gzip files")
        self.unpacker = zlib.decompressobj(wbits=31)


def _stream(file: BinaryIO) -> _Stream:
    """What a file holds, gzipped or not; the file stands at its beginning."""
    gzipped = file.read(2) == GZIP
    file.seek(0)
    return _Gzip(file) if gzipped else file


class _Reader:
    """Walks through the members of a tar.

    Args:
        stream: The tar.
        max_unpacked: Largest size [bytes].
        max_members: Most members, whatever they are.
        file_system: Pass over links, devices and odd names instead of refusing them.
    """

    def __init__(self, stream: _Stream, max_unpacked: int, max_members: int, *, file_system: bool = False) -> None:
        self.stream = stream
        self.max_unpacked = self.left = max_unpacked
        self.max_members = max_members
        self.file_system = file_system
        self.pending = 0  # bytes of the file in hand that nobody has read, and of its filling

    def files(self) -> Iterator[tuple[str, int]]:
        """Name and size of every plain file; ``content`` reads the one in hand."""
        long_name, found = "", False
        for _ in range(self.max_members):
            header = self._read(_BLOCK, or_nothing=found)
            if not header.strip(b"\0"):
                return
            _check(header)
            size, kind = _size(header), header[156:157]
            self.pending = size + -size % _BLOCK
            if kind in (_PAX, _PAX_ALL, _LONG_NAME, _LONG_LINK):
                if size > MAX_EXTENSION:
                    raise MalformedError(f"a header in it has {size} bytes")
                content = self.content(size)
                if kind == _LONG_NAME:
                    long_name = _text(content)
                elif kind == _PAX:
                    long_name = _pax_path(content) or long_name
            else:
                name, long_name, found = long_name or _name(header), "", True
                if self._is_plain_file(name, kind):
                    yield plain_name(name), size
            self._skip_pending()
        raise MalformedError(f"it has more than {self.max_members} members")

    def content(self, size: int) -> bytes:
        """The next ``size`` bytes of the file in hand."""
        self.pending -= size
        return self._read(size)

    def parts(self, size: int) -> Iterator[bytes]:
        """The same, a piece at a time."""
        for start in range(0, size, _CHUNK):
            yield self.content(min(_CHUNK, size - start))

    def _is_plain_file(self, name: str, kind: bytes) -> bool:
        try:
            name = plain_name(name)
        except MalformedError:
            if self.file_system:
                return False
            raise
        if kind not in _FILE and kind != _FOLDER and not self.file_system:
            raise MalformedError(f"{name!r} in it is a link or a device; a model's archive has only files")
        return kind in _FILE

    def _read(self, size: int, *, or_nothing: bool = False) -> bytes:
        self.left -= size
        if self.left < 0:
            raise MalformedError(f"it unpacks to more than {self.max_unpacked >> 20} MiB")
        content = self.stream.read(size)
        if len(content) != size and not (or_nothing and not content):
            raise MalformedError("it is cut short")
        return content

    def _skip_pending(self) -> None:
        while self.pending:
            self.content(min(_CHUNK, self.pending))


def begins_tar(file: BinaryIO) -> bool:
    """Whether a file begins like a tar, gzipped or not."""
    try:
        header = _stream(file).read(_BLOCK)
        _check(header)
    except MalformedError:
        return False
    return len(header) == _BLOCK and bool(header.strip(b"\0"))


def _check(header: bytes) -> None:
    """The checksum counts itself as spaces."""
    total = sum(header[:148]) + 8 * ord(" ") + sum(header[156:])
    if _octal(header[148:156]) != total:
        raise MalformedError("it is damaged or no tar file inside")


def _size(header: bytes) -> int:
    field = header[124:136]
    if field[0] & 0x80:  # a large number in binary, of which no model has one
        raise MalformedError("a member in it is too large")
    return _octal(field)


def _octal(field: bytes) -> int:
    digits = field.strip(b" \0")
    if not all(byte in b"01234567" for byte in digits):
        raise MalformedError("it is damaged or no tar file inside")
    return int(digits or b"0", 8)


def _name(header: bytes) -> str:
    name = _text(header[:100])
    prefix = _text(header[345:500]) if header[257:263] == b"ustar\0" else ""
    return f"{prefix}/{name}" if prefix else name


def _text(field: bytes) -> str:
    return field.partition(b"\0")[0].decode(errors="replace")


def _pax_path(content: bytes) -> str:
    """The name among pax records ``length key=value``, which replaces the one of the next header."""
    path = ""
    while content:
        digits, _, _ = content.partition(b" ")
        length = int(digits) if digits.isdigit() and len(digits) < 7 else 0
        if not len(digits) < length <= len(content):
            raise MalformedError("a header in it is damaged")
        key, _, value = content[len(digits) + 1 : length - 1].partition(b"=")
        if key == b"path":
            path = _text(value)
        elif key == b"size" or key.startswith(b"GNU.sparse"):
            raise MalformedError("a member in it is too large, or has holes")
        content = content[length:]
    return path


def plain_name(name: str) -> str:
    """A relative name without detours."""
    parts = [part for part in name.split("/") if part not in ("", ".")]
    if name.startswith("/") or ".." in parts or any(mark in name for mark in "\\:\0") or len(name) > 1000:
        raise MalformedError(f"the name {name[:200]!r} in it leads outside of the archive")
    return "/".join(parts)

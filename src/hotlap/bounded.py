"""Files that may come from strangers: only regular ones are read, only up to a size, and JSON only with so many values.

A pipe in place of a file would wait for ever and a device never end; a gigabyte of ``[{},{},…`` becomes thirty of
objects. What is refused is an `OSError` or a `ValueError`, so that readers explain it like any file that they cannot
read, in their own words.
"""

from __future__ import annotations

import errno
import json
import os
import stat
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO, Literal

MAX_JSON_VALUES = 5_000_000  # about half a gigabyte of objects; half a million records of metrics


class MalformedError(ValueError):
    """Bytes that are not what they should be; readers of files add the file's name and the way out."""


def read_bounded(path: str | Path, limit: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: If it cannot be read, is a pipe or a device, or has more than ``limit`` bytes; ``strerror`` says so.
    """
    with open_regular(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        content = file.read() if size <= limit else b""
    size = max(size, len(content))
    if size > limit:
        raise OSError(errno.EFBIG, f"it has {in_words(size)}, more than the {in_words(limit)} it may have", str(path))
    return content


def open_regular(path: str | Path, mode: Literal["rb", "r+b"]) -> BinaryIO:
    """Open a regular file.

    Raises:
        OSError: If it cannot be opened, or is a pipe or a device; ``strerror`` says so.
    """
    try:
        file = open(path, mode, opener=_without_waiting)  # noqa: SIM115  (the caller closes it)
    except ValueError:  # a null character or half a surrogate pair
        raise OSError(errno.EINVAL, "no file can have such a name", ascii(str(path))) from None
    if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
        file.close()
        raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
    return file


def lines_of(data: bytes, longest: int) -> Iterator[bytes]:
    """The lines of a text without their ends; one of more than ``longest`` bytes comes as an empty one."""
    begin = 0
    while begin < len(data):
        end = data.find(b"\n", begin)
        end = len(data) if end < 0 else end
        yield data[begin:end] if end - begin <= longest else b""
        begin = end + 1


def gunzip(content: bytes, limit: int) -> bytes:
    """The contents of a gzip file.

    Raises:
        ValueError: If it is none, is damaged or cut short, or unpacks to more than ``limit`` bytes.
    """
    unpacker = zlib.decompressobj(wbits=31)
    try:
        unpacked = unpacker.decompress(content, limit + 1)
    except zlib.error as error:
        raise ValueError(f"it is damaged or no gzip file ({error})") from None
    if len(unpacked) > limit:
        raise ValueError(f"it unpacks to more than {in_words(limit)}")
    if not unpacker.eof:
        raise ValueError("it is cut short")
    return unpacked


def load_json(data: bytes | str) -> Any:
    """What JSON says.

    Raises:
        ValueError: If it is none, is nested too deeply, or has too many values or digits.
    """
    marks = (b",", b"[", b"{") if isinstance(data, bytes) else (",", "[", "{")
    if sum(map(data.count, marks)) > MAX_JSON_VALUES:  # type: ignore[arg-type]  # of the same kind as data
        raise ValueError(f"it has more than {MAX_JSON_VALUES} values")
    try:
        return json.loads(data)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def told(error: BaseException) -> str:
    """What an error says, in a line that can be printed; libraries quote from the file."""
    return ascii(str(error))[1:-1][:200]


def in_words(num_bytes: int) -> str:
    """A size for people."""
    for unit, power in (("GiB", 30), ("MiB", 20), ("KiB", 10)):
        if num_bytes >= 1 << power:
            return f"{num_bytes / (1 << power):.4g} {unit}"
    return f"{num_bytes} bytes"


def _without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | getattr(os, "O_NONBLOCK", 0))

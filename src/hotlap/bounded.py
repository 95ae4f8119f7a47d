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
from pathlib import Path
from typing import Any

MAX_JSON_VALUES = 5_000_000  # about half a gigabyte of objects; half a million records of metrics


def read_bounded(path: str | Path, limit: int) -> bytes:
    """The bytes of a regular file.

    Raises:
        OSError: If it cannot be read, is a pipe or a device, or has more than ``limit`` bytes; ``strerror`` says so.
    """
    try:
        with open(path, "rb", opener=_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise OSError(errno.EINVAL, "it is a pipe or a device, not a file", str(path))
            content = file.read() if status.st_size <= limit else b""
    except ValueError:  # a null character or half a surrogate pair
        raise OSError(errno.EINVAL, "no file can have such a name", ascii(str(path))) from None
    size = max(status.st_size, len(content))
    if size > limit:
        raise OSError(errno.EFBIG, f"it has {in_words(size)}, more than the {in_words(limit)} it may have", str(path))
    return content


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

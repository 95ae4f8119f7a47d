"""Where a model's files are: keys and bytes, so that a folder and a bucket can stand behind the same methods.

A key is a path relative to the model's root with ``/`` between its parts, exactly as in an object store. Whatever
is put appears whole or not at all; that is the only promise the records rely on.
"""

from __future__ import annotations

from pathlib import PurePosixPath
from typing import Protocol

from hotlap.errors import RecordError

_LARGEST = {
    ".json": 4 << 20,
    ".jsonl": 64 << 20,  # a line for each of fifty thousand iterations, or of two hundred thousand episodes
    ".csv": 256 << 20,
    ".safetensors": 640 << 20,  # the largest network's optimizer has a quarter
    ".data-00000-of-00001": 640 << 20,  # of a TensorFlow checkpoint
    ".pb": 320 << 20,
}
_LARGEST_METRICS = 128 << 20  # of half a million episodes
_LARGEST_OTHER = 4 << 30  # videos


def largest(key: str) -> int:
    """How many bytes the object of this name may have; no `Store` reads more into memory."""
    path = PurePosixPath(key)
    if path.suffix == ".json" and "metrics" in path.parts:
        return _LARGEST_METRICS
    return _LARGEST.get(path.suffix, _LARGEST_OTHER)


class Store(Protocol):
    """What the records need of a storage medium."""

    def put(self, key: str, data: bytes) -> None:
        """Create or replace one object; a reader sees the old bytes or the new ones, never a mixture."""

    def get(self, key: str) -> bytes:
        """The bytes of one object. Raises `RecordError` if it is missing, unreadable or too large."""

    def exists(self, key: str) -> bool:
        """Whether the object is there."""

    def list(self, prefix: str) -> list[str]:
        """Sorted keys of the objects directly below the folder ``prefix``; empty if there is no such folder."""

    def delete(self, key: str) -> None:
        """Remove one object; silent if it is not there."""


def checked_parts(key: str, root: object) -> list[str]:
    """The parts of a key.

    Raises:
        RecordError: If the key would leave ``root``.
    """
    parts = key.split("/")
    if any(part in ("", ".", "..") for part in parts):
        raise RecordError(
            f"{key!r} cannot name a file of the run in {root}. A key has plain names with '/' between them."
        )
    return parts

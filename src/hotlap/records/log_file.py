"""A log that grows by whole lines; after a kill it goes on as if what came after the last checkpoint never was."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from typing import ClassVar, Generic, TypeVar

from hotlap.bounded import lines_of
from hotlap.errors import RecordError
from hotlap.records.folder import Folder
from hotlap.records.store import Store

MAX_LINES = 200_000  # more than any training's, and half a gigabyte of objects
MAX_DAMAGED = 10_000  # lines; a kill leaves one

Record = TypeVar("Record")


class LogFile:
    """Lines that are gathered by `add` and written by `write`.

    Args:
        store: Where the model lies.
        key: Of the file.
        head: First lines of a run; not repeated where the file that stays has them already.
        kept: Bytes of an earlier run's file that stay. 0 begins anew; None keeps all whole lines.

    Raises:
        RecordError: If the file that stays cannot be read, or cannot be cut.
    """

    def __init__(self, store: Folder, key: str, head: Sequence[str] = (), *, kept: int | None = 0) -> None:
        self.store = store
        self.key = key
        self._waiting: list[str] = []
        self.num_bytes = store.cut(key, sys.maxsize if kept is None else kept) if kept != 0 else 0
        """Of all that is written."""
        if _text(head) not in (store.get(key) if head and self.num_bytes else b""):
            self.add(head)

    def add(self, lines: Sequence[str]) -> None:
        """Append lines at the next `write`."""
        self._waiting += lines

    def write(self) -> None:
        """Append what was added.

        Raises:
            RecordError: If it could not be written.
        """
        if self._waiting:
            data = _text(self._waiting)
            # The first time without a look at what is there: a bucket may not answer.
            (self.store.append if self.num_bytes else self.store.put)(self.key, data)
            self.num_bytes += len(data)
            self._waiting = []


class RecordLog(Generic[Record]):
    """A file that grows by a line of JSON for each record.

    Args:
        store: Where the model lies.
        num_iterations: Continue a training with so many finished iterations; 0 begins anew; None neither drops nor
            clears, which is for readers.
        stays: Whether a record is kept when a training continues.
        kept: Bytes of the lines that stay, if that is known: then none of them is read.
    """

    KEY: ClassVar[str]

    def __init__(
        self, store: Store, num_iterations: int | None, stays: Callable[[Record], bool], kept: int | None
    ) -> None:
        self.store = store
        self.num_bytes = 0
        """Of the lines that stayed and those that were added."""
        if num_iterations and kept is not None:
            self.num_bytes = self._growing.cut(self.KEY, kept)
        elif num_iterations is not None:
            earlier = self._records() if num_iterations else []
            self._write(store.put, [record for record in earlier if stays(record)])

    @staticmethod
    def _parse(data: bytes) -> list[Record]:
        """The records of all whole lines, in order."""
        raise NotImplementedError

    @staticmethod
    def _line(record: Record) -> str:
        """A record as JSON."""
        raise NotImplementedError

    def _records(self) -> list[Record]:
        return self._parse(self.store.get(self.KEY)) if self.store.exists(self.KEY) else []

    def _add(self, records: Sequence[Record]) -> None:
        self._write(self._growing.append, records)

    @property
    def _growing(self) -> Folder:
        """Where the file grows; in a bucket it can only be read."""
        assert isinstance(self.store, Folder)
        return self.store

    def _write(self, how: Callable[[str, bytes], None], records: Sequence[Record]) -> None:
        data = _text([self._line(record) for record in records])
        how(self.KEY, data)
        self.num_bytes += len(data)


def read_lines(data: bytes, key: str, read: Callable[[str], Record], *, longest: int) -> list[Record]:
    """The records of all whole lines, in order.

    Args:
        data: Of the file.
        key: Its name, for the error.
        read: Makes a record of a line, or raises ValueError if that is torn.
        longest: Bytes that a line may have; longer ones are damaged.

    Raises:
        RecordError: If there are so many lines, or so many damaged ones, that it is another file.
    """
    if (num_lines := data.count(b"\n")) > MAX_LINES:
        raise RecordError(
            f"{key} is none of hotlap's files: it has {num_lines} lines, more than the {MAX_LINES} of any training. "
            "Move it away, or restore it from a copy."
        )
    records, num_damaged = [], 0
    for line in lines_of(data, longest):
        try:
            records.append(read(line.decode(errors="replace")))
        except ValueError:
            num_damaged += 1
            if num_damaged > MAX_DAMAGED:
                raise RecordError(
                    f"{key} is none of hotlap's files: more than {MAX_DAMAGED} of its lines are damaged. Move it away, "
                    "or restore it from a copy."
                ) from None
    return records


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()

"""A log that grows by whole lines; after a kill it goes on as if what came after the last checkpoint never was."""

from __future__ import annotations

from collections.abc import Sequence

from hotlap.records.store import Store


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

    def __init__(self, store: Store, key: str, head: Sequence[str] = (), *, kept: int | None = 0) -> None:
        self.store = store
        self.key = key
        self._waiting: list[str] = []
        stays = b""
        if kept != 0 and store.exists(key):
            present = store.get(key)
            stays = present[: present.rfind(b"\n", 0, kept) + 1]
            store.put(key, stays)
        self.num_bytes = len(stays)
        """Of all that is written."""
        if _text(head) not in stays:
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


def _text(lines: Sequence[str]) -> bytes:
    return "".join(f"{line}\n" for line in lines).encode()

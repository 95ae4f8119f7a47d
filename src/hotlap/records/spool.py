"""A store that never makes its writer wait for a server: what is written lies on the local disk first.

Whatever is put or deleted becomes an entry of a `SpoolFolder` and counts from then on. A thread brings the entries to
the remote store, batch by batch:

- A batch is all that has changed since the one before. Of a file that changed several times only the last state
  travels, and a file that came and went does not travel at all; however long the server is away, no more waits than
  what the run would leave behind anyway.
- Within a batch files go in the order that `order` gives, and deletions go last. As the writer keeps what it writes
  consistent at every moment, so is the remote store at every moment between two requests.
- What fails is tried again, with pauses that grow; the rest of the batch is put back first, and may be superseded.
"""

from __future__ import annotations

import errno
import re
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from types import TracebackType

from hotlap.backoff import pauses
from hotlap.errors import RecordError
from hotlap.records.layout import BUSY, INDEX, is_checkpoint, upload_rank
from hotlap.records.ownership import SucceededError
from hotlap.records.patience import Patience
from hotlap.records.s3_errors import StorageError
from hotlap.records.spool_folder import Deed, Entry, SpoolFolder
from hotlap.records.store import Store, checked_parts, cut_anew
from hotlap.wording import counted

MAX_BYTES = 16 << 30
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
AWAITED_PAUSE_S = 2.0  # the longest while somebody waits for the end
GATHER_S = 0.2  # what is written within so short a time travels together
PROGRESS_S = 10.0  # between two words on how much is left to upload
SMALL = 1 << 16  # [bytes] what was read once and is no larger stays in memory
LEAVE_S = 5.0

# By the training that wrote it: checkpoints, and what grows.
_READ_AGAIN = re.compile(r"(model|metrics|logs/tensorboard)/.*|logs/training/[^/]*\.log", re.DOTALL)
_WATCHED = ("metrics/", INDEX)  # also by those who list trainings


class Spool:
    """A `Store` in front of a slower one; `close` it, or use it in a ``with`` statement.

    One process at a time may use the folder, and nothing else may write to the remote store meanwhile.

    Args:
        remote: Where everything is to lie in the end.
        folder: Of the entries. What an earlier process left there still counts, and is uploaded first.
        tell: Is told in one line when uploads begin to fail, and when they succeed again; from another thread.
        confirm: Is called before each batch; raises `SucceededError` if the remote store is another's now.
        patience: With a full disk.
        max_bytes: Of all that may lie in the folder.
    """

    def __init__(
        self,
        remote: Store,
        folder: Path,
        *,
        tell: Callable[[str], None] = lambda message: None,
        confirm: Callable[[], None] = lambda: None,
        patience: Patience | None = None,
        max_bytes: int = MAX_BYTES,
    ) -> None:
        self.remote = remote
        self.folder = SpoolFolder(folder, patience)
        self._tell = tell
        self._confirm = confirm
        self._patience = patience or Patience()
        self._max_bytes = max_bytes

        self._change = threading.Condition()  # guards all that follows
        self._waiting: dict[str, Entry] = {}
        self._batch: dict[str, Entry] = {}
        self._kept: dict[str, Entry] = {}
        self._listed: dict[str, set[str]] = {}  # of the remote store, by folder; nobody else changes it
        self._attempted: set[str] = set()  # put there perhaps: an answer may get lost
        self._memory: dict[str, bytes] = {}  # small things that were read there
        self._number = 0
        self._failures = 0  # since the last success
        self._failing_since = 0.0
        self._awaited = False
        self._closing = False
        self._thread: threading.Thread | None = None
        self._then: Callable[[], None] | None = None
        self._fatal: BaseException | None = None
        self._take_up()

    def __repr__(self) -> str:
        return str(self.remote)

    def __enter__(self) -> Spool:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def put(self, key: str, data: bytes) -> None:
        checked_parts(key, self)
        self._wait_for_room(len(data))
        self._add("put", key, data)

    def append(self, key: str, data: bytes) -> None:
        """Write the object anew, with ``data`` at its end."""
        self.put(key, (self.get(key) if self.exists(key) else b"") + data)

    def cut(self, key: str, num_bytes: int) -> int:
        return cut_anew(self, key, num_bytes)

    def get(self, key: str) -> bytes:
        checked_parts(key, self)
        with self._change:
            entry = self._entry(key)
            if entry is not None and entry.deed != "delete":
                return self.folder.read(entry)
            if entry is not None:
                raise RecordError(f"{self}/{key} does not exist: it was removed.")
            if key in self._memory:
                return self._memory[key]
        data = self.remote.get(key)
        if len(data) <= SMALL:
            with self._change:
                if self._entry(key) is None:
                    self._memory[key] = data
        return data

    def exists(self, key: str) -> bool:
        checked_parts(key, self)
        folder = _folder(key)
        with self._change:
            entry = self._entry(key)
            if entry is not None:
                return entry.deed != "delete"
            return key in self._there(folder) if folder else self.remote.exists(key)

    def list(self, prefix: str) -> list[str]:
        checked_parts(prefix, self)
        with self._change:
            found = set(self._there(prefix))
            for entries in (self._kept, self._batch, self._waiting):
                for key, entry in entries.items():
                    if _folder(key) == prefix:
                        (found.discard if entry.deed == "delete" else found.add)(key)
        return sorted(found)

    def delete(self, key: str) -> None:
        checked_parts(key, self)
        with self._change:
            self._object()
            if key not in self._batch and self._absent(key):
                self._forget(key)
                return
        self._add("delete", key, b"")

    @property
    def left(self) -> tuple[int, int]:
        """How many files are still to be uploaded or removed, and how many bytes they have."""
        with self._change:
            entries = [*self._waiting.values(), *self._batch.values()]
        return len(entries), sum(entry.num_bytes for entry in entries)

    @property
    def failing(self) -> bool:
        """Whether the last attempt to upload failed."""
        return self._failures > 0

    def discard(self) -> None:
        """Drop all that waits, and forget what the remote store holds; to be called before anything is written."""
        with self._change:
            assert self._thread is None
            for entry in self._waiting.values():
                self.folder.remove(entry)
            self._waiting.clear()
            self._listed.clear()
            self._memory.clear()

    def start(self) -> None:
        """Begin to upload what an earlier process left; writing begins it too."""
        with self._change:
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name=f"upload to {self.remote}", daemon=True)
                self._thread.start()

    def flush(self, *, patience_s: float, limit_s: float = float("inf")) -> bool:
        """Wait until everything is uploaded, and tell from time to time how much is left.

        Args:
            patience_s: Give up when uploads have failed for so long.
            limit_s: Give up after so long in any case.

        Returns:
            Whether everything is uploaded; if not, the rest stays in the folder.

        Raises:
            SucceededError: If the remote store is another's now.
        """
        begin = told = time.monotonic()
        with self._change:
            if self._waiting:
                self.start()
            self._awaited = True
            self._change.notify_all()
            try:
                while self._waiting or self._batch:
                    self._object()
                    now = time.monotonic()
                    failing_s = now - max(begin, self._failing_since) if self._failures else 0.0
                    if failing_s > patience_s or now - begin > limit_s:
                        return False
                    if now - told > PROGRESS_S:
                        told = now
                        self._tell(f"Uploading to {self}: {_amount(*self.left)} left.")
                    self._change.wait(0.1)
            finally:
                self._awaited = False
        return True

    def close(self, then: Callable[[], None] = lambda: None) -> None:
        """Stop uploading; what is left stays in the folder, also a copy of the metrics. Reading is still possible.

        Args:
            then: Is called when nothing is on its way any more: now, or by the thread if its last request takes long.
        """
        with self._change:
            self._closing = True
            self._change.notify_all()
            self._change.wait_for(lambda: self._thread is None, LEAVE_S)
            self._drop_kept([key for key in self._kept if not key.startswith(_WATCHED)])
            if self._thread is not None:
                self._then = then
                return
        then()

    def _take_up(self) -> None:
        """Read what an earlier process left."""
        self.folder.sweep()
        for entry in self.folder.entries():
            self._number = entry.number
            if entry.deed == "kept":  # it may have changed there since
                self.folder.remove(entry)
                continue
            if former := self._waiting.pop(entry.key, None):
                self.folder.remove(former)
            self._waiting[entry.key] = entry

    def _wait_for_room(self, num_bytes: int) -> None:
        def attempt() -> None:
            with self._change:
                self._object()
                kept = sum(entry.num_bytes for entry in self._kept.values())
                num_files, present = self.left
                if present + kept + num_bytes > self._max_bytes:
                    self._drop_kept(list(self._kept))  # can be read from the remote store again
            if present and present + num_bytes > self._max_bytes:
                raise OSError(errno.ENOSPC, f"{_amount(num_files, present)} lie there, nearly the most that may")

        try:
            self._patience.wait_for_room(f"uploads to {self} ({self.folder.path})", attempt)
        except OSError as error:
            raise RecordError(
                f"What waits in {self.folder.path} for its upload to {self} has become too much: {error.strerror}. It "
                "is safe. When the server answers, `hotlap upload` brings it there; then resume the run."
            ) from None

    def _add(self, deed: Deed, key: str, data: bytes) -> None:
        with self._change:
            self._object()
            self._number += 1
            number = self._number
        entry = self.folder.write(number, deed, key, data)  # the disk may be slow; others need not wait for it
        with self._change:
            self._forget(key)
            self._waiting[key] = entry
            self.start()
            self._change.notify_all()

    def _forget(self, key: str) -> None:
        """Drop what is superseded; a batch under way stays."""
        for entries in (self._waiting, self._kept):
            if former := entries.pop(key, None):
                self.folder.remove(former)
        self._memory.pop(key, None)

    def _drop_kept(self, keys: Iterable[str]) -> None:
        for key in keys:
            self.folder.remove(self._kept.pop(key))

    def _entry(self, key: str) -> Entry | None:
        """What counts of a key on this disk."""
        return self._waiting.get(key) or self._batch.get(key) or self._kept.get(key)

    def _there(self, folder: str) -> set[str]:
        """What lies directly below a folder of the remote store."""
        if folder not in self._listed:
            self._listed[folder] = set(self.remote.list(folder))
        return self._listed[folder]

    def _absent(self, key: str) -> bool:
        """Whether it is certain that the remote store does not have it."""
        listed = self._listed.get(_folder(key))
        return listed is not None and key not in listed and key not in self._attempted

    def _object(self) -> None:
        """Raise what ended the thread."""
        if isinstance(self._fatal, SucceededError):
            raise SucceededError(str(self._fatal))
        if self._fatal is not None:
            raise self._fatal
        assert not self._closing, "the store is closed"

    def _run(self) -> None:
        """The thread."""
        waits = pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        try:
            while self._take_batch():
                try:
                    self._confirm()
                    self._upload_batch()
                except SucceededError:
                    raise
                except RecordError as error:
                    self._failed(error)
                    with self._change:
                        self._put_back()
                        pause = next(waits)
                        if not self._change.wait_for(lambda: self._closing or self._awaited, pause):
                            continue
                        self._change.wait_for(lambda: self._closing, min(pause, AWAITED_PAUSE_S))
                else:
                    waits = pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        except BaseException as error:
            with self._change:
                self._fatal = error
        finally:
            with self._change:
                self._put_back()
                self._thread = None
                then = self._then
                self._change.notify_all()
            if then is not None:
                then()

    def _take_batch(self) -> bool:
        """Wait for something to upload; False if there is to be no more."""
        with self._change:
            self._change.wait_for(lambda: self._waiting or self._closing)
            if self._change.wait_for(lambda: self._closing, GATHER_S):
                return False
            self._batch, self._waiting = self._waiting, {}
            return True

    def _put_back(self) -> None:
        """Let the rest of the batch wait again, but for what was superseded meanwhile."""
        for key, entry in self._batch.items():
            if key in self._waiting:
                self.folder.remove(entry)
            else:
                self._waiting[key] = entry
        self._batch = {}

    def _upload_batch(self) -> None:
        entries = sorted(
            self._batch.values(), key=lambda entry: (entry.deed == "delete", upload_rank(entry.key), entry.number)
        )
        marked = any(is_checkpoint(entry.key) for entry in entries)
        if marked:
            self.remote.put(BUSY, b"")
        for entry in entries:
            if self._closing:
                return
            self._upload(entry)
        if marked:
            self.remote.delete(BUSY)

    def _upload(self, entry: Entry) -> None:
        key = entry.key
        if entry.deed == "delete":
            self.remote.delete(key)
        else:
            data = self.folder.read(entry)
            with self._change:
                self._attempted.add(key)
            self.remote.put(key, data)
        with self._change:
            del self._batch[key]
            if (listed := self._listed.get(_folder(key))) is not None:
                (listed.discard if entry.deed == "delete" else listed.add)(key)
            self._attempted.discard(key)
            if entry.deed == "put" and _READ_AGAIN.fullmatch(key) and key not in self._waiting:
                if former := self._kept.pop(key, None):
                    self.folder.remove(former)
                self._kept[key] = self.folder.keep(entry)
            else:
                self.folder.remove(entry)
            self._change.notify_all()
        self._succeeded()

    def _failed(self, error: RecordError) -> None:
        why = error.trouble.text if isinstance(error, StorageError) else str(error)
        self._failures += 1
        if self._failures == 1:
            self._failing_since = time.monotonic()
        if self._failures == 2:  # a single one may be an accident
            self._tell(
                f"{self} takes no files: {why}. The run goes on; what it writes waits in {self.folder.path} and is "
                "uploaded as soon as that works again."
            )

    def _succeeded(self) -> None:
        failures, self._failures = self._failures, 0
        if failures >= 2:
            away_s = time.monotonic() - self._failing_since
            self._tell(f"{self} takes files again, after {away_s:.0f} s; {_amount(*self.left)} left to upload.")


def _folder(key: str) -> str:
    return key.rpartition("/")[0]


def _amount(num_files: int, num_bytes: int) -> str:
    """In words."""
    return f"{counted(num_files, 'file')} ({num_bytes / 1e6:.1f} MB)"

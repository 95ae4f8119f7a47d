"""Brings to a bucket what a training writes into a folder. The training knows nothing of it, and never waits for it.

A thread looks at the folder again and again, and uploads what has changed since, batch by batch:

- Of a file that changed several times only the last state travels, and a file that came and went does not travel at
  all; however long the server is away, no more waits than what the training would leave behind anyway.
- Within a batch files go in the order of `upload_rank`, and what is gone is removed last. Those of ``model/`` travel as
  they all were at one moment, whatever becomes of them meanwhile; metrics and logs as they are when it is their turn,
  which may be later. As the training keeps its folder consistent at every moment, so is the bucket between any two
  requests.
- What fails is tried again, with pauses that grow.
- What is there is noted (`Uploaded`), so that the mirror of the next process goes on where a killed one ended.
"""

from __future__ import annotations

import os
import shutil
import threading
import time
from collections.abc import Callable
from pathlib import Path
from urllib.parse import quote

from hotlap.backoff import pauses
from hotlap.errors import RecordError
from hotlap.records.claim import SucceededError
from hotlap.records.folder import Folder
from hotlap.records.layout import BUSY, NAMES_OF_WEIGHTS, is_checkpoint, upload_rank
from hotlap.records.s3_errors import StorageError
from hotlap.records.store import Store
from hotlap.records.uploaded import Differences, Gone, Signature, State, Uploaded, signature_of
from hotlap.unfinished import copy_whole
from hotlap.wording import counted

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0
AWAITED_PAUSE_S = 2.0  # the longest while somebody waits for the end
LOOK_S = 0.5  # between two looks at the folder, and so much that they take no more than a fiftieth of the time
PROGRESS_S = 10.0  # between two words on how much is left to upload
LEAVE_S = 10.0
_HELD = ".uploading"  # folder of the files that travel as they were


class Mirror:
    """Keeps a bucket as a folder is, from `start` to `close`.

    One process at a time may mirror a folder, and nothing else may write to these keys of the bucket meanwhile.

    Args:
        folder: May not exist yet.
        remote: Where everything is to lie in the end.
        tell: Is told in one line when uploads begin to fail, and when they succeed again; from another thread.
        confirm: Is called before each request; raises `SucceededError` if the bucket is another's now.
    """

    def __init__(
        self,
        folder: Path,
        remote: Store,
        *,
        tell: Callable[[str], None] = lambda message: None,
        confirm: Callable[[], None] = lambda: None,
    ) -> None:
        self.folder = folder
        self.remote = remote
        self._tell = tell
        self._confirm = confirm
        self._uploaded = Uploaded(folder)
        self._files, self._held = Folder(folder), Folder(folder / _HELD, sync=False)

        self._change = threading.Condition()  # guards all that follows
        self._thread: threading.Thread | None = None
        self._left: dict[str, int] = {}  # of the batch under way: keys, and bytes to upload
        self._complete_at = float("-inf")  # the bucket holds all that the folder held then
        self._num_failures = 0  # since the last success
        self._failing_since = 0.0
        self._awaited = self._wanted = self._closing = False
        self._at_end: Callable[[], None] = lambda: None
        self._fatal: BaseException | None = None

    def missing(self) -> Differences:
        """What the bucket does not hold as the folder does now.

        Raises:
            RecordError: If the folder cannot be read.
        """
        with self._change:
            return self._uploaded.differences()

    @property
    def failing(self) -> bool:
        """Whether the last attempt to upload failed."""
        return self._num_failures > 0

    def check(self) -> None:
        """Raise what ended the thread, a `SucceededError` above all."""
        if isinstance(self._fatal, SucceededError):
            raise SucceededError(str(self._fatal))
        if self._fatal is not None:
            raise self._fatal

    def start(self) -> None:
        """Begin to upload."""
        if self._thread is None:
            self._thread = threading.Thread(target=self._run, name=f"upload to {self.remote}", daemon=True)
            self._thread.start()

    def take_up(self) -> None:
        """Go on with another folder that has been put in its place; to be called before `start`."""
        assert self._thread is None
        self._uploaded = Uploaded(self.folder)

    def flush(self, *, patience_s: float, limit_s: float = float("inf")) -> bool:
        """Wait until everything is uploaded, and tell from time to time how much is left.

        Args:
            patience_s: Give up when uploads have failed for so long.
            limit_s: Give up after so long in any case.

        Returns:
            Whether everything is uploaded; if not, `missing` says what waits.

        Raises:
            SucceededError: If the bucket is another's now.
        """
        self.start()
        begin = told = time.monotonic()
        with self._change:
            self._awaited = self._wanted = True
            self._change.notify_all()
            try:
                while self._complete_at < begin:
                    self.check()
                    now = time.monotonic()
                    failing_s = now - max(begin, self._failing_since) if self._num_failures else 0.0
                    if failing_s > patience_s or now - begin > limit_s:
                        return False
                    if now - told > PROGRESS_S:
                        told = now
                        self._tell(f"Uploading to {self.remote}: {_amount(self._left)} left.")
                    self._change.wait(0.1)
            finally:
                self._awaited = False
        return True

    def close(self, then: Callable[[], None] = lambda: None) -> None:
        """Stop uploading; what is missing waits in the folder.

        Args:
            then: Is called when nothing is on its way any more: by the thread, perhaps later if a request takes long.
        """
        with self._change:
            self._closing, self._at_end = True, then
            self._change.notify_all()
        if self._thread is None:
            then()
        else:
            self._thread.join(LEAVE_S)

    def _run(self) -> None:
        """The thread."""
        waits = pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        try:
            while not self._closing:
                try:
                    self._confirm()
                    begin = time.monotonic()
                    differences = self._look()
                    pause = max(LOOK_S, 50 * (time.monotonic() - begin))
                    self._upload_batch(differences)
                except SucceededError:
                    raise
                except RecordError as error:
                    self._failed(error)
                    pause = next(waits)
                else:
                    waits = pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
                    if not self._closing:
                        self._succeeded()
                        self._complete_at = begin
                with self._change:
                    self._change.notify_all()
                    pause = min(pause, AWAITED_PAUSE_S) if self._awaited else pause
                    self._change.wait_for(lambda: self._closing or self._wanted, pause)
                    self._wanted = False
        except BaseException as error:
            self._fatal = error
        finally:
            with self._change:
                self._change.notify_all()
                self._change.wait_for(lambda: self._closing)
            shutil.rmtree(self._held.root, ignore_errors=True)
            self._at_end()

    def _look(self) -> Differences:
        """What has changed by this moment, with all of ``model/`` held fast."""
        while True:
            shutil.rmtree(self._held.root, ignore_errors=True)
            names = self._names()
            differences = self.missing()
            held = all(self._hold(key) for key in differences.changed if is_checkpoint(key))
            # What they name was there before and after, so it was all the time.
            if held and self._names() == names:
                return differences

    def _names(self) -> list[Signature | None]:
        """Signatures of the files that name checkpoints."""
        return [signature_of(self.folder / key) for key in NAMES_OF_WEIGHTS]

    def _hold(self, key: str) -> bool:
        """Let a file stay as it is until it is uploaded; whether it is there."""
        source, held = self.folder / key, self._held.root / quote(key, safe="")
        try:
            held.parent.mkdir(exist_ok=True)
            os.link(source, held)
        except FileNotFoundError:
            return False
        except OSError:  # a file system without hard links
            try:
                copy_whole(source, held)
            except FileNotFoundError:
                return False
            except OSError as error:
                raise RecordError(f"{source} could not be copied to {held} ({error.strerror}).") from error
        return True

    def _upload_batch(self, differences: Differences) -> None:
        changed = sorted(differences.changed, key=lambda key: (upload_rank(key), key))
        gone = [key for key in differences.gone if key != BUSY]
        self._left = {key: differences.changed[key][0] for key in changed} | dict.fromkeys(gone, 0)
        busy = any(map(is_checkpoint, self._left))
        if busy:
            self._note(BUSY, None)
            self.remote.put(BUSY, b"")
        for key in changed:
            self._confirm()
            if self._closing:
                return
            self._upload(key, differences.changed[key])
            del self._left[key]
            self._succeeded()
        for key in [*gone, BUSY] if busy or BUSY in differences.gone else gone:
            if self._closing:
                return
            self.remote.delete(key)
            self._note(key, "gone")
            self._left.pop(key, None)
            self._succeeded()

    def _upload(self, key: str, signature: Signature) -> None:
        try:
            data = self._held.get(quote(key, safe="")) if is_checkpoint(key) else self._files.get(key)
        except RecordError:
            if is_checkpoint(key) or self._files.exists(key):
                raise
            return  # it is gone
        self._note(key, None)
        self.remote.put(key, data)
        self._note(key, signature)

    def _note(self, key: str, state: State | Gone) -> None:
        with self._change:
            self._uploaded.note(key, state)

    def _failed(self, error: RecordError) -> None:
        why = error.trouble.text if isinstance(error, StorageError) else str(error)
        self._num_failures += 1
        if self._num_failures == 1:
            self._failing_since = time.monotonic()
        if self._num_failures == 2:  # a single one may be an accident
            self._tell(
                f"{self.remote} takes no files: {why}. The run goes on; what it writes waits in {self.folder} and is "
                "uploaded as soon as that works again."
            )

    def _succeeded(self) -> None:
        num_failures, self._num_failures = self._num_failures, 0
        if num_failures >= 2:
            away_s = time.monotonic() - self._failing_since
            self._tell(f"{self.remote} takes files again, after {away_s:.0f} s; {_amount(self._left)} left to upload.")


def _amount(left: dict[str, int]) -> str:
    """In words."""
    return f"{counted(len(left), 'file')} ({sum(left.values()) / 1e6:.1f} MB)"

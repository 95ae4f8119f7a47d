"""One training at a time below a prefix of a bucket.

Buckets have no locks. What they have is a put that succeeds only if the object is not there yet. The owner's object is
``.training/N.json``; the owner writes it anew every `BEAT_S`, as a sign of life, and removes it at the end. Who finds
one that has not been written for `EXPIRY_S`, by the server's clock, makes number N + 1, which succeeds for one only.
An owner that was cut off for so long notices its successor at its next sign of life, and writes nothing more.

Some servers (Swift) let such puts that run at the same time all succeed, and keep the last. So the owner reads its
object again when that is over, before it writes anything else.

What is not promised: a request that was already on its way when the owner was succeeded may still arrive; a server
whose listings lag behind its writes, or that takes longer than `SETTLE_S` for a small put, may let two trainings begin
at the same moment. They notice at the next sign of life.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import socket
import threading
import time
from collections.abc import Collection, Sequence
from datetime import datetime

from hotlap.bounded import load_json
from hotlap.errors import RecordError
from hotlap.records.s3 import Bucket
from hotlap.records.s3_errors import StorageError

FOLDER = ".training"
BEAT_S = 30.0
EXPIRY_S = 180.0
SETTLE_S = 1.0
_LEAVE_S = 5.0

_OWNER = re.compile(rf"{re.escape(FOLDER)}/(\d+)\.json")
_CLOCK = f"{FOLDER}/clock"


class SucceededError(RecordError):
    """Another training has taken the place."""


class Ownership:
    """Keeps other trainings out from now until `release`, or until `EXPIRY_S` after this process ends or is cut off.

    Args:
        bucket: The place.
        token: By which the owner will be known.
        keys: Of all objects there now.
        former: Tokens of earlier owners that are known to have ended; they need not expire.
        beat_s: Time between signs of life.
        expiry_s: Time without one after which an owner counts as dead.

    Raises:
        RecordError: If another training owns the place, or it cannot be written to.
    """

    def __init__(
        self,
        bucket: Bucket,
        token: str,
        keys: Sequence[str],
        *,
        former: Collection[str] = (),
        beat_s: float = BEAT_S,
        expiry_s: float = EXPIRY_S,
    ) -> None:
        self.bucket = bucket
        self.token = token
        self._beat_s = beat_s
        self._expiry_s = expiry_s
        self._since = datetime.now().astimezone().isoformat(timespec="seconds")
        known = owner_numbers(keys)
        if known:
            self._refuse_living(known[-1], former)
        self._number = known[-1] + 1 if known else 1
        self._key = _key(self._number)
        if not bucket.create(self._key, self._note()) and _token(bucket, self._key) != self.token:
            raise self._refusal("by one that began at this moment")
        self._last_beat = time.time()
        self._settled = time.monotonic() + SETTLE_S
        self._read_again = False
        if unknown := set(owner_numbers(bucket.list(FOLDER))) - {*known, self._number}:
            bucket.delete(self._key)
            raise self._refusal(f"by one that began at this moment (number {max(unknown)})")
        bucket.delete_all([_key(number) for number in known])
        self._successor = False
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._beat, name=f"sign of life in {bucket}", daemon=True)
        self._thread.start()

    def confirm(self) -> None:
        """To be called before anything is written.

        Raises:
            SucceededError: If another training has taken the place.
            StorageError: If that had to be asked, after a long time without a sign of life, and there was no answer.
        """
        if not self._read_again:
            time.sleep(max(0.0, self._settled - time.monotonic()))
            self._successor = _token(self.bucket, self._key) != self.token
            self._read_again = True
        # By the clock on the wall: others went on while this machine slept.
        if time.time() - self._last_beat > self._expiry_s / 2:
            self._sign()
        if self._successor:
            raise SucceededError(
                f"{self.bucket} was taken by another training, which began at the same moment, or found no sign of "
                f"life of this one for {self._expiry_s:.0f} s: it was cut off from {self.bucket.settings.server}, or "
                "this machine slept. What this training has written since then is not uploaded. Let one of the two "
                "end, and train on with --resume."
            )

    def release(self) -> None:
        """Let others in; silent if the server does not answer, then they are let in when the sign of life expires."""
        self.leave()
        self._thread.join(_LEAVE_S)
        if self._successor or self._thread.is_alive():  # its last sign of life is still on the way
            return
        with contextlib.suppress(StorageError):
            if _token(self.bucket, self._key) == self.token:
                self.bucket.delete(self._key)

    def leave(self) -> None:
        """Give no further sign of life, but stay the owner for those who ask for the token."""
        self._ended.set()

    def _beat(self) -> None:
        while not self._ended.wait(self._beat_s):
            try:
                self._sign()
            except StorageError:
                continue  # it is tried again; who uploads hears of it there
            if self._successor:
                return

    def _sign(self) -> None:
        """Give a sign of life, unless there is a successor."""
        numbers = owner_numbers(self.bucket.list(FOLDER))
        newest = bool(numbers) and numbers[-1] == self._number
        if not newest or _token(self.bucket, self._key) != self.token:
            self._successor = True
            return
        self.bucket.put(self._key, self._note())
        self._last_beat = time.time()

    def _note(self) -> bytes:
        note = {"token": self.token, "pid": os.getpid(), "host": socket.gethostname(), "since": self._since}
        return (json.dumps(note) + "\n").encode()

    def _refuse_living(self, number: int, former: Collection[str]) -> None:
        """Object to an owner that is not known to be dead."""
        key = _key(number)
        written = self.bucket.modified(key)
        if written is None or _token(self.bucket, key) in former:
            return
        self.bucket.put(_CLOCK, b"")
        now = self.bucket.modified(_CLOCK)
        self.bucket.delete(_CLOCK)
        silent_s = (now - written).total_seconds() if now else 0.0
        if silent_s >= self._expiry_s:
            return
        note = _read_note(self.bucket, key)
        who = f"by process {note.get('pid')} on {note.get('host')} since {note.get('since')}"
        raise self._refusal(
            f"{who}, whose last sign of life is {silent_s:.0f} s old. If it was killed, the place is free in "
            f"{self._expiry_s - silent_s:.0f} s"
        )

    def _refusal(self, who: str) -> RecordError:
        return RecordError(
            f"{self.bucket} is being trained already, {who}. Two trainings would mix their checkpoints. End the other "
            "one where it was started, wait for it, or train under another prefix."
        )


def owner_numbers(keys: Sequence[str]) -> Sequence[int]:
    """The numbers of owners among ``keys``, lowest first."""
    return sorted(int(match[1]) for key in keys if (match := _OWNER.fullmatch(key)))


def owner_token(bucket: Bucket, keys: Sequence[str]) -> str | None:
    """Token of the present owner, alive or not; None if there is none."""
    numbers = owner_numbers(keys)
    return _token(bucket, _key(numbers[-1])) if numbers else None


def _key(number: int) -> str:
    return f"{FOLDER}/{number}.json"


def _token(bucket: Bucket, key: str) -> str | None:
    return _read_note(bucket, key).get("token")


def _read_note(bucket: Bucket, key: str) -> dict[str, str]:
    try:
        note = load_json(bucket.get(key))
    except ValueError:
        return {}
    except StorageError as error:
        if error.trouble.kind == "missing":
            return {}
        raise
    return {str(name): ascii(str(value))[1:-1][:100] for name, value in note.items()} if isinstance(note, dict) else {}

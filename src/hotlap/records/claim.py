"""One training at a time below a prefix of a bucket.

Buckets have no locks. Who trains there is said by an object, ``.training.json``: it is created by a put that succeeds
only if there is none, written anew every `BEAT_S` between two uploads, and removed at the end. Who finds one that has
not been written for `EXPIRY_S`, by the server's clock, takes the prefix; whose it was notices before its next upload,
and uploads nothing more.

Some servers (Swift) let several such puts at the same moment succeed and keep the last, and a prefix that expired may
be taken by two at once. So whoever takes it looks again, `SETTLE_S` later, before anything else is written.

What is not promised: a request that was on its way when the prefix was taken may still arrive; a file whose upload
alone takes longer than `EXPIRY_S` looks like silence to a second training.
"""

from __future__ import annotations

import contextlib
import json
import os
import socket
import time
from datetime import datetime

from hotlap.bounded import load_json
from hotlap.errors import RecordError
from hotlap.records.s3 import Bucket
from hotlap.records.s3_errors import StorageError

CLAIM = ".training.json"
BEAT_S = 60.0
EXPIRY_S = 300.0
SETTLE_S = 1.0

_CLOCK = ".training.clock"


class SucceededError(RecordError):
    """Another training has taken the prefix."""


class Claim:
    """Keeps other trainings out from now until `release`, or until `EXPIRY_S` after the last `confirm`.

    Args:
        bucket: With its prefix.
        token: By which whoever claims is known; who has the same one is no other.
        beat_s: Time between signs of life.
        expiry_s: Time without one after which a claim is void.

    Raises:
        RecordError: If another training holds the prefix, or it cannot be written to.
    """

    def __init__(self, bucket: Bucket, token: str, *, beat_s: float = BEAT_S, expiry_s: float = EXPIRY_S) -> None:
        self.bucket = bucket
        self.token = token
        self._beat_s, self._expiry_s = beat_s, expiry_s
        self._since = datetime.now().astimezone().isoformat(timespec="seconds")
        # Looked for first: not every server knows a put that only creates.
        if bucket.exists(CLAIM) or not bucket.create(CLAIM, self._note()):
            self._refuse_living()
            self._sign()
        self._last_beat = time.time()
        self._settled = time.monotonic() + SETTLE_S
        self._sure = False

    def confirm(self) -> None:
        """To be called before anything is written.

        Raises:
            SucceededError: If another training has taken the prefix.
            StorageError: If that had to be asked, and there was no answer.
        """
        # By the clock on the wall: others went on while this machine slept.
        if self._sure and time.time() - self._last_beat < self._beat_s:
            return
        time.sleep(max(0.0, self._settled - time.monotonic()))
        if holder_token(self.bucket) != self.token:
            raise SucceededError(
                f"{self.bucket} was taken by another training, which began at the same moment, or found no sign of "
                f"life of this one for {self._expiry_s:.0f} s: it was cut off from {self.bucket.settings.server}, or "
                "this machine slept. What this training has written since then is not uploaded. Let one of the two "
                "end, and train on with --resume."
            )
        if self._sure:
            self._sign()
        self._sure = True

    def release(self) -> None:
        """Let others in; silent if the server does not answer, then they are let in when the claim expires."""
        with contextlib.suppress(StorageError):
            if holder_token(self.bucket) == self.token:
                self.bucket.delete(CLAIM)

    def _sign(self) -> None:
        self.bucket.put(CLAIM, self._note())
        self._last_beat = time.time()

    def _note(self) -> bytes:
        note = {"token": self.token, "pid": os.getpid(), "host": socket.gethostname(), "since": self._since}
        return (json.dumps(note) + "\n").encode()

    def _refuse_living(self) -> None:
        """Object to a holder that is not known to be dead."""
        written, holder = self.bucket.modified(CLAIM), read_holder(self.bucket)
        if written is None or holder.get("token") == self.token:
            return
        self.bucket.put(_CLOCK, b"")
        now = self.bucket.modified(_CLOCK)
        self.bucket.delete(_CLOCK)
        silent_s = (now - written).total_seconds() if now else 0.0
        if silent_s < self._expiry_s:
            raise RecordError(
                f"{self.bucket} is being trained already, by process {holder.get('pid')} on {holder.get('host')} since "
                f"{holder.get('since')}, whose last sign of life is {silent_s:.0f} s old. If it was killed, the prefix "
                f"is free in {self._expiry_s - silent_s:.0f} s. Two trainings would mix their checkpoints. End the "
                "other one where it was started, wait for it, or train under another prefix."
            )


def holder_token(bucket: Bucket) -> str | None:
    """Token of who holds the prefix, alive or not; None if nobody does."""
    return read_holder(bucket).get("token")


def read_holder(bucket: Bucket) -> dict[str, str]:
    """Who holds the prefix, alive or not: ``token``, ``pid``, ``host``, ``since``; empty if nobody does."""
    try:
        note = load_json(bucket.get(CLAIM))
    except ValueError:
        return {}
    except StorageError as error:
        if error.trouble.kind == "missing":
            return {}
        raise
    return {str(name): ascii(str(value))[1:-1][:100] for name, value in note.items()} if isinstance(note, dict) else {}

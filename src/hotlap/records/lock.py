"""One training at a time in a model folder: a lock that the operating system frees when its process ends."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from datetime import datetime
from pathlib import Path

from filelock import FileLock, Timeout

from hotlap.bounded import load_json, read_bounded
from hotlap.errors import RecordError
from hotlap.shell import quoted
from hotlap.unfinished import write_whole

# `model/.lock` of the original means something else: that a checkpoint is being uploaded.
LOCK = ".training.lock"
_MAX_HOLDER = 1 << 12  # bytes
HOLDER = ".training.json"  # beside the lock: on Windows nobody else can read a locked file


class FolderLock:
    """Keeps other trainings out of a model folder from now until `release`, or until this process ends in any way.

    Args:
        folder: The model folder; made if it does not exist.
        name: What is trained, if the folder only stands for it.

    Raises:
        RecordError: If a training holds it, in this process or another, or if the folder cannot be written to.
    """

    def __init__(self, folder: str | Path, *, name: str | None = None) -> None:
        self.folder = Path(folder)
        name = name or str(folder)
        # Whichever thread ends a training may release it.
        self._lock = FileLock(self.folder / LOCK, blocking=False, thread_local=False)
        try:
            self._lock.acquire()
        except Timeout:
            raise RecordError(
                f"{name} is being trained already{_holder(self.folder)}. Two trainings would mix their checkpoints. "
                f"End the other one with `hotlap stop {quoted(name)}` (or where it was started), wait for it, or train "
                "a copy of the model."
            ) from None
        except OSError as error:
            raise RecordError(
                f"{self.folder / LOCK} could not be locked ({error.strerror}). A training needs a model folder that "
                "this user may write to."
            ) from error
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": datetime.now().astimezone().isoformat()}
        with contextlib.suppress(OSError):  # only the message to others is poorer without it
            write_whole(self.folder / HOLDER, json.dumps(holder).encode(), sync=False)

    def release(self) -> None:
        """Let others in; nothing happens if this was done before."""
        self._lock.release()

    def __enter__(self) -> FolderLock:
        return self

    def __exit__(self, *_: object) -> None:
        self.release()


def _holder(folder: Path) -> str:
    """Who holds the lock, as the end of a sentence; empty if that cannot be read."""
    try:
        holder = load_json(read_bounded(folder / HOLDER, _MAX_HOLDER))
        since = datetime.fromisoformat(holder["since"])
        host = ascii(str(holder["host"]))[1:-1][:100]
        return f", by process {int(holder['pid'])} on {host} since {since:%Y-%m-%d %H:%M:%S}"
    except (OSError, ValueError, TypeError, KeyError, OverflowError):
        return ""

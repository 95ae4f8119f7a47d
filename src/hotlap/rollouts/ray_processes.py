"""The processes of a Ray that was started here: whether those that it cannot do without live, and their end."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections import deque

import psutil

LOOK_EVERY_S = 1.0
NEEDED = ("raylet", "gcs_server")  # when one of them ends, nothing goes on


class RayProcesses:
    """Watches over processes from a thread of its own; one that was stopped is told to go on.

    The thread is needed because calls into Ray may wait for ever for a process that was stopped.

    Args:
        roots: What Ray's start in this process started.
    """

    def __init__(self, roots: list[psutil.Process]) -> None:
        self._roots = roots
        self._needed = [process for process in roots if process.name() in NEEDED]
        self._known = set(roots)
        self._names = {process.pid: process.name() for process in self._needed}
        self._closed = threading.Event()
        self.continued: deque[str] = deque()
        """Processes that were stopped and were told to go on, in words; for whoever tells the user to take out."""
        self._thread = threading.Thread(target=self._watch, name="ray-processes", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> str | None:
        """Which needed process is no more; None: all live."""
        for process in self._needed:
            try:
                if process.status() != psutil.STATUS_ZOMBIE:
                    continue
            except psutil.NoSuchProcess:
                pass
            return f"{self._names[process.pid]}, process {process.pid}"
        return None

    def kill(self) -> None:
        """End all that is left, also what is stopped and what has lost its parent."""
        self._look()
        for process in self._known:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(self._known, timeout=5.0)

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(LOOK_EVERY_S):
            self._look()

    def _look(self) -> None:
        known = {process for process in self._known if process.is_running()}
        for root in self._roots:
            with contextlib.suppress(psutil.Error):
                known |= set(root.children(recursive=True))
        self._known = known
        for process in known:
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_STOPPED:
                    process.send_signal(signal.SIGCONT)
                    self.continued.append(f"{process.name()}, process {process.pid}")

"""How a training is ended from outside: the first wish lets it finish its iteration, the second ends it at once."""

from __future__ import annotations

import _thread
import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType
from typing import Any

from hotlap.jobs.registry import StopLevel

POLL_S = 0.5
PATIENCE_S = 5.0  # from an interrupt until the process is ended, should something have swallowed it

SIGNALS = [
    getattr(signal, name) for name in ("SIGINT", "SIGTERM", "SIGBREAK") if hasattr(signal, name)
]  # the last is Windows' Ctrl-Break


class Interruption:
    """Listens to Ctrl-C, to the system, and to `hotlap stop`, in a ``with`` statement of the main thread.

    Whoever wishes an end gets a KeyboardInterrupt in the main thread at once, except inside of `finishing`.

    Args:
        stop_level: Asked twice a second for the wish of `hotlap stop`.
    """

    def __init__(self, stop_level: Callable[[], StopLevel]) -> None:
        self.stop_level = stop_level
        self._wishes = 0
        self._stop: Callable[[], None] | None = None
        self._on_first: Callable[[], None] = lambda: None
        self._on_forced: Callable[[], None] = lambda: None
        self._announcing = threading.Lock()
        self._closed = threading.Event()
        self._listener = threading.Thread(target=self._listen, name="interruption", daemon=True)
        self._earlier: dict[int, Any] = {}

    def __enter__(self) -> Interruption:
        self._earlier = {number: signal.signal(number, self._on_signal) for number in SIGNALS}
        self._listener.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closed.set()
        for number, handler in self._earlier.items():
            signal.signal(number, handler)

    @contextmanager
    def finishing(
        self, stop: Callable[[], None], *, on_first: Callable[[], None], on_forced: Callable[[], None]
    ) -> Iterator[None]:
        """Within this, the first wish calls ``stop``, and only the second one interrupts.

        An interrupt may be swallowed, by a bare ``except:`` in a reward function say. Then the process is ended.

        Args:
            stop: Lets the work in hand end soon; called in a signal handler.
            on_first: Says that this happens; called in a thread.
            on_forced: The last words before the process is ended with exit code 130; called in a thread.
        """
        self._on_first, self._on_forced = on_first, on_forced
        self._stop = stop
        try:
            yield
        finally:
            with self._announcing:
                self._stop = None

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self._wishes += 1
        if self._stop is not None and self._wishes == 1:
            self._stop()
        else:
            raise KeyboardInterrupt

    def _listen(self) -> None:
        announced = False
        patience = round(PATIENCE_S / POLL_S)
        while not self._closed.wait(POLL_S):
            if self.stop_level() > self._wishes:
                # Not by a real signal: jobs of a Ray cluster begin with Ctrl-C's blocked.
                _thread.interrupt_main()
            with self._announcing:
                if self._stop is None:
                    continue
                if self._wishes and not announced:
                    announced = True
                    self._on_first()
                if self._wishes > 1:
                    patience -= 1
                    if patience == 0:
                        self._on_forced()
                        os._exit(130)

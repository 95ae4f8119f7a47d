"""How long each stage of a training takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from hotlap.training.listener import Listener


class StageClock:
    """Times stages and tells the listener when one begins.

    Attributes:
        present: Wall-clock of each stage of the iteration that is being played and learned from [s].
        total: Wall-clock of each stage [s].
    """

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.present: dict[str, float] = {}
        self.total: dict[str, float] = {}

    @contextmanager
    def __call__(
        self, name: str, total: int | None = None, *, iteration: dict[str, float] | None = None
    ) -> Iterator[None]:
        """Time a stage, of ``total`` units if that is known; it belongs to the times of ``iteration``, or `present`."""
        self.listener.on_stage(name, total)
        begin = time.perf_counter()
        yield
        seconds = time.perf_counter() - begin
        for times in (self.present if iteration is None else iteration, self.total):
            times[name] = times.get(name, 0.0) + seconds

    def next_iteration(self) -> dict[str, float]:
        """The times of the iteration that was learned from; those of the next begin at zero."""
        ended, self.present = self.present, {}
        return ended

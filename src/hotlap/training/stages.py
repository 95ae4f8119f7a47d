"""How long each stage of a training takes."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from hotlap.training.listener import Listener


class StageClock:
    """Times stages and tells the listener when one begins.

    Attributes:
        iteration: Wall-clock of each stage since `lap` [s].
        total: Wall-clock of each stage [s].
    """

    def __init__(self, listener: Listener) -> None:
        self.listener = listener
        self.iteration: dict[str, float] = {}
        self.total: dict[str, float] = {}

    @contextmanager
    def __call__(self, name: str, total: int | None = None) -> Iterator[None]:
        """Time a stage of ``total`` units, if that is known."""
        self.listener.on_stage(name, total)
        begin = time.perf_counter()
        yield
        seconds = time.perf_counter() - begin
        for times in (self.iteration, self.total):
            times[name] = times.get(name, 0.0) + seconds

    def lap(self) -> dict[str, float]:
        """The times of the iteration that ends here [s]; those of the next begin at zero."""
        ended, self.iteration = self.iteration, {}
        return {name: round(seconds, 3) for name, seconds in ended.items()}

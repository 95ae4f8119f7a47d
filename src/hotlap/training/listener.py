"""Who is told what a training does: a progress bar, a benchmark, a page."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from hotlap.records.episode_log import EpisodeRecord
from hotlap.records.events import IterationRecord


class Listener(Protocol):
    """Whoever shows a training: a progress bar, a page."""

    def on_begin(self, name: str, max_s: float, max_iterations: int) -> None:
        """A training begins, perhaps one of several, which are known by ``name``; it ends after ``max_s`` [s] and
        ``max_iterations`` over all resumes, where they are not 0."""

    def on_stage(self, stage: str, total: int | None) -> None:
        """A stage begins: collect, update, checkpoint, evaluate or record, of ``total`` units if that is known."""

    def on_advance(self, done: int, steps: int) -> None:
        """Units done in the stage, and steps played."""

    def on_episodes(self, records: Sequence[EpisodeRecord]) -> None:
        """The training episodes of an iteration, or the laps of an evaluation, are recorded."""

    def on_iteration(self, record: IterationRecord) -> None:
        """An iteration is finished and recorded."""

    def on_message(self, message: str) -> None:
        """Something the user should know; may come from another thread."""

    def on_log(self, lines: Sequence[str]) -> None:
        """Lines of the log as the original prints them; see `hotlap.training.training_log`."""


class Silence:
    """Listens and says nothing."""

    def on_begin(self, name: str, max_s: float, max_iterations: int) -> None:
        pass

    def on_stage(self, stage: str, total: int | None) -> None:
        pass

    def on_advance(self, done: int, steps: int) -> None:
        pass

    def on_episodes(self, records: Sequence[EpisodeRecord]) -> None:
        pass

    def on_iteration(self, record: IterationRecord) -> None:
        pass

    def on_message(self, message: str) -> None:
        pass

    def on_log(self, lines: Sequence[str]) -> None:
        pass


class Listeners:
    """Several listeners that are told the same, in order."""

    def __init__(self, *listeners: Listener) -> None:
        self._listeners = listeners

    def on_begin(self, name: str, max_s: float, max_iterations: int) -> None:
        for listener in self._listeners:
            listener.on_begin(name, max_s, max_iterations)

    def on_stage(self, stage: str, total: int | None) -> None:
        for listener in self._listeners:
            listener.on_stage(stage, total)

    def on_advance(self, done: int, steps: int) -> None:
        for listener in self._listeners:
            listener.on_advance(done, steps)

    def on_episodes(self, records: Sequence[EpisodeRecord]) -> None:
        for listener in self._listeners:
            listener.on_episodes(records)

    def on_iteration(self, record: IterationRecord) -> None:
        for listener in self._listeners:
            listener.on_iteration(record)

    def on_message(self, message: str) -> None:
        for listener in self._listeners:
            listener.on_message(message)

    def on_log(self, lines: Sequence[str]) -> None:
        for listener in self._listeners:
            listener.on_log(lines)

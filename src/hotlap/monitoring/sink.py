"""What a sink is: a place that metrics go to, and what it is told."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from hotlap.records.episode_log import EpisodeRecord
from hotlap.records.events import IterationRecord
from hotlap.records.folder import Folder
from hotlap.records.metrics import TrialMetrics


@dataclass(frozen=True)
class News:
    """Something that happened: an iteration, episodes, lines of the log; or the trials of an evaluation job."""

    at: float
    """When, as Unix time [s]."""

    iteration: IterationRecord | None = None
    """It is finished and recorded."""

    episodes: tuple[EpisodeRecord, ...] = ()
    """They were recorded together."""

    lines: tuple[str, ...] = ()
    """They were logged together."""

    trials: tuple[TrialMetrics, ...] = ()
    """They were recorded together."""

    @property
    def size(self) -> int:
        """Number of records and lines."""
        return 1 + len(self.episodes) + len(self.lines) + len(self.trials)


@dataclass(frozen=True)
class Beginning:
    """The training that a sink is going to hear of."""

    model: str
    """Its name."""

    store: Folder
    """Where it leaves its files."""

    run: str = ""
    """The name under which servers know it, where there are such; see `run_id`."""

    num_iterations: int = 0
    """Finished before, in a training that is resumed; the news of the last one may come again."""

    num_steps: int = 0
    """Of these iterations."""

    num_episodes: int = 0
    """Of these iterations, and of those that were given up."""

    measures: Mapping[str, str] = field(default_factory=dict)
    """What each value of an update means, with its unit, by its name in `IterationRecord.losses`."""


class Sink(Protocol):
    """Somewhere metrics go. A thread of its own calls its methods; whatever they raise is told and tried again."""

    name: str
    """For people."""

    def begin(self, training: Beginning) -> None:
        """Get ready; called until it returns, and before anything else."""

    def send(self, news: Sequence[News]) -> None:
        """Pass on what happened, in order; called with the same ``news`` again if it raises."""

    def end(self) -> None:
        """Nothing comes any more; called once, and only if `begin` returned."""


def iterations(news: Iterable[News]) -> Iterator[tuple[float, IterationRecord]]:
    """The iterations among ``news``, each with its time."""
    return ((each.at, each.iteration) for each in news if each.iteration is not None)


def episodes(news: Iterable[News]) -> Iterator[tuple[float, EpisodeRecord]]:
    """The episodes among ``news``, each with its time."""
    return ((each.at, record) for each in news for record in each.episodes)


def lines(news: Iterable[News]) -> Iterator[tuple[float, str]]:
    """The lines of the log among ``news``, each with its time."""
    return ((each.at, line) for each in news for line in each.lines)


def trials(news: Iterable[News]) -> Iterator[tuple[float, TrialMetrics]]:
    """The trials among ``news``, each with its time."""
    return ((each.at, trial) for each in news for trial in each.trials)

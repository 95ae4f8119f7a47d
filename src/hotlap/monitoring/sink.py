"""What a sink is: a place that metrics go to, and what it is told."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from hotlap.records.episode_log import EpisodeRecord
from hotlap.records.events import IterationRecord
from hotlap.records.folder import Folder
from hotlap.records.metrics import TrialMetrics

What = IterationRecord | EpisodeRecord | TrialMetrics | str
Kind = TypeVar("Kind", bound=What)


@dataclass(frozen=True)
class News:
    """Something that happened."""

    at: float
    """When, as Unix time [s]."""

    what: What
    """An iteration that is finished, an episode, or a trial of an evaluation job, each as it is recorded; or a line of
    the log."""


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


class Sink:
    """Somewhere metrics go. A thread of its own calls its methods; whatever they raise is told and tried again."""

    name: str
    """For people."""

    def begin(self, training: Beginning) -> None:
        """Get ready; called until it returns, and before anything else."""

    def send(self, news: list[News]) -> None:
        """Pass on what happened, in order; called with the same ``news`` again if it raises."""
        raise NotImplementedError

    def end(self) -> None:
        """Nothing comes any more; called once, and only if `begin` returned."""

    def release(self) -> None:
        """Give back what it took of this machine when it was made; called if no training begins."""


def only(kind: type[Kind], news: Iterable[News]) -> list[tuple[float, Kind]]:
    """Those of a kind among ``news``, each with its time."""
    return [(each.at, each.what) for each in news if isinstance(each.what, kind)]

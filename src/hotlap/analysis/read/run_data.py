"""What is known about a run: training, evaluations, and notes on what is missing."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from hotlap.analysis.read.episodes import Episodes
from hotlap.records.checkpoints import CheckpointName
from hotlap.records.events import IterationRecord
from hotlap.records.steps import Steps
from hotlap.records.tallies import Tally
from hotlap.tracks.track import Track


@dataclass(frozen=True, eq=False)
class Evaluation:
    """An evaluation that was driven with ``hotlap evaluate`` or by the original."""

    name: str
    """Its stamp, YYYYMMDDhhmmss."""
    track: Track | None
    """None if no track is known on which it can have been driven."""
    steps: Steps
    episodes: Episodes
    """Its trials."""


@dataclass(frozen=True, eq=False)
class Section:
    """A part of a run that was driven on one track."""

    title: str
    """Names the track and its workers; empty where there is but one track."""
    track: Track | None
    """None if no track is known on which it can have been driven."""
    steps: Steps
    episodes: Episodes


def on_track(steps: Steps, worker: int, length: float) -> np.ndarray:
    """Which steps a worker drove on the track of this length [m] (bool)."""
    return (steps.worker == worker) & (steps.track_length.round(2) == length)


@dataclass(frozen=True, eq=False)
class Run:
    """What is known about a run; each part may be empty."""

    name: str
    iterations: list[IterationRecord]
    """One per iteration, from the progress file or else from metrics and traces."""
    steps: Steps
    """Of training episodes."""
    episodes: Episodes
    evaluations: list[Evaluation]
    """The oldest first."""
    driven: dict[tuple[int, float], Track | None]
    """Tracks of the training by worker and logged length [m]; None where no known track fits."""
    actions: list[tuple[float, float]] | None = None
    """Steering [deg] and speed [m/s] of each action; None if unknown or continuous."""
    best: CheckpointName | None = None
    tally: Tally | None = None
    """All evaluation laps that the best checkpoint drove while training went on; None if they are not known."""
    wall_clock: bool = True
    """Whether the times of the iterations are those of a clock on the wall; else the simulator's."""
    notes: list[str] = field(default_factory=list)
    """What is missing, damaged or guessed, in sentences."""
    taken: str = ""
    """What was read, in a sentence; empty where there were no traces."""

    @property
    def tracks(self) -> dict[int, Track | None]:
        """By worker; None where no known track fits, or where the worker drove on several."""
        found: dict[int, Track | None] = {}
        for (worker, _), track in self.driven.items():
            found[worker] = track if found.get(worker, track) is track else None
        return found

    def sections(self) -> list[Section]:
        """The training cut by track, in the order of the workers."""
        groups: dict[tuple[int, float], list[tuple[int, float]]] = {}
        for driven, track in self.driven.items():
            key = (0, 0.0) if track is None else (id(track), track.length)
            groups.setdefault(key, []).append(driven)
        sections = []
        for group in groups.values():
            track = self.driven[group[0]]
            chosen = np.any([on_track(self.steps, worker, length) for worker, length in group], axis=0)
            steps = self.steps if chosen.all() else self.steps.where(chosen)
            workers = dict.fromkeys(worker for worker, _ in group)
            numbers = ", ".join(map(str, workers))
            name = "unknown track" if track is None else track.name
            title = f"{name} (worker{'s' if len(workers) > 1 else ''} {numbers})" if len(groups) > 1 else ""
            sections.append(Section(title, track, steps, Episodes.of(steps)))
        return sections

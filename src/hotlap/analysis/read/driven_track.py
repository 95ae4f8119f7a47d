"""Which track a run was driven on: by its logged length and by where the car was while it was on the track.

Names are not needed, and would not suffice: route files have been renamed, and a log folder need not name one.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from hotlap.errors import TrackError
from hotlap.records.steps import Steps
from hotlap.tracks.catalog import list_tracks, load_track
from hotlap.tracks.track import Track

_LENGTH_TOLERANCE = 0.01  # [m] two printed decimals, and a little
_SAMPLE = 400  # steps that are looked up on each candidate
_BESIDE = 0.25  # [m] from the car's front point, which is logged, to its outermost wheel, and a little
_NEEDED = 0.97  # share of the sample that must lie on the road


@dataclass(frozen=True)
class Candidates:
    """Tracks that a run may have been driven on; each is read once.

    Args:
        names: Tracks that the user or the run gives, or their names or route files; they are tried first.
        folder: Of the run; route files in it are tried next, then all tracks with a name.
    """

    names: Sequence[str | Path | Track] = ()
    folder: Path | None = None
    _read: dict[str, Track | None] = field(default_factory=dict, init=False, repr=False, compare=False)

    def __iter__(self) -> Iterator[Track]:
        own = sorted(self.folder.glob("*.npy")) if self.folder else []
        for place in dict.fromkeys((*self.names, *own, *(entry.path for entry in list_tracks()))):
            track = place if isinstance(place, Track) else self._track(str(place))
            if track:
                yield track

    def _track(self, place: str) -> Track | None:
        """None if it cannot be read: then it is none of the candidates."""
        if place not in self._read:
            try:
                self._read[place] = load_track(place)
            except TrackError:
                self._read[place] = None
        return self._read[place]


def driven_track(steps: Steps, candidates: Candidates) -> Track | None:
    """The first candidate on which these steps can have been driven, best one that runs in their direction.

    None if there is none.
    """
    on_track = np.flatnonzero(steps.all_wheels_on_track)
    if not len(on_track):
        return None
    logged = float(np.median(steps.track_length))
    sample = on_track[np.linspace(0, len(on_track) - 1, _SAMPLE).astype(np.int64)]
    points = np.stack([steps.x[sample], steps.y[sample]], axis=1)
    turned = None
    for track in candidates:
        if abs(track.length - logged) > _LENGTH_TOLERANCE:
            continue
        place = track.locate(points)
        if np.mean(place.distance <= 0.5 * place.width + _BESIDE) >= _NEEDED:
            if not driven_backwards(steps, track):
                return track
            turned = turned or replace(track.reversed(), name=f"{track.name} (reversed)")
    return turned


def driven_backwards(steps: Steps, track: Track) -> bool:
    """Whether progress grows against the track's rows, in most of the first thousands of steps."""
    some = steps.where(np.arange(min(len(steps), 4000)))
    s = track.project(np.stack([some.x, some.y], axis=1)) / track.length
    along, gained = np.diff(s), np.diff(some.progress)
    ordinary = ~some.begins[1:] & (np.abs(along) < 0.05) & (np.abs(gained) < 5.0)
    return bool(np.sum(along[ordinary] * gained[ordinary]) < 0.0)

"""The tracks that a job's race is driven on."""

from __future__ import annotations

from hotlap.config.race_settings import Race
from hotlap.tracks.pool import TrackPool, track_pool


def tracks_of(race: Race, *, seed: int) -> TrackPool:
    """The tracks of a race, as they are now; ``seed`` is that of the training, from which tracks are made up.

    Raises:
        TrackError: See `track_pool`.
    """
    return track_pool(race.track, direction=race.direction, generated=dict(race.generated), seed=seed)

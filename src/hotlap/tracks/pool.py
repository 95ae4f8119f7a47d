"""Tracks that a race takes turns on: generated ones, or those that some names mean."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from hotlap.deepracer.driving import Direction
from hotlap.tracks.catalog import in_direction, load_track, matching_tracks
from hotlap.tracks.generator import random_track
from hotlap.tracks.names import GENERATED
from hotlap.tracks.themes import THEMES
from hotlap.tracks.track import Track

MARGIN = 0.1  # [m] least field between two stretches of a generated road


@dataclass(frozen=True)
class TrackPool:
    """Tracks of one race, often a single one.

    The last ``num_held_out`` are never trained on. Evaluations drive on those: how a model drives roads that it has
    never seen is what many tracks are for. Without any, they drive where it was trained.
    """

    tracks: tuple[Track, ...]
    num_held_out: int = 0

    @property
    def num_trained(self) -> int:
        """How many tracks are trained on, the first ones."""
        return len(self.tracks) - self.num_held_out

    @property
    def evaluated(self) -> range:
        """Indices of the tracks that evaluations drive on."""
        return range(self.num_trained if self.num_held_out else 0, len(self.tracks))

    def __str__(self) -> str:
        if len(self.tracks) == 1:
            return self.tracks[0].name
        held_out = f" and {self.num_held_out} held out" if self.num_held_out else ""
        return f"{self.num_trained} tracks{held_out}"


def track_pool(
    words: str, *, direction: Direction = "as_is", generated: Mapping[str, Any] | None = None, seed: int = 0
) -> TrackPool:
    """The tracks that ``race.track`` means.

    Args:
        words: ``generated``; or names and paths separated by commas, as `matching_tracks` takes them.
        direction: Of every track, as of `load_track`.
        generated: Settings of `generate_tracks`, where the words ask for it.
        seed: Of generated tracks.

    Raises:
        TrackError: If there is no such track, one cannot be loaded, or one cannot be generated.
    """
    if words == GENERATED:
        pool = generate_tracks(seed, **(generated or {}))
        return replace(pool, tracks=tuple(in_direction(track, direction) for track in pool.tracks))
    return TrackPool(tuple(load_track(name, direction=direction) for name in names_of(words)))


def names_of(words: str) -> list[str]:
    """Names and paths of the tracks that ``race.track`` means; none if they are made up.

    Raises:
        TrackError: If there is no such track.
    """
    if words == GENERATED:
        return []
    return [words] if Path(words).is_file() else matching_tracks(words)  # a path may contain a comma


def generate_tracks(
    seed: int,
    *,
    number: int,
    held_out: int,
    length: tuple[float, float],
    width: tuple[float, float],
    min_radius: tuple[float, float],
) -> TrackPool:
    """Make up closed tracks, which take turns through all color themes; about half of them run clockwise.

    A track depends on its own number and the seed alone: those that are held out stay the same, however many there are
    to train on.

    Args:
        seed: Any non-negative integer.
        number: Tracks to train on.
        held_out: Further tracks, which are not trained on.
        length: Shortest and longest center line [m].
        width: Narrowest and widest road [m].
        min_radius: Tightest and widest of the tracks' tightest bends [m]; a wide road has no tighter ones than fit.

    Raises:
        TrackError: If no such track exists.
    """
    themes = sorted(THEMES)

    def track(purpose: str, k: int) -> Track:
        rng = np.random.default_rng([seed, k, purpose == "held_out"])
        road = round(rng.uniform(*width), 2)
        drawn = random_track(
            int(rng.integers(2**32)),
            length=rng.uniform(*length),
            width=road,
            min_radius=max(rng.uniform(*min_radius), 0.5 * (road + MARGIN)),
            margin=MARGIN,
            winding=rng.uniform(),
            name=f"{purpose}_{k}",
        )
        return replace(drawn, theme=themes[k % len(themes)])

    trained = [track(GENERATED, k) for k in range(number)]
    return TrackPool((*trained, *(track("held_out", k) for k in range(held_out))), held_out)

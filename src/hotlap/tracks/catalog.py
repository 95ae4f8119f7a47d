"""Tracks by name: built-in ones, those in the user's folder, and route files by their path."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

import numpy as np

from hotlap.errors import TrackError
from hotlap.tracks.track import Track

DEFAULT_TRACK = "first_lap"
BUILT_IN_FOLDER = Path(__file__).parent / "data"


def load_track(
    name_or_path: str | Path,
    *,
    direction: Literal["as_is", "cw", "ccw", "reversed"] = "as_is",
    require_closed: bool = False,
) -> Track:
    """Load a track by its name or from a route file."""
    path = Path(name_or_path)
    if path.suffix != ".npy":
        path = BUILT_IN_FOLDER / f"{name_or_path}.npy"
    if not path.is_file():
        raise TrackError(f"no track {name_or_path!r}")
    rows = np.load(path, allow_pickle=False)
    closed = bool(np.allclose(rows[0], rows[-1], rtol=0, atol=1e-6))
    track = Track(path.stem, rows[:, 0:2], rows[:, 2:4], rows[:, 4:6], closed)
    if direction == "reversed" or (direction in ("cw", "ccw") and track.ccw != (direction == "ccw")):
        track = track.reversed()
    return track

"""Our own tracks: the corners that they were drawn with, and the command that turns them into route files.

A design is a list of corners with the radius of the bend at each. Corners are rounded and smoothed by ``shaping``; the
start line is in the middle of the straight that leads from the first corner to the second. Two corners 2 R apart with
radius R make a hairpin.

``python tools/track_designs.py`` writes the route files of all designs into the package.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from hotlap.tracks import shaping
from hotlap.tracks.catalog import BUILT_IN_FOLDER
from hotlap.tracks.route_file import track_from_rows, write_route
from hotlap.tracks.track import Track

SMOOTHING = 0.2  # [m]


@dataclass(frozen=True)
class Design:
    """A track as it was drawn."""

    name: str
    corners: Sequence[tuple[float, ...]]
    """x, y and bend radius [m] of each corner, in driving order."""
    widths: Sequence[float]
    """Widths [m] evenly spaced over the lap; one for the whole lap."""
    closed: bool = True

    def build(self) -> Track:
        """The track that the corners describe."""
        corners = np.array(self.corners, dtype=np.float64)
        line = shaping.round_corners(corners[:, :2], corners[:, 2], closed=self.closed)
        line = shaping.smooth(line, SMOOTHING, closed=self.closed)
        rows = shaping.road(line, np.array(self.widths), closed=self.closed)
        return track_from_rows(rows, self.name, closed=self.closed)


def _sweep(x: float, y: float, radius: float, begin_deg: float, end_deg: float, count: int) -> list[tuple[float, ...]]:
    """Corners whose rounding is one arc about (x, y) [m], from one direction to another as seen from there."""
    half = np.radians(end_deg - begin_deg) / (2 * count)
    angles = np.radians(begin_deg) + half * np.arange(1, 2 * count, 2)
    away = radius / np.cos(half)
    # A trace tighter than exact: neighbors in a design are given to a few digits only.
    return [(x + away * np.cos(angle), y + away * np.sin(angle), 0.995 * radius) for angle in angles]


DESIGNS = (
    Design(
        "first_lap",
        [
            *[(1.5, 0.0, 1.2), (6.1, 0.0, 1.3), (6.7, 3.8, 1.0), (4.6, 4.4, 1.0)],
            *[(3.5, 2.4, 1.0), (0.2, 3.3, 1.0), (-0.3, 1.0, 1.0)],
        ],
        [1.0],
    ),
    Design(
        "copper_oval",
        [(0.0, 0.0, 1.5), (7.0, 0.0, 1.5), (7.0, 3.0, 1.5), (0.0, 3.0, 1.5)],
        [0.914],
    ),
    Design(
        "bow_tie",
        [
            *[(0.0, 0.0, 0.9), (3.7, 1.4, 2.0), (7.4, 0.0, 0.9)],
            *[(7.4, 4.6, 0.9), (3.7, 3.2, 2.0), (0.0, 4.6, 0.9)],
        ],
        [0.762],
    ),
    Design(
        "paperclip",
        [
            *[(0.0, 5.0, 2.5), (8.0, 5.0, 0.82), (8.0, 3.34, 0.82), (2.0, 3.34, 0.84)],
            *[(2.0, 1.66, 0.84), (8.0, 1.66, 0.82), (8.0, 0.0, 0.82), (0.0, 0.0, 2.5)],
        ],
        [0.914],
    ),
    Design(
        "chicane_alley",
        [
            *[(0.0, 0.0, 1.3), (9.0, 0.0, 1.6), (9.0, 3.4, 1.6)],
            *[(6.9, 3.4, 0.9), (6.0, 2.5, 0.9), (4.9, 2.5, 0.9), (4.0, 3.4, 0.9)],
            *[(2.9, 3.4, 0.9), (2.0, 2.6, 0.9), (0.0, 2.6, 1.3)],
        ],
        [0.914],
    ),
    Design(
        "harvest_moon",
        [
            (3.248, 3.075, 0.75),
            *_sweep(0.0, 0.0, 4.0, 70.0, 290.0, 4),
            *[(3.248, -3.075, 0.75), (3.143, -1.88, 0.75)],
            *_sweep(2.865, 0.0, 1.803, 260.0, 100.0, 2),
            (3.143, 1.88, 0.75),
        ],
        [1.067],
    ),
    Design(
        "needle_eye",
        [
            *[(0.0, 0.0, 0.78), (4.4, 0.0, 2.0), (6.2, -0.9, 1.4), (9.0, -0.7, 1.2)],
            *[(9.0, 2.3, 1.2), (6.2, 2.5, 1.4), (4.4, 1.6, 2.0), (0.0, 1.6, 0.78)],
        ],
        [0.61, 0.61, 0.762, 0.762, 0.762, 0.61, 0.61],
    ),
    Design(
        "river_run",
        [
            *[(0.0, 0.0, 0.0), (3.0, 0.0, 1.6), (4.6, 2.4, 1.2), (7.0, 2.4, 1.1), (7.6, -0.4, 1.0)],
            *[(9.8, -0.6, 0.9), (10.4, 2.4, 0.9), (12.4, 2.4, 0.8), (12.8, 0.2, 0.8), (15.5, 0.2, 0.0)],
        ],
        [0.762, 0.762, 0.914, 1.067],
        closed=False,
    ),
    Design(
        "clover_leaf",
        [
            corner
            for leaf in np.radians([0.0, 90.0, 180.0, 270.0])
            for corner in (
                (4.5 * np.cos(leaf - 0.5), 4.5 * np.sin(leaf - 0.5), 0.95),
                (4.5 * np.cos(leaf + 0.5), 4.5 * np.sin(leaf + 0.5), 0.95),
                (1.75 * np.cos(leaf + 0.25 * np.pi), 1.75 * np.sin(leaf + 0.25 * np.pi), 0.75),
            )
        ],
        [0.914],
    ),
    Design(
        "grand_tour",
        [
            *[(2.0, 0.0, 1.5), (14.0, 0.0, 1.3), (17.0, 1.6, 1.4), (16.6, 4.6, 1.0), (14.4, 4.8, 0.9)],
            *[(13.4, 2.4, 0.9), (11.4, 2.2, 0.9), (10.6, 5.0, 1.2)],
            *[(13.0, 7.0, 1.4), (11.6, 9.2, 1.2), (8.0, 9.2, 1.0), (7.6, 4.2, 0.9), (5.8, 2.2, 0.85), (4.2, 2.6, 0.85)],
            *[(4.8, 6.4, 1.2), (3.0, 8.4, 1.4), (-0.6, 7.4, 1.4), (1.4, 4.4, 1.2), (-0.6, 1.4, 1.2)],
        ],
        [1.067],
    ),
)


def main() -> None:
    """Write the route files of all designs into the package."""
    for design in DESIGNS:
        track = design.build()
        write_route(track, BUILT_IN_FOLDER / f"{design.name}.npy")
        print(f"{design.name}: {track.length:.2f} m, tightest bend {track.min_radius:.2f} m")


if __name__ == "__main__":
    main()

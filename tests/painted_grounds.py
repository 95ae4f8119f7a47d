"""Grounds of tracks for tests: each is painted once in a process."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hotlap.tracks.ground import Ground, Level
    from hotlap.tracks.themes import Theme
    from hotlap.tracks.track import Track


def paint_grounds_once(patches: pytest.MonkeyPatch) -> None:
    """From now on races of this process share grounds that are alike, with what a camera makes of them."""
    from hotlap.sim import simulator
    from hotlap.tracks.ground import Ground, bake_ground

    painted: dict[tuple[object, ...], Ground] = {}
    make_levels = Ground.levels

    def ground_of(track: Track, theme: Theme, *, num_grounds: int) -> Ground:
        key = track.name, theme, num_grounds, *(line.tobytes() for line in (track.center, track.inner, track.outer))
        if key not in painted:
            if len(painted) == 4:  # each has up to three hundred megabytes
                del painted[next(iter(painted))]
            painted[key] = bake_ground(track, theme, num_grounds=num_grounds)
        return painted[key]

    def levels_of(ground: Ground, *, color: bool) -> list[Level]:
        kept = vars(ground)
        name = f"levels in {'color' if color else 'grey'}"
        if name not in kept:
            kept[name] = make_levels(ground, color=color)
        return kept[name]

    patches.setattr(simulator, "bake_ground", ground_of)
    patches.setattr(Ground, "levels", levels_of)

"""Grounds of tracks for tests: each is painted once in a process."""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from hotlap.tracks.ground import Ground, Level
    from hotlap.tracks.themes import Theme
    from hotlap.tracks.track import Track


def paint_grounds_once(patches: pytest.MonkeyPatch) -> None:
    """From now on races and exports of this process share grounds that are alike, with what cameras make of them."""
    from hotlap.export import sample_frames
    from hotlap.sim import simulator
    from hotlap.sim.camera import CameraRenderer
    from hotlap.tracks.ground import Ground, bake_ground

    painted: dict[tuple[object, ...], Ground] = {}
    make_levels, upload = Ground.levels, CameraRenderer._upload

    def ground_of(track: Track, theme: Theme | str | None = None, *, num_grounds: int = 1) -> Ground:
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

    def upload_once(renderer: CameraRenderer, grounds: Iterable[Ground]) -> None:
        first, *second = islice(all_of_them := iter(grounds), 2)
        if second:
            upload(renderer, chain((first, *second), all_of_them))
            return
        kept = vars(first)
        name = f"tables on {renderer.device}, {renderer.color or renderer.lights is not None}"
        if name not in kept:
            upload(renderer, [first])
            kept[name] = renderer._fields, renderer._levels, renderer._texels, renderer._colors
        renderer._fields, renderer._levels, renderer._texels, renderer._colors = kept[name]

    for module in (simulator, sample_frames):
        patches.setattr(module, "bake_ground", ground_of)
    patches.setattr(Ground, "levels", levels_of)
    patches.setattr(CameraRenderer, "_upload", upload_once)

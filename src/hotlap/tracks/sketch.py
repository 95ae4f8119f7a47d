"""A track drawn with characters, for terminals."""

from __future__ import annotations

from itertools import pairwise
from typing import Final

import numpy as np

from hotlap.tracks.track import Track

COLUMNS: Final = 72
ROWS: Final = 24

_DOTS: Final = np.array([[0x01, 0x08], [0x02, 0x10], [0x04, 0x20], [0x40, 0x80]])  # of a braille character, 4 by 2


def sketch(track: Track) -> str:
    """The borders of a track and, across the road, its start line, within `COLUMNS` and `ROWS` of characters."""
    x_min, y_min, x_max, y_max = track.bounds
    step = max((x_max - x_min) / (2 * COLUMNS - 1), (y_max - y_min) / (4 * ROWS - 1))  # [m] from dot to dot
    size = np.array([x_max - x_min, y_max - y_min]) / step
    dots = np.zeros((4 * (int(size[1]) // 4 + 1), 2 * (int(size[0]) // 2 + 1)), dtype=bool)
    for line in (track.inner, track.outer, np.stack([track.inner[0], track.outer[0]])):
        for begin, end in pairwise(line):
            share = np.linspace(0.0, 1.0, 2 + int(np.abs(end - begin).max() / step))[:, None]
            x, y = ((begin + share * (end - begin) - (x_min, y_min)) / step).astype(int).T
            dots[int(size[1]) - y, x] = True
    cells = dots.reshape(dots.shape[0] // 4, 4, -1, 2)
    codes = 0x2800 + np.einsum("ridj,ij->rd", cells.astype(int), _DOTS)
    return "\n".join("".join(map(chr, row)).rstrip(chr(0x2800)) for row in codes)

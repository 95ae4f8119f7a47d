"""Letters and badges in films."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import NamedTuple

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from hotlap.analysis.read.drives import Drive

Color = tuple[int, int, int]

WHITE: Color = (255, 255, 255)
_BAD: Color = (196, 52, 44)


class Badge(NamedTuple):
    """Words on a color, over the lower edge of a picture."""

    text: str
    color: Color


_MISHAPS = {
    "off_track": Badge("Off track", _BAD),
    "crashed": Badge("Crashed", _BAD),
    "reversed": Badge("Reversed", _BAD),
    "immobilized": Badge("Immobilized", _BAD),
}
_ENDINGS = {
    **_MISHAPS,
    "lap_complete": Badge("Lap complete", (38, 140, 82)),
    "time_up": Badge("Time up", (196, 120, 30)),
}


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Letters of a size [px]."""
    # Matplotlib brings these along, so that films look the same on every machine.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


def badges(drive: Drive) -> list[Badge | None]:
    """The badge of every step: a mistake while its penalty lasts, and at the last step how the trial ended."""
    shown: list[Badge | None] = [None] * len(drive)
    if drive.statuses is not None:
        mishap = None
        for i, status in enumerate(drive.statuses):
            if status != "pause":
                mishap = _MISHAPS.get(str(status))
            shown[i] = mishap
    if shown:
        shown[-1] = _ENDINGS.get(drive.status)
    return shown


def draw_badge(picture: Image.Image, badge: Badge | None, *, aside: bool = False) -> None:
    """Draw a badge, or none, onto a picture: in the middle of its lower edge, or in its left corner."""
    if badge is None:
        return
    pen, letters = ImageDraw.Draw(picture), font(17, bold=True)
    half = 0.5 * pen.textlength(badge.text, letters) + 18
    middle, bottom = half + 12 if aside else picture.width / 2, picture.height - 12
    pen.rounded_rectangle((middle - half, bottom - 34, middle + half, bottom), 17, fill=badge.color)
    pen.text((middle, bottom - 17), badge.text, WHITE, letters, anchor="mm")

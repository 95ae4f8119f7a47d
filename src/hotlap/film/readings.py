"""Letters in films: dark strips of readings, and badges that say what went wrong or how a trial ended."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import NamedTuple

import matplotlib
from PIL import Image, ImageDraw, ImageFont

from hotlap.records.drives import Drive

Color = tuple[int, int, int]

GROUND: Color = (23, 26, 32)
RULE: Color = (58, 64, 74)
LABEL: Color = (140, 149, 164)
VALUE: Color = (244, 246, 250)
DONE: Color = (224, 60, 44)
_WHITE: Color = (255, 255, 255)
_BAD: Color = (196, 52, 44)

_LINE = 4  # [px] height of the line that is as long as what is done of the lap


@cache
def font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    """Letters of a size [px]."""
    # Matplotlib brings these along, so that films look the same on every machine.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)


class Strip:
    """A dark strip of readings: a label above each value, and a line that is as long as what is done of the lap.

    Labels are drawn once.

    Args:
        width, height: Of the strip [px].
        columns: Label to its place, as a share of the width.
        label: Size and distance from the top of the labels [px], and
        value: of the values.
        line_below: Whether the line is the lower edge instead of the upper one.
    """

    def __init__(
        self,
        width: int,
        height: int,
        columns: Mapping[str, float],
        *,
        label: tuple[int, int],
        value: tuple[int, int],
        line_below: bool = False,
    ) -> None:
        self.width, self.height = width, height
        self.columns = [round(share * width) for share in columns.values()]
        self._value, self._value_top = font(value[0], bold=True), value[1]
        self._line = (height - _LINE, height - 1) if line_below else (0, _LINE - 1)
        self._empty = Image.new("RGB", (width, height), GROUND)
        pen = ImageDraw.Draw(self._empty)
        for column, text in zip(self.columns, columns, strict=True):
            pen.text((column, label[1]), text, LABEL, font(label[0]))
        pen.rectangle((0, self._line[0], width, self._line[1]), fill=RULE)

    def picture(self, values: Sequence[str], progress: float) -> Image.Image:
        """The strip with its values, and with a line for the percentage of the lap."""
        picture = self._empty.copy()
        pen = ImageDraw.Draw(picture)
        for column, text in zip(self.columns, values, strict=True):
            pen.text((column, self._value_top), text, VALUE, self._value)
        done = self.width * min(max(progress, 0.0), 100.0) / 100
        pen.rectangle((0, self._line[0], done, self._line[1]), fill=DONE)
        return picture


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
    pen.text((middle, bottom - 17), badge.text, _WHITE, letters, anchor="mm")

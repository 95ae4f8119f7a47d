"""Dark strips of readings: a label above each value, and a line that is as long as what is done of the lap."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
from PIL import Image, ImageDraw

from hotlap.film.lettering import Color, font

GROUND: Color = (23, 26, 32)
RULE: Color = (58, 64, 74)
LABEL: Color = (140, 149, 164)
VALUE: Color = (244, 246, 250)
DONE: Color = (224, 60, 44)

_LINE = 4  # [px] height


class Strip:
    """A strip whose labels are drawn once.

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


def clock(seconds: float) -> str:
    """Minutes, seconds and milliseconds."""
    minutes, rest = divmod(round(1000 * float(seconds)), 60_000)
    return f"{minutes:02d}:{rest / 1000:06.3f}"


def step_value(column: np.ndarray | float, i: int) -> float:
    """The value at a step of what is either a column or the same all the time."""
    return float(column[i]) if isinstance(column, np.ndarray) else float(column)

"""Four ways to film a trial: through the car's camera beside a map; and as the original does, from behind, from above,
and the one inside the other."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cache
from typing import Protocol

import numpy as np
from PIL import Image, ImageDraw

from hotlap.film.readings import DONE, LABEL, RULE, VALUE, Badge, Strip, badges, draw_badge, font
from hotlap.film.top_view import TopView
from hotlap.records.drives import Drive
from hotlap.wording import lap_time

WIDTH, HEIGHT = 640, 480  # of the films that the original makes too
OVERLAY_HEIGHT = 50
BAR_HEIGHT = 76

_OVERLAY_COLUMNS = {"TRIAL": 0.025, "TIME": 0.12, "SPEED": 0.32, "PROGRESS": 0.505, "REWARD": 0.69, "RESETS": 0.885}
_OPACITY = 0.82
_BAR_COLUMNS = {"TIME": 0.0, "TRIAL": 0.19, "SPEED": 0.28, "STEERING": 0.45, "PROGRESS": 0.63}
_BAR_MARGIN = 24  # [px] left of the first column
_MARGIN, _BORDER = 10, 2  # [px] around the map in a corner


@dataclass(frozen=True, eq=False)
class Shot:
    """What a replay sees at one step; valid until the next one."""

    camera: np.ndarray
    """Through the car's camera: uint8, shape (height, width, 3), or (height, width) in gray."""

    chase: np.ndarray
    """From behind and above the car: uint8, shape (480, 640, 3)."""

    objects: np.ndarray
    """Corners of what else is on the track [m], shape (num_objects, 4, 2)."""


class Picture(Protocol):
    """One way to film a trial."""

    width: int
    height: int

    def begin(self, drive: Drive) -> None:
        """A trial begins."""

    def frame(self, i: int, shot: Shot) -> np.ndarray:
        """The frame of its step i: uint8, shape (height, width, 3), valid until the next one. No step is left out."""


class Chase:
    """The car from behind and above, and nothing else."""

    width, height = WIDTH, HEIGHT

    def begin(self, drive: Drive) -> None:
        pass

    def frame(self, i: int, shot: Shot) -> np.ndarray:
        return shot.chase


class _MapPicture:
    """A picture with a map, which belongs to this picture alone."""

    width, height = WIDTH, HEIGHT

    def __init__(self, map: TopView) -> None:
        self.map = map

    def begin(self, drive: Drive) -> None:
        self.drive, self.badges = drive, badges(drive)
        self.map.clear()

    def on_map(self, i: int, shot: Shot, badge: Badge | None) -> np.ndarray:
        """The map of step i."""
        drive = self.drive
        self.map.drive_to(drive.x[i], drive.y[i], drive.speed[i])
        return self.map.picture(drive.yaw[i], drive.steer[i], badge, shot.objects)


class FromAbove(_MapPicture):
    """The whole track from above with the line that is driven, and the readings."""

    def frame(self, i: int, shot: Shot) -> np.ndarray:
        picture = self.on_map(i, shot, self.badges[i]).copy()
        overlay(picture, self.drive, i)
        return picture


class ChaseAndMap(_MapPicture):
    """The chase view with the readings and the map, which is small enough for it, in a corner."""

    def frame(self, i: int, shot: Shot) -> np.ndarray:
        image = Image.fromarray(shot.chase)
        draw_badge(image, self.badges[i], aside=True)  # a slow car is in the middle
        picture = np.array(image)
        overlay(picture, self.drive, i)
        top, left = OVERLAY_HEIGHT + _MARGIN, WIDTH - _MARGIN - self.map.width
        bottom, right = top + self.map.height, left + self.map.width
        picture[top - _BORDER : bottom + _BORDER, left - _BORDER : right + _BORDER] = RULE
        picture[top:bottom, left:right] = self.on_map(i, shot, None)
        return picture


class CarAndMap(_MapPicture):
    """Left the camera, right the map, which is as high as the camera's picture; below, a bar of readings."""

    def __init__(self, map: TopView) -> None:
        super().__init__(map)
        self.width, self.height = WIDTH + map.width, HEIGHT + BAR_HEIGHT
        inner = self.width - _BAR_MARGIN
        columns = {name: (_BAR_MARGIN + share * inner) / self.width for name, share in _BAR_COLUMNS.items()}
        self._bar = Strip(self.width, BAR_HEIGHT, columns, label=(12, 13), value=(25, 32))
        self._frame = np.empty((self.height, self.width, 3), np.uint8)

    def frame(self, i: int, shot: Shot) -> np.ndarray:
        self._frame[:HEIGHT, :WIDTH] = _enlarged(shot.camera)
        self._frame[:HEIGHT, WIDTH:] = self.on_map(i, shot, self.badges[i])
        self._frame[HEIGHT:] = np.asarray(self._readings(i))
        return self._frame

    def _readings(self, i: int) -> Image.Image:
        drive, steer = self.drive, float(self.drive.steer[i])
        values = (
            lap_time(1000 * float(drive.time[i])),
            f"{_at(drive.lap, i):.0f}",
            f"{float(drive.speed[i]):.2f} m/s",
            f"{steer:+.0f}°",
            f"{float(drive.progress[i]):.1f} %",
        )
        picture = self._bar.picture(values, float(drive.progress[i]))
        pen = ImageDraw.Draw(picture)
        # A needle that leans the way the wheels point: left steering to the left.
        middle, half, y = self._bar.columns[list(_BAR_COLUMNS).index("STEERING")] + 128, 34, 47
        pen.line((middle - half, y, middle + half, y), fill=RULE, width=4)
        tip = middle - half * max(-1.0, min(1.0, steer / 30))
        pen.line((middle, y, tip, y), fill=DONE, width=4)
        pen.ellipse((tip - 5, y - 5, tip + 5, y + 5), fill=VALUE)
        if drive.name:
            pen.text((self.width - _BAR_MARGIN, 20), drive.name, LABEL, font(13), anchor="rm")
        return picture


def overlay(picture: np.ndarray, drive: Drive, i: int) -> None:
    """Lay a strip with the readings of a step, which lets a little through, over a picture of the original's size.

    Args:
        picture: uint8, shape (height, 640, 3); it is changed.
        drive: The trial.
        i: Its step.
    """
    progress, reward = float(drive.progress[i]), _at(drive.reward, i)
    values = (
        f"{_at(drive.lap, i):.0f}",
        lap_time(1000 * float(drive.time[i])),
        f"{float(drive.speed[i]):.2f} m/s",
        f"{progress:.1f} %",
        "--" if math.isnan(reward) else f"{reward:.1f}",
        f"{_at(drive.resets, i):.0f}",
    )
    strip = np.asarray(_overlay_strip().picture(values, progress))
    mixed = _OPACITY * strip + (1.0 - _OPACITY) * picture[:OVERLAY_HEIGHT]
    picture[:OVERLAY_HEIGHT] = (mixed + 0.5).astype(np.uint8)


@cache
def _overlay_strip() -> Strip:
    return Strip(WIDTH, OVERLAY_HEIGHT, _OVERLAY_COLUMNS, label=(10, 6), value=(17, 20), line_below=True)


def _at(column: np.ndarray | float, i: int) -> float:
    """The value at a step of what is either a column or the same all the time."""
    return float(column[i]) if isinstance(column, np.ndarray) else float(column)


def _enlarged(image: np.ndarray) -> np.ndarray:
    """A camera's picture in 640 × 480: whole pixels are repeated, other sizes are resampled."""
    if image.ndim == 2:
        image = image[..., None]
    height, width = image.shape[:2]
    if HEIGHT % height == 0 and WIDTH % width == 0:
        return image.repeat(HEIGHT // height, axis=0).repeat(WIDTH // width, axis=1)
    colored = np.broadcast_to(image, (height, width, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(colored).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))

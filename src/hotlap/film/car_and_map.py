"""What the car sees, beside the track from above with the line that it drives; below, a bar of readings."""

from __future__ import annotations

import numpy as np
from PIL import Image, ImageDraw

from hotlap.film.lettering import font
from hotlap.film.map_picture import MapPicture
from hotlap.film.shot import HEIGHT, WIDTH, Shot
from hotlap.film.strip import DONE, LABEL, RULE, VALUE, Strip, clock, step_value
from hotlap.film.top_view import TopView

BAR_HEIGHT = 76
_COLUMNS = {"TIME": 0.0, "TRIAL": 0.19, "SPEED": 0.28, "STEERING": 0.45, "PROGRESS": 0.63}
_MARGIN = 24  # [px] left of the first column
_STEERING = 3


class CarAndMap(MapPicture):
    """Left the camera, 640 × 480, right the map, below the bar.

    Args:
        map: As high as the camera's picture.
    """

    def __init__(self, map: TopView) -> None:
        super().__init__(map)
        self.width, self.height = WIDTH + map.width, HEIGHT + BAR_HEIGHT
        columns = {name: (_MARGIN + share * (self.width - _MARGIN)) / self.width for name, share in _COLUMNS.items()}
        self._bar = Strip(self.width, BAR_HEIGHT, columns, label=(12, 13), value=(25, 32))
        self._frame = np.empty((self.height, self.width, 3), np.uint8)

    def frame(self, i: int, shot: Shot) -> np.ndarray:
        self._frame[:HEIGHT, :WIDTH] = _as_large_as_its_place(shot.camera)
        self._frame[:HEIGHT, WIDTH:] = self.map.step(i, shot.objects, self.badges[i])
        self._frame[HEIGHT:] = self._readings(i)
        return self._frame

    def _readings(self, i: int) -> np.ndarray:
        drive = self.drive
        steer = float(drive.steer[i])
        values = (
            clock(drive.time[i]),
            f"{step_value(drive.lap, i):.0f}",
            f"{float(drive.speed[i]):.2f} m/s",
            f"{steer:+.0f}°",
            f"{float(drive.progress[i]):.1f} %",
        )
        picture = self._bar.picture(values, float(drive.progress[i]))
        pen = ImageDraw.Draw(picture)
        self._draw_steering(pen, steer)
        if drive.name:
            pen.text((self.width - _MARGIN, 20), drive.name, LABEL, font(13), anchor="rm")
        return np.asarray(picture)

    def _draw_steering(self, pen: ImageDraw.ImageDraw, steer_deg: float) -> None:
        """A needle that leans the way the wheels point: left steering to the left."""
        middle, half, y = self._bar.columns[_STEERING] + 128, 34, 47
        pen.line((middle - half, y, middle + half, y), fill=RULE, width=4)
        tip = middle - half * max(-1.0, min(1.0, steer_deg / 30))
        pen.line((middle, y, tip, y), fill=DONE, width=4)
        pen.ellipse((tip - 5, y - 5, tip + 5, y + 5), fill=VALUE)


def _as_large_as_its_place(image: np.ndarray) -> np.ndarray:
    """A camera's picture in 640 × 480: whole pixels are repeated, other sizes are resampled."""
    if image.ndim == 2:
        image = image[..., None]
    height, width = image.shape[:2]
    if image.shape == (HEIGHT, WIDTH, 3):
        return image
    if HEIGHT % height == 0 and WIDTH % width == 0:
        return image.repeat(HEIGHT // height, axis=0).repeat(WIDTH // width, axis=1)
    colored = np.broadcast_to(image, (height, width, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(colored).resize((WIDTH, HEIGHT), Image.Resampling.BILINEAR))

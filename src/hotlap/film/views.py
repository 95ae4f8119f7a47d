"""The three films that the original makes: the chase view, the top view, and the one inside the other."""

from __future__ import annotations

import numpy as np
from PIL import Image

from hotlap.analysis.read.drives import Drive
from hotlap.film.lettering import draw_badge
from hotlap.film.map_picture import MapPicture
from hotlap.film.overlay import HEIGHT as OVERLAY_HEIGHT
from hotlap.film.overlay import Overlay
from hotlap.film.shot import HEIGHT, WIDTH, Shot
from hotlap.film.strip import RULE
from hotlap.film.top_view import TopView

_MARGIN, _BORDER = 10, 2  # [px] around the inset


class Chase:
    """The car from behind and above, and nothing else."""

    width, height = WIDTH, HEIGHT

    def begin(self, drive: Drive) -> None:
        pass

    def frame(self, i: int, shot: Shot) -> np.ndarray:
        return shot.chase


class FromAbove(MapPicture):
    """The whole track from above with the line that is driven, and the readings."""

    width, height = WIDTH, HEIGHT

    def __init__(self, map: TopView) -> None:
        super().__init__(map)
        self._overlay = Overlay(WIDTH)

    def frame(self, i: int, shot: Shot) -> np.ndarray:
        picture = self.map.step(i, shot.objects, self.badges[i]).copy()
        self._overlay.draw(picture, self.drive, i)
        return picture


class ChaseAndMap(MapPicture):
    """The chase view with the readings and the map in a corner.

    Args:
        map: Small enough for a corner.
    """

    width, height = WIDTH, HEIGHT

    def __init__(self, map: TopView) -> None:
        super().__init__(map)
        self._overlay = Overlay(WIDTH)

    def frame(self, i: int, shot: Shot) -> np.ndarray:
        image = Image.fromarray(shot.chase)
        draw_badge(image, self.badges[i], aside=True)  # a slow car is in the middle
        picture = np.array(image)
        self._overlay.draw(picture, self.drive, i)
        top, left = OVERLAY_HEIGHT + _MARGIN, WIDTH - _MARGIN - self.map.width
        bottom, right = top + self.map.height, left + self.map.width
        picture[top - _BORDER : bottom + _BORDER, left - _BORDER : right + _BORDER] = RULE
        picture[top:bottom, left:right] = self.map.step(i, shot.objects, None)
        return picture

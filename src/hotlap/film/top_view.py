"""The track from above with the line that was driven and the car at its end.

The track is drawn once, at several times the size of the picture. Each step adds one piece of line to that large
picture and shrinks only the few pixels that changed, so that lines are smooth and a frame costs little.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence

import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from PIL import Image, ImageDraw

from hotlap.film.readings import Badge, Color, draw_badge
from hotlap.records.drives import MAX_STEP
from hotlap.tracks.figure import draw_track_on
from hotlap.tracks.track import Track

_OVERSAMPLING = 3
_CAR_LENGTH, _CAR_WIDTH = 0.36, 0.20  # [m]
_LINE_WIDTH = 3  # [px]

_CAR, _CAR_EDGE, _CAR_GLASS = (224, 60, 44), (255, 255, 255), (30, 34, 42)
_OBJECT, _OBJECT_EDGE = (226, 176, 108), (54, 38, 22)


class TopView:
    """The track from above with the line driven since the last `clear` and the car at its end.

    Args:
        track: What to draw.
        color_of: The color of the line at a speed [m/s].
        height: Of the picture, even [px].
        width: Of the picture, even [px]; None: as the track's form asks for.
        head: Rows at the top that stay free of the track [px].
        min_car_length: A car is drawn no smaller [px]: on large tracks it would be a dot.
    """

    def __init__(
        self,
        track: Track,
        color_of: Callable[[float], Color],
        height: int,
        *,
        width: int | None = None,
        head: int = 0,
        min_car_length: int = 20,
    ) -> None:
        figure = Figure(frameon=False)
        axes = figure.add_axes((0, 0, 1, 1))
        draw_track_on(axes, track)
        (x_min, x_max), (y_min, y_max) = axes.get_xlim(), axes.get_ylim()
        if width is None:
            # A track may be very long or very tall: the picture stays within these widths and shows more field instead.
            fitting = float(np.clip(height * (x_max - x_min) / (y_max - y_min), 0.7 * height, 2.0 * height))
            width = 2 * round(fitting / 2)
        self.width, self.height = width, height
        scale = min(self.width / (x_max - x_min), (self.height - head) / (y_max - y_min))  # [px/m]
        x_mid, y_mid = 0.5 * (x_min + x_max), 0.5 * (y_min + y_max + head / scale)
        axes.set_xlim(x_mid - 0.5 * self.width / scale, x_mid + 0.5 * self.width / scale)
        axes.set_ylim(y_mid - 0.5 * self.height / scale, y_mid + 0.5 * self.height / scale)
        self._scale = scale * _OVERSAMPLING
        self._left, self._top = axes.get_xlim()[0], axes.get_ylim()[1]
        figure.set_dpi(100)
        figure.set_size_inches(self.width * _OVERSAMPLING / 100, self.height * _OVERSAMPLING / 100)
        figure.patch.set_visible(True)
        figure.patch.set_facecolor(axes.get_facecolor())
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
        self._empty = Image.fromarray(np.asarray(canvas.buffer_rgba())[..., :3].copy())
        self._empty_small = self._empty.reduce(_OVERSAMPLING)
        self._color_of = color_of
        self._min_car_length = min_car_length
        self.clear()

    def clear(self) -> None:
        """Forget the line."""
        self._large, self._small = self._empty.copy(), self._empty_small.copy()
        self._pen = ImageDraw.Draw(self._large)
        self._place: tuple[float, float] | None = None

    def drive_to(self, x: float, y: float, speed: float) -> None:
        """Lengthen the line to a position [m]; a jump, as at a reset, leaves no line."""
        before, self._place = self._place, (float(x), float(y))
        if before is None or math.dist(before, self._place) > MAX_STEP:
            return
        color = self._color_of(float(speed))
        ends = [self._pixel(*before), self._pixel(*self._place)]
        width = _LINE_WIDTH * _OVERSAMPLING
        self._pen.line(ends, fill=color, width=width)
        # Round joints: Pillow's lines end square, which shows as notches in bends.
        for u, v in ends:
            self._pen.ellipse((u - width / 2, v - width / 2, u + width / 2, v + width / 2), fill=color)
        # What changed in the large picture goes into the small one.
        if (box := self._box(ends, width)) is not None:
            self._paste(self._small, self._large.crop(box), box)

    def picture(
        self,
        yaw: float,
        steer_deg: float,
        badge: Badge | None,
        objects: np.ndarray | Sequence[np.ndarray] = (),
    ) -> np.ndarray:
        """The view with the car at the line's end: uint8, shape (height, width, 3).

        Args:
            yaw: Heading of the car [rad].
            steer_deg: Steering of its front wheels [deg].
            badge: What to say about it.
            objects: Corners of what else is on the track [m], each (4, 2).
        """
        picture = self._small.copy()
        outlines = [[self._pixel(float(x), float(y)) for x, y in corners] for corners in objects]
        for outline in outlines:
            if (box := self._box(outline, _OVERSAMPLING)) is not None:
                self._paste(picture, self._patch(box, outlines), box)
        if self._place is not None:
            self._draw_car(picture, self._place, float(yaw), math.radians(float(steer_deg)), outlines)
        draw_badge(picture, badge)
        return np.asarray(picture)

    def _pixel(self, x: float, y: float) -> tuple[float, float]:
        return (x - self._left) * self._scale, (self._top - y) * self._scale

    def _patch(self, box: tuple[int, int, int, int], outlines: Sequence[Sequence[tuple[float, float]]]) -> Image.Image:
        """A copy of a part of the large picture with the objects there; their corners are its pixels."""
        patch = self._large.crop(box)
        pen = ImageDraw.Draw(patch)
        for outline in outlines:
            corners = [(u - box[0], v - box[1]) for u, v in outline]
            pen.polygon(corners, fill=_OBJECT)
            pen.line([*corners, corners[0]], fill=_OBJECT_EDGE, width=_OVERSAMPLING, joint="curve")
        return patch

    def _draw_car(
        self,
        picture: Image.Image,
        place: tuple[float, float],
        yaw: float,
        steer: float,
        outlines: Sequence[Sequence[tuple[float, float]]],
    ) -> None:
        """Draw the car over the picture and the objects there; the large one stays as it is."""
        length = max(_CAR_LENGTH * self._scale, self._min_car_length * _OVERSAMPLING)
        width = length * _CAR_WIDTH / _CAR_LENGTH
        middle = self._pixel(*place)
        reach = 0.8 * length
        box = self._box([middle], reach)
        if box is None:
            return
        patch = self._patch(box, outlines)
        origin = middle[0] - box[0], middle[1] - box[1]
        pen = ImageDraw.Draw(patch)
        for ahead in (-0.3, 0.32):
            turn = steer if ahead > 0 else 0.0
            for side in (-0.5, 0.5):
                hub = _turned([(ahead * length, side * width)], yaw, origin)[0]
                wheel = _rectangle(0.2 * length, 0.17 * width)
                pen.polygon(_turned(wheel, yaw + turn, hub), fill=_CAR_GLASS)
        body = [(-0.5, -0.36), (-0.5, 0.36), (0.3, 0.36), (0.5, 0.2), (0.5, -0.2), (0.3, -0.36)]
        outline = _turned([(length * a, width * b) for a, b in body], yaw, origin)
        pen.polygon(outline, fill=_CAR)
        pen.line([*outline, outline[0]], fill=_CAR_EDGE, width=_OVERSAMPLING + 1, joint="curve")
        glass = [(-0.05, -0.24), (-0.05, 0.24), (0.16, 0.18), (0.16, -0.18)]
        pen.polygon(_turned([(length * a, width * b) for a, b in glass], yaw, origin), fill=_CAR_GLASS)
        self._paste(picture, patch, box)

    def _paste(self, small: Image.Image, patch: Image.Image, box: tuple[int, int, int, int]) -> None:
        """Put a part of the large picture in its place in a small one."""
        small.paste(patch.reduce(_OVERSAMPLING), (box[0] // _OVERSAMPLING, box[1] // _OVERSAMPLING))

    def _box(self, around: Sequence[tuple[float, float]], reach: float) -> tuple[int, int, int, int] | None:
        """Pixels of the large picture within reach, on whole pixels of the small one; None if all are outside."""
        step = _OVERSAMPLING
        u, v = zip(*around, strict=True)
        left = max(0, math.floor((min(u) - reach) / step))
        top = max(0, math.floor((min(v) - reach) / step))
        right = min(self.width, math.ceil((max(u) + reach) / step))
        bottom = min(self.height, math.ceil((max(v) + reach) / step))
        return (left * step, top * step, right * step, bottom * step) if left < right and top < bottom else None


def _rectangle(length: float, width: float) -> list[tuple[float, float]]:
    return [(a * length / 2, b * width / 2) for a, b in ((-1, -1), (-1, 1), (1, 1), (1, -1))]


def _turned(
    points: Iterable[tuple[float, float]], yaw: float, origin: tuple[float, float]
) -> list[tuple[float, float]]:
    """Points ahead and left of an origin as pixels, whose rows run downward."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    return [(origin[0] + a * cos - b * sin, origin[1] - a * sin - b * cos) for a, b in points]

"""The video of an evaluation: what the car sees, beside the track from above with the line that it drives.

The track is drawn once, at several times the size of the picture. Each frame adds one piece of line to that large
picture and shrinks only the few pixels that changed, so that lines are smooth and a frame costs little.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.colors import Normalize
from matplotlib.figure import Figure
from PIL import Image, ImageDraw, ImageFont

from hotlap.analysis.driven_lines import speed_range
from hotlap.analysis.drives import MAX_STEP, Drive
from hotlap.analysis.style import SPEED_COLORS
from hotlap.records.video import VideoWriter
from hotlap.tracks.figure import draw_track_on
from hotlap.tracks.track import Track

CAMERA_WIDTH, CAMERA_HEIGHT = 640, 480
BAR_HEIGHT = 76
FPS = 15

_OVERSAMPLING = 3
_HELD_FRAMES = 15  # the last frame of a trial stays a second, so that its end can be read
_CAR_LENGTH, _CAR_WIDTH = 0.36, 0.20  # [m]
_MIN_CAR_LENGTH = 20  # [px] on large tracks the car would be a dot
_LINE_WIDTH = 3  # [px]

_BAR, _RULE, _LABEL, _VALUE = (23, 26, 32), (58, 64, 74), (140, 149, 164), (244, 246, 250)
_CAR, _CAR_EDGE, _CAR_GLASS = (224, 60, 44), (255, 255, 255), (30, 34, 42)
_OBJECT, _OBJECT_EDGE = (226, 176, 108), (54, 38, 22)
_ENDINGS = {
    "lap_complete": ("Lap complete", (38, 140, 82)),
    "off_track": ("Off track", (196, 52, 44)),
    "crashed": ("Crashed", (196, 52, 44)),
    "reversed": ("Reversed", (196, 52, 44)),
    "immobilized": ("Immobilized", (196, 52, 44)),
    "time_up": ("Time up", (196, 120, 30)),
}


def write_evaluation_video(path: str | Path, track: Track, drives: Sequence[Drive], *, fps: int = FPS) -> Path:
    """Write the video of one or more trials, one after the other.

    Args:
        path: MP4 file to write.
        track: Where they drove.
        drives: The trials, with or without camera frames.
        fps: Frames per second; 15 is real time.

    Raises:
        RecordError: If it cannot be written.
    """
    view = TopView(track, speed_range(np.concatenate([drive.speed for drive in drives] or [np.zeros(1)])))
    with VideoWriter(path, CAMERA_WIDTH + view.width, CAMERA_HEIGHT + BAR_HEIGHT, fps) as video:
        for frame in evaluation_frames(view, drives):
            video.write(frame)
    return Path(path)


def evaluation_frames(view: TopView, drives: Iterable[Drive]) -> Iterator[np.ndarray]:
    """The frames of the video: uint8, shape (480 + 76, 640 + view.width, 3).

    Left the camera, right the view from above, below the clock, lap, speed, steering and progress. A frame is valid
    until the next one is asked for.
    """
    bar = _Bar(CAMERA_WIDTH + view.width)
    frame = np.empty((CAMERA_HEIGHT + BAR_HEIGHT, CAMERA_WIDTH + view.width, 3), np.uint8)
    for drive in drives:
        view.clear()
        laps = np.broadcast_to(drive.lap, len(drive))
        for i in range(len(drive)):
            if i and laps[i] != laps[i - 1]:
                view.clear()
            view.drive_to(drive.x[i], drive.y[i], drive.speed[i])
            ending = drive.status if i == len(drive) - 1 else ""
            frame[:CAMERA_HEIGHT, :CAMERA_WIDTH] = _camera_picture(drive, i)
            objects = () if drive.objects is None else drive.objects[i]
            frame[:CAMERA_HEIGHT, CAMERA_WIDTH:] = view.picture(
                drive.yaw[i], drive.steer[i], _ENDINGS.get(ending), objects
            )
            frame[CAMERA_HEIGHT:] = bar.picture(drive, i, int(laps[i]))
            yield frame
        for _ in range(_HELD_FRAMES if len(drive) else 0):
            yield frame


class TopView:
    """The track from above with the line driven since the last `clear` and the car at its end.

    Args:
        track: What to draw.
        speeds: Speeds [m/s] to the ends of the line's color scale.
        height: Of the picture, even [px].
    """

    def __init__(self, track: Track, speeds: Normalize, height: int = CAMERA_HEIGHT) -> None:
        figure = Figure(frameon=False)
        axes = figure.add_axes((0, 0, 1, 1))
        draw_track_on(axes, track)
        (x_min, x_max), (y_min, y_max) = axes.get_xlim(), axes.get_ylim()
        # A track may be very long or very tall: the picture stays within these widths and shows more field instead.
        width = float(np.clip(height * (x_max - x_min) / (y_max - y_min), 0.7 * height, 2.0 * height))
        self.width, self.height = 2 * round(width / 2), height
        scale = min(self.width / (x_max - x_min), self.height / (y_max - y_min))  # [px/m]
        x_mid, y_mid = 0.5 * (x_min + x_max), 0.5 * (y_min + y_max)
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
        self._speeds = speeds
        self._font = _font(17, bold=True)
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
        red, green, blue, _ = SPEED_COLORS(float(self._speeds(speed)))
        color = round(255 * red), round(255 * green), round(255 * blue)
        ends = [self._pixel(*before), self._pixel(*self._place)]
        width = _LINE_WIDTH * _OVERSAMPLING
        self._pen.line(ends, fill=color, width=width)
        # Round joints: Pillow's lines end square, which shows as notches in bends.
        for u, v in ends:
            self._pen.ellipse((u - width / 2, v - width / 2, u + width / 2, v + width / 2), fill=color)
        self._shrink(self._large, self._small, ends, width)

    def picture(
        self,
        yaw: float,
        steer_deg: float,
        ending: tuple[str, tuple[int, int, int]] | None,
        objects: np.ndarray | Sequence[np.ndarray] = (),
    ) -> np.ndarray:
        """The view with the car at the line's end: uint8, shape (height, width, 3).

        Args:
            yaw: Heading of the car [rad].
            steer_deg: Steering of its front wheels [deg].
            ending: Words and color of a badge, where the trial has ended.
            objects: Corners of what else is on the track [m], each (4, 2).
        """
        picture = self._small.copy()
        outlines = [[self._pixel(float(x), float(y)) for x, y in corners] for corners in objects]
        for outline in outlines:
            box = self._box(outline, _OVERSAMPLING)
            if box is not None:
                self._paste(picture, self._patch(box, outlines), box)
        if self._place is not None:
            self._draw_car(picture, self._place, float(yaw), math.radians(float(steer_deg)), outlines)
        if ending is not None:
            text, color = ending
            pen = ImageDraw.Draw(picture)
            half = 0.5 * pen.textlength(text, self._font) + 18
            middle, bottom = self.width / 2, self.height - 12
            pen.rounded_rectangle((middle - half, bottom - 34, middle + half, bottom), 17, fill=color)
            pen.text((middle, bottom - 17), text, (255, 255, 255), self._font, anchor="mm")
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
        length = max(_CAR_LENGTH * self._scale, _MIN_CAR_LENGTH * _OVERSAMPLING)
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

    def _shrink(
        self, large: Image.Image, small: Image.Image, around: Sequence[tuple[float, float]], reach: float
    ) -> None:
        """Bring what changed in the large picture, near the given pixels, into the small one."""
        box = self._box(around, reach)
        if box is not None:
            self._paste(small, large.crop(box), box)

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


class _Bar:
    """The strip below: clock, lap, speed, steering and progress. Labels are drawn once."""

    def __init__(self, width: int) -> None:
        self.width = width
        self._label, self._value, self._name = _font(12), _font(25, bold=True), _font(13)
        self._columns = [round(24 + share * (width - 24)) for share in (0.0, 0.19, 0.28, 0.45, 0.63)]
        self._empty = Image.new("RGB", (width, BAR_HEIGHT), _BAR)
        pen = ImageDraw.Draw(self._empty)
        for column, text in zip(self._columns, ("TIME", "LAP", "SPEED", "STEERING", "PROGRESS"), strict=True):
            pen.text((column, 13), text, _LABEL, self._label)
        pen.rectangle((0, 0, width, 3), fill=_RULE)

    def picture(self, drive: Drive, i: int, lap: int) -> np.ndarray:
        picture = self._empty.copy()
        pen = ImageDraw.Draw(picture)
        minutes, seconds = divmod(float(drive.time[i]), 60)
        progress = float(drive.progress[i])
        values = (
            f"{int(minutes):02d}:{seconds:06.3f}",
            str(lap),
            f"{float(drive.speed[i]):.2f} m/s",
            f"{float(drive.steer[i]):+.0f}°",
            f"{progress:.1f} %",
        )
        for column, text in zip(self._columns, values, strict=True):
            pen.text((column, 32), text, _VALUE, self._value)
        self._draw_steering(pen, float(drive.steer[i]))
        pen.rectangle((0, 0, self.width * min(max(progress, 0.0), 100.0) / 100, 3), fill=_CAR)
        if drive.name:
            pen.text((self.width - 24, 20), drive.name, _LABEL, self._name, anchor="rm")
        return np.asarray(picture)

    def _draw_steering(self, pen: ImageDraw.ImageDraw, steer_deg: float) -> None:
        """A needle that leans the way the wheels point: left steering to the left."""
        middle, half, y = self._columns[3] + 128, 34, 47
        pen.line((middle - half, y, middle + half, y), fill=_RULE, width=4)
        tip = middle - half * max(-1.0, min(1.0, steer_deg / 30))
        pen.line((middle, y, tip, y), fill=_CAR, width=4)
        pen.ellipse((tip - 5, y - 5, tip + 5, y + 5), fill=_VALUE)


def _camera_picture(drive: Drive, i: int) -> np.ndarray:
    """What the car saw, as large as its place: whole pixels are repeated, other sizes are resampled."""
    if drive.camera is None:
        return np.full((CAMERA_HEIGHT, CAMERA_WIDTH, 3), _BAR, np.uint8)
    image = drive.camera[i]
    if image.ndim == 2:
        image = image[..., None]
    height, width = image.shape[:2]
    if CAMERA_HEIGHT % height == 0 and CAMERA_WIDTH % width == 0:
        return image.repeat(CAMERA_HEIGHT // height, axis=0).repeat(CAMERA_WIDTH // width, axis=1)
    colored = np.broadcast_to(image, (height, width, 3)).astype(np.uint8)
    return np.asarray(Image.fromarray(colored).resize((CAMERA_WIDTH, CAMERA_HEIGHT), Image.Resampling.BILINEAR))


def _rectangle(length: float, width: float) -> list[tuple[float, float]]:
    return [(a * length / 2, b * width / 2) for a, b in ((-1, -1), (-1, 1), (1, 1), (1, -1))]


def _turned(
    points: Iterable[tuple[float, float]], yaw: float, origin: tuple[float, float]
) -> list[tuple[float, float]]:
    """Points ahead and left of an origin as pixels, whose rows run downward."""
    cos, sin = math.cos(yaw), math.sin(yaw)
    return [(origin[0] + a * cos - b * sin, origin[1] - a * sin - b * cos) for a, b in points]


def _font(size: int, *, bold: bool = False) -> ImageFont.FreeTypeFont:
    # Matplotlib brings these along, so that the video looks the same on every machine.
    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return ImageFont.truetype(str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name), size)

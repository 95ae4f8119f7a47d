"""How much of real camera frames our camera explains: grey levels, and what is seen where."""

from __future__ import annotations

from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
from PIL import Image
from scipy.ndimage import distance_transform_edt

from hotlap.bounded import read_bounded, told
from hotlap.errors import DataError
from hotlap.tracks.ground import CENTER_LINE, EDGE_LINE, FIELD, ROAD, WALL
from hotlap.tracks.track import Track
from hotlap.unfinished import whole_file
from hotlap.validation.camera_fit import Eye, Progress, Scenery, Setting, finest_scenery, fit_camera, to_grey

CLASSES = {"field": FIELD, "road": ROAD, "edge_line": EDGE_LINE, "center_line": CENTER_LINE, "wall": WALL}

MAX_FRAME_BYTES = 8 << 20
MAX_FRAME_PIXELS = 1 << 21  # the original's have 640 x 480


def load_frames(folder: Path, *, every: int = 1) -> tuple[list[str], np.ndarray]:
    """Names and images (n, height, width, 3), uint8, of the PNG frames in ``folder``, in the order of their names.

    Raises:
        DataError: If there are none, or they differ in size.
    """
    paths = sorted(folder.glob("*.png"))[::every] if folder.is_dir() else []
    if not paths:
        raise DataError(f"{folder}: no camera frames found; expected a folder of consecutive PNG files.")
    images = [_image(path) for path in paths]
    shapes = {image.shape for image in images}
    if len(shapes) > 1:
        raise DataError(f"{folder}: the frames differ in size ({sorted(shapes)}); expected frames of one camera.")
    return [path.name for path in paths], np.stack(images)


def _image(path: Path) -> np.ndarray:
    try:
        with Image.open(BytesIO(read_bounded(path, MAX_FRAME_BYTES)), formats=["PNG"]) as image:
            if image.width * image.height > MAX_FRAME_PIXELS:
                raise ValueError(f"it is {image.width} x {image.height} pixels large")
            return np.asarray(image.convert("RGB"))
    except Exception as error:  # whatever a damaged file makes the library of images raise
        reason = getattr(error, "strerror", None) or told(error)
        raise DataError(f"{path}: no camera frame ({reason}); expected a PNG file. Copy it again.") from error


PURE_COLORS = {
    FIELD: ((100, 143, 109), (0.85, 0.92, 1.0, 1.08, 1.15)),
    ROAD: ((38, 51, 68), (0.6, 0.7, 0.8, 0.9, 1.0, 1.1, 1.2, 1.3)),
    EDGE_LINE: ((235, 234, 229), (0.84, 0.92, 1.0, 1.06)),
    CENTER_LINE: ((240, 145, 1), (0.76, 0.88, 1.0, 1.05)),
    WALL: ((38, 64, 78), (0.0, 0.2, 0.41, 0.6, 0.75, 0.9, 1.0, 1.1, 1.2)),
}
"""Colors of the classes in the frames of 2019, and by how much grain and light scale them."""
PURE_DISTANCE = 22.0
"""A color farther from all of these mixes those on either side of an edge, and only they may be its class."""


def classify_real(image: np.ndarray) -> np.ndarray:
    """Class of every pixel (height, width) of a real frame (height, width, 3), from its color.

    A mixed pixel is of the class whose color is nearest among those that are pure within two pixels of it; else half
    white and half road would count as field.
    """
    pixels = image.astype(np.float64)
    distance = np.empty((5, *image.shape[:2]))
    for label, (color, scales) in PURE_COLORS.items():
        shades = np.outer(scales, color)
        distance[label] = np.linalg.norm(pixels[..., None, :] - shades, axis=-1).min(axis=-1)
    nearest = distance.argmin(axis=0)
    pure = distance.min(axis=0) < PURE_DISTANCE
    far = np.stack([distance_transform_edt(~(pure & (nearest == label))) for label in range(5)]) > 2.9
    nearby = np.where(far, np.inf, distance)
    return np.where(pure | np.isinf(nearby.min(axis=0)), nearest, nearby.argmin(axis=0))


def classify_ours(scenery: Scenery, setting: Setting, poses: np.ndarray) -> np.ndarray:
    """Class that covers most of every pixel (n, height, width) in our images from ``poses`` (n, 3)."""
    ground = scenery.with_walls(setting.margins)
    covered = []
    for labels in ((FIELD, ROAD, EDGE_LINE), (CENTER_LINE, WALL)):
        table = np.zeros((5, 3), dtype=np.uint8)
        for channel, label in enumerate(labels):
            table[label, channel] = 255
        walls = np.tile(table[WALL].astype(np.float64), (4, 1))
        masks = replace(ground, rgb=table[ground.labels], wall_colors=walls, sky=tuple(walls[0]))
        covered.append(Eye(masks, setting.camera, color=True).see(poses)[..., : len(labels)])
    order = np.array([FIELD, ROAD, EDGE_LINE, CENTER_LINE, WALL])
    return order[np.concatenate(covered, axis=-1).argmax(axis=-1)]


@dataclass(frozen=True)
class CameraReport:
    """What ``validate_camera`` found; arrays have one entry per frame."""

    names: list[str]
    setting: Setting
    poses: np.ndarray
    """(n, 3) of base_link [m, m, rad]."""
    grey_diff: np.ndarray
    """Mean absolute difference of grey levels, of 255."""
    agreement: np.ndarray
    """Share of pixels whose class agrees."""
    confusion: np.ndarray
    """Share of all pixels by real class (rows) and ours (columns), in the order of CLASSES."""

    def to_json(self) -> dict[str, object]:
        """The report as plain data; its keys are documented in the command's help."""
        camera = self.setting.camera
        south, east, north, west = self.setting.margins
        return {
            "grey_diff_median": round(float(np.median(self.grey_diff)), 3),
            "class_agreement": round(float(self.agreement.mean()), 5),
            "num_frames": len(self.names),
            "camera": {
                "height_m": round(camera.height_m, 4),
                "pitch_rad": round(camera.pitch_rad, 4),
                "hfov_rad": round(camera.hfov_rad, 4),
                "forward_m": camera.forward_m,
            },
            "field_margin_m": {
                "south": round(south, 3),
                "east": round(east, 3),
                "north": round(north, 3),
                "west": round(west, 3),
            },
            "confusion": {
                real: {ours: round(float(self.confusion[i, j]), 5) for j, ours in enumerate(CLASSES)}
                for i, real in enumerate(CLASSES)
            },
            "frames": [
                {
                    "name": name,
                    "x": round(float(x), 4),
                    "y": round(float(y), 4),
                    "yaw_deg": round(float(np.degrees(yaw)), 2),
                    "grey_diff": round(float(diff), 3),
                    "class_agreement": round(float(agreement), 5),
                }
                for name, (x, y, yaw), diff, agreement in zip(
                    self.names, self.poses, self.grey_diff, self.agreement, strict=True
                )
            ],
        }


def validate_camera(
    names: list[str],
    frames: np.ndarray,
    track: Track,
    *,
    every: int = 1,
    rounds: int = 3,
    progress: Progress = lambda step, share: None,
) -> CameraReport:
    """Fit the poses of consecutive ``frames`` (n, 120, 160, 3) on ``track`` and compare our images with them.

    Args:
        names: Names of the frames.
        every: Every how many frames of the recording these are.
        rounds: Gauss-Newton steps of the setting.
        progress: Told what is going on.
    """
    setting, poses = fit_camera(frames, track, every=every, rounds=rounds, progress=progress)
    scenery = finest_scenery(track)
    eye = Eye(scenery.with_walls(setting.margins), setting.camera)
    grey_diff = np.abs(eye.see(poses) - to_grey(frames)).mean(axis=(1, 2))
    ours = classify_ours(scenery, setting, poses)
    confusion = np.zeros((5, 5))
    agreement = np.empty(len(frames))
    for index, frame in enumerate(frames):
        real = classify_real(frame)
        agreement[index] = (real == ours[index]).mean()
        np.add.at(confusion, (real, ours[index]), 1.0 / ours.size)
    order = list(CLASSES.values())
    return CameraReport(names, setting, poses, grey_diff, agreement, confusion[np.ix_(order, order)])


def draw_comparison(
    report: CameraReport, frames: np.ndarray, track: Track, folder: Path, *, num: int = 12, scale: int = 3
) -> list[Path]:
    """Write ``num`` pictures of a real frame, ours and their difference side by side; returns their paths."""
    scenery = finest_scenery(track)
    eye = Eye(scenery.with_walls(report.setting.margins), report.setting.camera, color=True, batch=num)
    chosen = np.unique(np.linspace(0, len(frames) - 1, num).astype(int))
    paths = []
    for index, ours in zip(chosen, eye.see(report.poses[chosen]), strict=True):
        difference = np.abs(frames[index].astype(int) - ours).astype(np.uint8)
        row = Image.fromarray(np.concatenate([frames[index], ours, difference], axis=1))
        path = folder / f"{Path(report.names[index]).stem}_real_ours_difference.png"
        with whole_file(path) as file:
            row.resize((row.width * scale, row.height * scale), Image.Resampling.NEAREST).save(file, "PNG")
        paths.append(path)
    return paths

"""Explain real camera frames: where did the car stand, what camera did it carry, and how much is left unexplained?

The frames are consecutive and their poses unknown. Four steps find them:

1. *Search.* Every few frames, the images of a net of poses along the track are compared with the frame, coarsely and
   without the center line, whose dashes look alike everywhere. The cheapest path through these costs that only moves
   forward is the drive.
2. *Poses.* Every frame's pose follows by Levenberg and Marquardt's method on blurred images, from coarse to fine,
   with some tries which dash of the center line is which.
3. *Camera.* Height, pitch, field of view and the walls' distances, common to all frames, are refined together with the
   poses by Gauss and Newton's method.
4. *Comparison* of grey levels and of what is seen where.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from io import BytesIO
from pathlib import Path

import numpy as np
import warp as wp
from PIL import Image
from scipy.ndimage import distance_transform_edt, gaussian_filter

from hotlap.bounded import read_bounded, told
from hotlap.errors import DataError
from hotlap.sim.camera import V1_CAMERA, CameraRenderer, PinholeCamera
from hotlap.tracks.ground import CENTER_LINE, EDGE_LINE, FIELD, GREY_WEIGHTS, ROAD, WALL, Ground, bake_ground
from hotlap.tracks.themes import THEMES, Theme
from hotlap.tracks.track import Track
from hotlap.unfinished import whole_file

Progress = Callable[[str, float], None]
"""Called with the name of the step and the share of it that is done."""

CLASSES = {"field": FIELD, "road": ROAD, "edge_line": EDGE_LINE, "center_line": CENTER_LINE, "wall": WALL}

MAX_FRAME_BYTES = 8 << 20
MAX_FRAME_PIXELS = 1 << 21  # the original's have 640 x 480

SEARCH_EVERY = 6  # frames
SEARCH_STEP = 0.06  # [m] along the track
SEARCH_SPEED = 0.48  # [m] at most in SEARCH_EVERY frames
SEARCH_OFFSETS = np.linspace(-0.4, 0.4, 9)  # [m] left of the center line
SEARCH_YAWS = np.linspace(-0.9, 0.9, 19)  # [rad] relative to it
SMALL = (40, 30)  # columns, rows
MAX_DASHES = 5  # so far the search may be wrong along the track
OUTLIER = 20.0  # [grey levels] larger differences count linearly
POSE_STEPS = np.array([0.004, 0.004, 0.006])  # [m, m, rad] for differences
"""Steps of central differences; about a pixel near the car."""


@dataclass(frozen=True)
class Setting:
    """What all frames share.

    ``margins`` are the distances [m] from the road's bounding box to the south, east, north and west wall.
    """

    camera: PinholeCamera = V1_CAMERA
    margins: tuple[float, float, float, float] = (0.91, 0.91, 0.91, 0.91)

    def to_vector(self) -> np.ndarray:
        """Height [m], pitch [rad], field of view [rad] and the margins [m]."""
        return np.array([self.camera.height_m, self.camera.pitch_rad, self.camera.hfov_rad, *self.margins])

    def from_vector(self, vector: np.ndarray) -> Setting:
        """This setting with the numbers of ``to_vector`` replaced."""
        height, pitch, hfov, *margins = map(float, vector)
        camera = replace(self.camera, height_m=height, pitch_rad=pitch, hfov_rad=hfov)
        return Setting(camera, tuple(margins))  # type: ignore[arg-type]


SETTING_STEPS = np.array([0.001, 0.003, 0.008, 0.1, 0.1, 0.1, 0.1])
WALL_HEIGHT = 2.0  # [m] of 2019: no wall's top is in any frame, though some are 6 m away


class Scenery:
    """Grounds of one track with walls at will; what is painted is baked once."""

    def __init__(self, track: Track, theme: Theme, *, texel: float | None = None) -> None:
        self.track = track
        self.ground = bake_ground(track, theme, texel=texel, field_margin=1.5)

    def with_walls(self, margins: tuple[float, float, float, float]) -> Ground:
        """The ground with walls ``margins`` (south, east, north, west) [m] away from the road's bounding box."""
        x_min, y_min, x_max, y_max = self.track.bounds
        south, east, north, west = margins
        rectangle = (x_min - west, y_min - south, x_max + east, y_max + north)
        return replace(self.ground, rectangle=rectangle, wall_height=WALL_HEIGHT)


class Eye:
    """Images from many poses."""

    def __init__(self, ground: Ground, camera: PinholeCamera, *, color: bool = False, batch: int = 256) -> None:
        self.batch = batch
        self.renderer = CameraRenderer([ground], camera, batch, "cpu", color=color)
        self.images = wp.zeros(self.renderer.image_shape, dtype=wp.uint8, device="cpu")
        self.track = wp.zeros(batch, dtype=wp.int32, device="cpu")

    def see(self, poses: np.ndarray) -> np.ndarray:
        """Images from ``poses`` (n, 3) [m, m, rad]: uint8 (n, height, width), with a last axis of 3 in color."""
        seen = []
        for start in range(0, len(poses), self.batch):
            part = poses[start : start + self.batch]
            padded = np.zeros((self.batch, 1, 3), dtype=np.float32)
            padded[: len(part), 0] = part
            active = np.arange(self.batch)[:, None] < len(part)
            self.renderer.render(
                wp.array(padded, dtype=wp.vec3, device="cpu"),
                self.track,
                wp.array(active, dtype=wp.int32, device="cpu"),
                self.images,
            )
            seen.append(self.images.numpy()[: len(part)].copy())
        return np.concatenate(seen)


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


def to_grey(images: np.ndarray) -> np.ndarray:
    """Grey levels of RGB images as float32, without the last axis."""
    return images @ np.array(GREY_WEIGHTS, dtype=np.float32)


# Search


def _without_dashes(images: np.ndarray) -> np.ndarray:
    """Green levels, with what is orange painted over like road."""
    orange = (images[..., 0] > 150) & (images[..., 2] < 110)
    return np.where(orange, 50, images[..., 1]).astype(np.float32)


def _shrink(images: np.ndarray, width: int, height: int) -> np.ndarray:
    num, rows, columns, channels = images.shape
    return images.reshape(num, height, rows // height, width, columns // width, channels).mean(axis=(2, 4))


def search_drive(
    frames: np.ndarray, scenery: Scenery, setting: Setting, progress: Progress, *, every: int = 1
) -> np.ndarray:
    """Rough poses (n, 3) of all frames, on the assumption that the car moves forward along the track."""
    camera = replace(setting.camera, width=SMALL[0], height=SMALL[1])
    eye = Eye(scenery.with_walls(setting.margins), camera, color=True, batch=1024)
    track = scenery.track
    s = np.arange(0.0, track.length, SEARCH_STEP)
    x, y, yaw = track.pose_at(s)
    net = np.stack(
        [
            np.stack([x - offset * np.sin(yaw), y + offset * np.cos(yaw), yaw + turn], axis=-1)
            for offset in SEARCH_OFFSETS
            for turn in SEARCH_YAWS
        ]
    )
    stride = max(1, SEARCH_EVERY // every)
    searched = np.unique(np.append(np.arange(0, len(frames), stride), len(frames) - 1))
    sought = _without_dashes(_shrink(frames[searched], *SMALL))
    cost = np.full((len(searched), len(s)), np.inf)
    best = np.zeros((len(searched), len(s), 3))
    for index, poses in enumerate(net):
        seen = _without_dashes(eye.see(poses))
        for frame, image in enumerate(sought):
            difference = np.abs(seen - image).mean(axis=(1, 2))
            better = difference < cost[frame]
            cost[frame, better] = difference[better]
            best[frame, better] = poses[better]
        progress("search", (index + 1) / len(net))

    # The cheapest path (Viterbi): between two frames the car moves at most SEARCH_SPEED along the track, never back.
    farthest = max(SEARCH_SPEED / SEARCH_EVERY * every * stride, 2 * SEARCH_STEP)
    moves = np.arange(round(farthest / SEARCH_STEP) + 1)
    total, arrivals = cost[0], []
    for frame_cost in cost[1:]:
        options = np.stack([np.roll(total, move) for move in moves])
        arrivals.append(options.argmin(axis=0))
        total = options.min(axis=0) + frame_cost
    place = int(total.argmin())
    path = [place]
    for arrival in reversed(arrivals):
        place = (place - moves[arrival[place]]) % len(s)
        path.append(place)
    found = best[np.arange(len(searched)), path[::-1]]
    found[:, 2] = np.unwrap(found[:, 2])
    return np.stack([np.interp(np.arange(len(frames)), searched, found[:, k]) for k in range(3)], axis=-1)


# Poses


def _blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Blurred images, thinned out as far as the blur allows, as float32 rows (n, pixels)."""
    blurred = gaussian_filter(images.astype(np.float32), (0, sigma, sigma))
    thin = max(1, int(sigma))
    return np.ascontiguousarray(blurred[:, ::thin, ::thin]).reshape(len(images), -1)


def _robust_cost(residuals: np.ndarray) -> np.ndarray:
    return (OUTLIER**2 * (np.sqrt(1.0 + (residuals / OUTLIER) ** 2) - 1.0)).mean(axis=1)


def _pose_derivatives(eye: Eye, poses: np.ndarray, sigma: float) -> np.ndarray:
    """Derivatives of blurred images by the pose, (n, pixels, 3)."""
    columns = []
    for step in np.diag(POSE_STEPS):
        ahead, behind = _blur(eye.see(poses + step), sigma), _blur(eye.see(poses - step), sigma)
        columns.append((ahead - behind) / (2.0 * step.max()))
    return np.stack(columns, axis=-1)


def fit_poses(
    grey: np.ndarray, eye: Eye, poses: np.ndarray, *, sigma: float, iterations: int
) -> tuple[np.ndarray, np.ndarray]:
    """Poses (n, 3) near ``poses`` whose images, blurred by ``sigma`` pixels, come nearest to ``grey``; and their costs.

    Levenberg-Marquardt on all frames at once, each with its own damping, differences above OUTLIER counted linearly.
    """
    poses = poses.copy()
    damping = np.full(len(poses), 1e-2)
    sought = _blur(grey, sigma)
    residuals = _blur(eye.see(poses), sigma) - sought
    cost = _robust_cost(residuals)
    for _ in range(iterations):
        slopes = _pose_derivatives(eye, poses, sigma)
        weighted = slopes / np.sqrt(1.0 + (residuals / OUTLIER) ** 2)[..., None]
        hessian = np.einsum("npi,npj->nij", weighted, slopes)
        gradient = np.einsum("npi,np->ni", weighted, residuals)
        diagonal = np.einsum("nii->ni", hessian)
        damped = hessian + (damping[:, None] * diagonal + 1e-6)[:, :, None] * np.eye(3)
        step = -np.linalg.solve(damped, gradient[..., None])[..., 0]
        tried = poses + np.clip(step, -0.1, 0.1)
        tried_residuals = _blur(eye.see(tried), sigma) - sought
        tried_cost = _robust_cost(tried_residuals)
        better = tried_cost < cost
        poses[better], residuals[better], cost[better] = tried[better], tried_residuals[better], tried_cost[better]
        damping = np.clip(np.where(better, 0.4 * damping, 6.0 * damping), 1e-5, 1e3)
    return poses, cost


def shift_along(track: Track, poses: np.ndarray, distance: float) -> np.ndarray:
    """Poses (n, 3) ``distance`` [m] farther along the track, at the same offset and angle to it."""
    s = track.project(poses[:, :2])
    here, there = track.point_at(s), track.point_at(s + distance)
    # Over a length, because from waypoint to waypoint the direction jumps by several degrees.
    yaw, ahead_yaw = (
        np.arctan2(*(track.point_at(at + 0.15) - track.point_at(at - 0.15)).T[::-1]) for at in (s, s + distance)
    )
    turn = np.arctan2(np.sin(ahead_yaw - yaw), np.cos(ahead_yaw - yaw))
    offset = poses[:, :2] - here
    return np.column_stack(
        [
            there[:, 0] + np.cos(turn) * offset[:, 0] - np.sin(turn) * offset[:, 1],
            there[:, 1] + np.sin(turn) * offset[:, 0] + np.cos(turn) * offset[:, 1],
            poses[:, 2] + turn,
        ]
    )


def fit_dashes(grey: np.ndarray, eye: Eye, poses: np.ndarray, track: Track, period: float) -> np.ndarray:
    """The better of ``poses`` and those a few dashes on or back: every dash that lies on another is a local optimum."""
    for _ in range(2):  # a frame that went astray needs a second start from where the first led
        base, costs = fit_poses(grey, eye, poses, sigma=2.0, iterations=5)
        poses = base.copy()
        for num in range(-MAX_DASHES, MAX_DASHES + 1):
            tried, tried_costs = fit_poses(grey, eye, shift_along(track, base, num * period), sigma=2.0, iterations=5)
            better = tried_costs < costs
            poses[better], costs[better] = tried[better], tried_costs[better]
    return poses


# Camera


def fit_setting(
    grey: np.ndarray, scenery: Scenery, setting: Setting, poses: np.ndarray, *, sigma: float
) -> tuple[Setting, np.ndarray]:
    """One Gauss-Newton step of the setting and the poses together, halved until it helps.

    The poses are eliminated from the normal equations (Schur complement), so the frames are visited one batch at a
    time and the system that is solved has only the setting's unknowns.
    """
    sought = _blur(grey, sigma)

    def see(one: Setting) -> np.ndarray:
        return _blur(Eye(scenery.with_walls(one.margins), one.camera).see(poses), sigma)

    vector = setting.to_vector()
    eye = Eye(scenery.with_walls(setting.margins), setting.camera)
    residuals = _blur(eye.see(poses), sigma) - sought
    weights = 1.0 / np.sqrt(1.0 + (residuals / OUTLIER) ** 2)
    by_setting = np.stack(
        [
            (see(setting.from_vector(vector + step)) - see(setting.from_vector(vector - step))) / (2.0 * step.max())
            for step in np.diag(SETTING_STEPS)
        ],
        axis=-1,
    )
    by_pose = _pose_derivatives(eye, poses, sigma)
    pose_pose = np.einsum("npi,np,npj->nij", by_pose, weights, by_pose) + 1e-6 * np.eye(3)
    pose_setting = np.einsum("npi,np,npj->nij", by_pose, weights, by_setting)
    pose_gradient = np.einsum("npi,np->ni", by_pose, weights * residuals)
    solved = np.linalg.solve(pose_pose, np.concatenate([pose_setting, pose_gradient[..., None]], axis=-1))
    eliminated = np.einsum("nij,nik->jk", pose_setting, solved)
    system = np.einsum("npi,np,npj->ij", by_setting, weights, by_setting) - eliminated[:, :-1]
    gradient = np.einsum("npi,np->i", by_setting, weights * residuals) - eliminated[:, -1]
    # Least squares leaves alone what no frame shows, such as a wall always behind the car.
    change = -np.linalg.lstsq(system, gradient, rcond=1e-9)[0]
    pose_change = -(solved[..., -1] + np.einsum("nij,j->ni", solved[..., :-1], change))
    before = _robust_cost(residuals).mean()
    for share in (1.0, 0.5, 0.25, 0.125):
        tried = setting.from_vector(vector + share * change)
        tried_poses = poses + np.clip(share * pose_change, -0.05, 0.05)
        tried_eye = Eye(scenery.with_walls(tried.margins), tried.camera)
        if _robust_cost(_blur(tried_eye.see(tried_poses), sigma) - sought).mean() < before:
            return tried, tried_poses
    return setting, poses


# Comparison

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


START = Setting(replace(V1_CAMERA, height_m=0.13, pitch_rad=0.27), (0.3, 0.3, 0.3, 0.3))
"""Where the fit begins. From the nominal height of 0.164 m the search would take wrong bends for the right ones."""
SETTING_FRAMES = 80  # at most so many frames determine the setting
BATCH = 96  # frames whose poses are refined at a time


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
    theme = THEMES["reinvent_2018"]
    grey = to_grey(frames)
    coarse = Scenery(track, theme, texel=0.005)
    poses = search_drive(frames, coarse, START, progress, every=every)

    scenery = Scenery(track, theme)
    setting = START
    chosen = np.unique(np.linspace(0, len(frames) - 1, min(len(frames), SETTING_FRAMES)).astype(int))
    some = poses[chosen]
    eye = Eye(scenery.with_walls(setting.margins), setting.camera)
    for sigma in (6.0, 3.0):
        some, _ = fit_poses(grey[chosen], eye, some, sigma=sigma, iterations=8)
    progress("dashes", 0.0)
    some = fit_dashes(grey[chosen], eye, some, track, theme.dash + theme.gap)
    progress("dashes", 1.0)
    for index in range(rounds):
        setting, some = fit_setting(grey[chosen], scenery, setting, some, sigma=2.0)
        eye = Eye(scenery.with_walls(setting.margins), setting.camera)
        some, _ = fit_poses(grey[chosen], eye, some, sigma=2.0, iterations=3)
        progress("camera", (index + 1) / rounds)

    some[:, 2] = np.unwrap(some[:, 2])
    poses = np.stack([np.interp(np.arange(len(frames)), chosen, some[:, k]) for k in range(3)], axis=-1)
    for start in range(0, len(frames), BATCH):
        part = slice(start, start + BATCH)
        for sigma in (4.0, 2.0, 1.0):
            poses[part], _ = fit_poses(grey[part], eye, poses[part], sigma=sigma, iterations=6)
        progress("poses", min(1.0, (start + BATCH) / len(frames)))

    grey_diff = np.abs(eye.see(poses) - grey).mean(axis=(1, 2))
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
    scenery = Scenery(track, THEMES["reinvent_2018"])
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

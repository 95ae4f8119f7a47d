"""Explain real camera frames: where did the car stand, and what camera did it carry?

The frames are consecutive and their poses unknown. Three steps find them:

1. *Search.* Every few frames, the images of a net of poses along the track are compared with the frame, coarsely and
   without the center line, whose dashes look alike everywhere. The cheapest path through these costs that only moves
   forward is the drive.
2. *Poses.* Every frame's pose follows by Levenberg and Marquardt's method on blurred images, from coarse to fine,
   with some tries which dash of the center line is which.
3. *Camera.* Height, pitch, field of view and the walls' distances, common to all frames, are refined together with the
   poses by Gauss and Newton's method.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache, lru_cache

import numpy as np
import warp as wp
from scipy.ndimage import gaussian_filter1d

from hotlap.sim.camera import V1_CAMERA, CameraRenderer, PinholeCamera
from hotlap.tracks.ground import GREY_WEIGHTS, Ground, bake_ground
from hotlap.tracks.themes import THEMES, Theme
from hotlap.tracks.track import Track

Progress = Callable[[str, float], None]
"""Called with the name of the step and the share of it that is done."""

THEME = "reinvent_2018"  # of the recorded track

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
    """Grounds of one track with walls at will; what is painted is baked once, and so are its blurred copies."""

    def __init__(self, track: Track, theme: Theme, *, texel: float | None = None) -> None:
        self.track = track
        self.ground = bake_ground(track, theme, texel=texel, field_margin=1.5)
        self._levels = cache(self.ground.levels)

    def with_walls(self, margins: tuple[float, float, float, float]) -> Ground:
        """The ground with walls ``margins`` (south, east, north, west) [m] away from the road's bounding box."""
        x_min, y_min, x_max, y_max = self.track.bounds
        south, east, north, west = margins
        rectangle = (x_min - west, y_min - south, x_max + east, y_max + north)
        ground = replace(self.ground, rectangle=rectangle, wall_height=WALL_HEIGHT)
        vars(ground)["levels"] = self._levels  # of the paint, which walls do not change
        return ground


@lru_cache(maxsize=1)
def finest_scenery(track: Track) -> Scenery:
    """Of the recorded track, painted as for driving; the newest is kept, as it takes seconds and a gigabyte."""
    return Scenery(track, THEMES[THEME])


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


@cache
def _blurring(size: int, sigma: float) -> np.ndarray:
    """Weights (blurred, size) of the pixels of a line in each that is left of it: thinned out as the blur allows."""
    return gaussian_filter1d(np.eye(size, dtype=np.float32), sigma, axis=0)[:: max(1, int(sigma))]


def _blur(images: np.ndarray, sigma: float) -> np.ndarray:
    """Blurred images, thinned out as far as the blur allows, as float32 rows (n, pixels)."""
    down, across = (_blurring(size, sigma) for size in images.shape[1:])
    return (down @ images.astype(np.float32) @ across.T).reshape(len(images), -1)


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


# All together

START = Setting(replace(V1_CAMERA, height_m=0.13, pitch_rad=0.27), (0.3, 0.3, 0.3, 0.3))
"""Where the fit begins. From the nominal height of 0.164 m the search would take wrong bends for the right ones."""
SETTING_FRAMES = 80  # at most so many frames determine the setting
BATCH = 96  # frames whose poses are refined at a time


def fit_camera(
    frames: np.ndarray, track: Track, *, every: int = 1, rounds: int = 3, progress: Progress
) -> tuple[Setting, np.ndarray]:
    """What all frames share, and the pose of each, (n, 3) of base_link [m, m, rad].

    Args:
        frames: Consecutive, (n, 120, 160, 3), uint8.
        track: Where they were taken.
        every: Every how many frames of the recording these are.
        rounds: Gauss-Newton steps of the setting.
        progress: Told what is going on.
    """
    theme = THEMES[THEME]
    grey = to_grey(frames)
    coarse = Scenery(track, theme, texel=0.005)
    poses = search_drive(frames, coarse, START, progress, every=every)

    scenery = finest_scenery(track)
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
    return setting, poses

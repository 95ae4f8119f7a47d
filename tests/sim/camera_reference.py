"""A slow, plain camera to compare with: the original's 640×480 image and finer, ray by ray in float64."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from PIL import Image

from hotlap.sim.camera import PinholeCamera
from hotlap.tracks.ground import GREY_WEIGHTS, Ground


@dataclass(frozen=True)
class BoxReference:
    """An upright box: middle and heading of its footprint, measures [m], colors of front, left, back, right, top."""

    x: float
    y: float
    yaw: float
    half_length: float
    half_width: float
    bottom: float
    top: float
    colors: np.ndarray

    def hits(self, eye: np.ndarray, direction: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Where rays from ``eye`` (3,) enter, as multiples of ``direction`` (3, ...) or infinity; and by which face."""
        c, s = np.cos(self.yaw), np.sin(self.yaw)
        turn = np.array([[c, s, 0.0], [-s, c, 0.0], [0.0, 0.0, 1.0]])
        start, along = turn @ (eye - [self.x, self.y, 0.0]), np.tensordot(turn, direction, axes=1)
        low = np.array([-self.half_length, -self.half_width, self.bottom]) - start
        high = np.array([self.half_length, self.half_width, self.top]) - start
        with np.errstate(divide="ignore"):
            one, other = (bound.reshape(3, *[1] * (along.ndim - 1)) / along for bound in (low, high))
        enter, leave = np.minimum(one, other), np.maximum(one, other)
        first, last = enter.max(axis=0), leave.min(axis=0)
        axis = np.where(enter[0] == first, 0, np.where(enter[1] == first, 1, 2))
        face = np.where(axis == 0, np.where(along[0] < 0, 0, 2), np.where(along[1] < 0, 1, 3))
        return np.where((first < last) & (first > 0), first, np.inf), np.where(axis == 2, 4, face)


def trace(
    ground: Ground,
    camera: PinholeCamera,
    x: float,
    y: float,
    yaw: float,
    *,
    fineness: int,
    boxes: Sequence[BoxReference] = (),
) -> np.ndarray:
    """Colors where ``fineness`` by ``fineness`` rays per pixel end, float64 (height, width, 3) of the finer image."""
    width, height = camera.width * fineness, camera.height * fineness
    focal = camera.focal_px * fineness
    right = (np.arange(width) + 0.5 - width / 2) / focal
    low = (np.arange(height) + 0.5 - height / 2) / focal
    right, low = np.meshgrid(right, low)
    ahead = np.cos(camera.pitch_rad) - low * np.sin(camera.pitch_rad)
    down = np.sin(camera.pitch_rad) + low * np.cos(camera.pitch_rad)
    dir_x = ahead * np.cos(yaw) + right * np.sin(yaw)
    dir_y = ahead * np.sin(yaw) - right * np.cos(yaw)
    eye_x = x + camera.forward_m * np.cos(yaw)
    eye_y = y + camera.forward_m * np.sin(yaw)

    x_min, y_min, x_max, y_max = ground.rectangle
    with np.errstate(divide="ignore"):
        to_ground = np.where(down > 0.0, camera.height_m / down, np.inf)
        to_x = np.where(dir_x > 0.0, x_max - eye_x, x_min - eye_x) / dir_x
        to_y = np.where(dir_y > 0.0, y_max - eye_y, y_min - eye_y) / dir_y
    to_wall = np.minimum(to_x, to_y)
    wall = np.where(to_y < to_x, np.where(dir_y > 0.0, 2, 0), np.where(dir_x > 0.0, 1, 3))
    image = ground.wall_colors[wall]
    image[camera.height_m - to_wall * down > ground.wall_height] = ground.sky
    on_ground = to_ground < to_wall
    column = ((eye_x + (to_ground * dir_x)[on_ground] - ground.origin[0]) / ground.texel).astype(int)
    row = ((eye_y + (to_ground * dir_y)[on_ground] - ground.origin[1]) / ground.texel).astype(int)
    image[on_ground] = ground.rgb[row, column]
    nearest = np.minimum(to_ground, to_wall)
    direction = np.stack([dir_x, dir_y, -down])
    for box in boxes:
        to_box, face = box.hits(np.array([eye_x, eye_y, camera.height_m]), direction)
        seen = to_box < nearest
        image[seen] = box.colors[face[seen]]
        nearest = np.minimum(nearest, to_box)
    return image


def photograph(
    ground: Ground,
    camera: PinholeCamera,
    x: float,
    y: float,
    yaw: float,
    boxes: Sequence[BoxReference] = (),
) -> np.ndarray:
    """What the original's pipeline makes of it: 4 times the size, antialiased, then reduced by Pillow; uint8 RGB."""
    finer, rays = 4, 2
    traced = trace(ground, camera, x, y, yaw, fineness=finer * rays, boxes=boxes)
    pixels = traced.reshape(finer * camera.height, rays, finer * camera.width, rays, 3).mean(axis=(1, 3))
    image = Image.fromarray(np.round(pixels).astype(np.uint8))
    return np.asarray(image.resize((camera.width, camera.height), Image.Resampling.BILINEAR))


def to_grey(image: np.ndarray) -> np.ndarray:
    """Grey of an RGB image, float64."""
    return image @ np.array(GREY_WEIGHTS)

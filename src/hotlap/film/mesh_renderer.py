"""Paints bodies of triangles and their soft shadows over a camera's picture of the ground.

For a few small bodies in one picture, whose edges must look smooth: every pixel is the mean of 4 × 4 samples, each of
which knows the nearest triangle. Always on the CPU, in one thread, so that equal scenes give equal bytes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import no_type_check

import numpy as np
import warp as wp

from hotlap.film.mesh import Mesh, join
from hotlap.sim.camera import PinholeCamera
from hotlap.sim.light import LAMP_HEIGHT, SUN_FROM, Light, brightness

wp.set_module_options({"enable_backward": False})

SAMPLES = wp.constant(4)  # per pixel and direction
BAND = 16  # rows of pixels that are worked on at a time: their samples stay in the cache
NEAR = wp.constant(0.1)  # [m] nothing nearer is drawn
SHADOW = wp.constant(0.5)  # share of the light that is lacking beneath a body
SOFTNESS = wp.constant(0.05)  # [m] width of a shadow's edge, to either side
HIGHLIGHT = 40.0  # exponent: the larger, the smaller the sun's mirror image


@wp.struct
class _Eye:
    x: float
    y: float
    height: float
    cos_yaw: float
    sin_yaw: float
    cos_pitch: float
    sin_pitch: float
    focal: float
    middle_column: float
    middle_row: float


@wp.struct
class Placement:
    """Where a body stands [m, rad], what its colors are multiplied with, and how opaque it is, 0 to 1."""

    x: float
    y: float
    yaw: float
    opacity: float
    tint: wp.vec3


@wp.struct
class Footprint:
    """What casts a shadow: a rectangle on the ground [m, rad], and the height of the body over it [m]."""

    x: float
    y: float
    yaw: float
    half_length: float
    half_width: float
    height: float
    opacity: float


# Warp turns the classes into its own struct type, which type checkers cannot see.
PLACEMENT_DTYPE = np.dtype(Placement.numpy_dtype())  # type: ignore[attr-defined]
FOOTPRINT_DTYPE = np.dtype(Footprint.numpy_dtype())  # type: ignore[attr-defined]


@wp.func
@no_type_check
def _seen_at(eye: _Eye, x: float, y: float, z: float) -> wp.vec3:
    """Column, row and one over the distance along the view axis [1/m], which is 0 where a point is too near."""
    dx = x - eye.x
    dy = y - eye.y
    up = z - eye.height
    ahead = dx * eye.cos_yaw + dy * eye.sin_yaw
    left = dy * eye.cos_yaw - dx * eye.sin_yaw
    depth = ahead * eye.cos_pitch - up * eye.sin_pitch
    if depth < NEAR:
        return wp.vec3(0.0, 0.0, 0.0)
    down = -(up * eye.cos_pitch + ahead * eye.sin_pitch)
    return wp.vec3(eye.middle_column - eye.focal * left / depth, eye.middle_row + eye.focal * down / depth, 1.0 / depth)


@wp.kernel
@no_type_check
def _cast_shadows(
    # In:
    eye: _Eye,
    footprints: wp.array(dtype=Footprint),
    # In and out:
    image: wp.array3d(dtype=wp.uint8),
):
    for number in range(footprints.shape[0]):
        body = footprints[number]
        c = wp.cos(body.yaw)
        s = wp.sin(body.yaw)
        # The middle of the body stands for all of it.
        aside = 0.5 * body.height / SUN_FROM[2]
        x = body.x - aside * SUN_FROM[0]
        y = body.y - aside * SUN_FROM[1]
        left = float(image.shape[1])
        right = float(0.0)
        top = float(image.shape[0])
        bottom = float(0.0)
        is_near = int(0)
        for corner in range(4):
            along = wp.where(corner < 2, 1.0, -1.0) * (body.half_length + SOFTNESS)
            across = wp.where(corner == 1 or corner == 2, 1.0, -1.0) * (body.half_width + SOFTNESS)
            seen = _seen_at(eye, x + c * along - s * across, y + s * along + c * across, 0.0)
            if seen[2] == 0.0:
                is_near = 1
            left = wp.min(left, seen[0])
            right = wp.max(right, seen[0])
            top = wp.min(top, seen[1])
            bottom = wp.max(bottom, seen[1])
        if is_near != 0:
            continue
        for row in range(int(wp.max(top, 0.0)), wp.min(int(bottom) + 1, image.shape[0])):
            tangent = (float(row) + 0.5 - eye.middle_row) / eye.focal
            drop = eye.sin_pitch + tangent * eye.cos_pitch
            if drop < 1.0e-3:
                continue
            reach = eye.height / drop
            ahead = (eye.cos_pitch - tangent * eye.sin_pitch) * reach
            for column in range(int(wp.max(left, 0.0)), wp.min(int(right) + 1, image.shape[1])):
                leftward = (eye.middle_column - float(column) - 0.5) / eye.focal * reach
                dx = eye.x + ahead * eye.cos_yaw - leftward * eye.sin_yaw - x
                dy = eye.y + ahead * eye.sin_yaw + leftward * eye.cos_yaw - y
                beyond_x = wp.abs(dx * c + dy * s) - body.half_length
                beyond_y = wp.abs(dy * c - dx * s) - body.half_width
                outside = wp.length(wp.vec2(wp.max(beyond_x, 0.0), wp.max(beyond_y, 0.0)))
                distance = outside + wp.min(wp.max(beyond_x, beyond_y), 0.0)
                share = 1.0 - SHADOW * body.opacity * (1.0 - wp.smoothstep(-SOFTNESS, SOFTNESS, distance))
                for channel in range(3):
                    value = share * float(image[row, column, channel])
                    image[row, column, channel] = wp.uint8(value + 0.5)


@wp.kernel
@no_type_check
def _project(
    # Model:
    corners: wp.array(dtype=wp.vec3),
    normals: wp.array(dtype=wp.vec3),
    colors: wp.array(dtype=wp.vec3),
    gloss: wp.array(dtype=float),
    bodies: wp.array(dtype=int),
    # In:
    eye: _Eye,
    lights: wp.array(dtype=Light),
    placements: wp.array(dtype=Placement),
    # Out:
    seen_out: wp.array(dtype=wp.vec3),
    shades_out: wp.array(dtype=wp.vec4),
):
    k = wp.tid()
    triangle = k // 3
    body = placements[bodies[triangle]]
    c = wp.cos(body.yaw)
    s = wp.sin(body.yaw)
    p = corners[k]
    place = wp.vec3(body.x + c * p[0] - s * p[1], body.y + s * p[0] + c * p[1], p[2])
    n = normals[k]
    normal = wp.vec3(c * n[0] - s * n[1], s * n[0] + c * n[1], n[2])
    seen_out[k] = _seen_at(eye, place[0], place[1], place[2])
    to_lamp = wp.normalize(wp.vec3(0.0, 0.0, LAMP_HEIGHT) - place)
    color = wp.cw_mul(wp.cw_mul(colors[triangle], body.tint), brightness(lights[0], normal, to_lamp))
    to_eye = wp.normalize(wp.vec3(eye.x, eye.y, eye.height) - place)
    mirrored = wp.max(wp.dot(normal, wp.normalize(to_eye + SUN_FROM)), 0.0)
    color += 255.0 * gloss[triangle] * wp.pow(mirrored, HIGHLIGHT) * lights[0].sun
    for channel in range(3):
        color[channel] = body.opacity * wp.min(color[channel], 255.0)
    shades_out[k] = wp.vec4(color[0], color[1], color[2], body.opacity)


@wp.kernel
@no_type_check
def _paint(
    # In:
    seen: wp.array(dtype=wp.vec3),
    shades: wp.array(dtype=wp.vec4),
    # Workspace:
    nearness: wp.array2d(dtype=float),
    samples: wp.array2d(dtype=wp.vec4),
    # In and out:
    image: wp.array3d(dtype=wp.uint8),
):
    num_triangles = seen.shape[0] // 3
    rows = nearness.shape[0]
    columns = nearness.shape[1]
    per_pixel = float(SAMPLES)
    num_bands = (SAMPLES * image.shape[0] + rows - 1) // rows
    for band in range(num_bands):
        first_row = band * rows
        band_left = int(columns)
        band_right = int(0)
        for t in range(num_triangles):
            a = seen[3 * t]
            b = seen[3 * t + 1]
            c = seen[3 * t + 2]
            low = per_pixel * wp.min(a[1], wp.min(b[1], c[1])) - float(first_row)
            high = per_pixel * wp.max(a[1], wp.max(b[1], c[1])) - float(first_row)
            if a[2] > 0.0 and b[2] > 0.0 and c[2] > 0.0 and high > 0.0 and low < float(rows):
                left = wp.clamp(per_pixel * wp.min(a[0], wp.min(b[0], c[0])), 0.0, float(columns))
                right = wp.clamp(per_pixel * wp.max(a[0], wp.max(b[0], c[0])) + 1.0, 0.0, float(columns))
                band_left = wp.min(band_left, int(left))
                band_right = wp.max(band_right, int(right))
        if band_left >= band_right:
            continue
        band_left = band_left - band_left % SAMPLES
        band_right = band_right + (SAMPLES - band_right % SAMPLES) % SAMPLES
        for row in range(rows):
            for column in range(band_left, band_right):
                nearness[row, column] = 0.0
                samples[row, column] = wp.vec4(0.0, 0.0, 0.0, 0.0)
        for t in range(num_triangles):
            a = seen[3 * t]
            b = seen[3 * t + 1]
            c = seen[3 * t + 2]
            if a[2] == 0.0 or b[2] == 0.0 or c[2] == 0.0:
                continue
            ax = per_pixel * a[0] - 0.5
            bx = per_pixel * b[0] - 0.5
            cx = per_pixel * c[0] - 0.5
            ay = per_pixel * a[1] - 0.5 - float(first_row)
            by = per_pixel * b[1] - 0.5 - float(first_row)
            cy = per_pixel * c[1] - 0.5 - float(first_row)
            area = (bx - ax) * (cy - ay) - (cx - ax) * (by - ay)
            if wp.abs(area) < 1.0e-6:
                continue
            top = wp.clamp(wp.ceil(wp.min(ay, wp.min(by, cy))), 0.0, float(rows))
            bottom = wp.clamp(wp.floor(wp.max(ay, wp.max(by, cy))) + 1.0, 0.0, float(rows))
            left = wp.clamp(wp.ceil(wp.min(ax, wp.min(bx, cx))), 0.0, float(columns))
            right = wp.clamp(wp.floor(wp.max(ax, wp.max(bx, cx))) + 1.0, 0.0, float(columns))
            for row in range(int(top), int(bottom)):
                y = float(row)
                for column in range(int(left), int(right)):
                    x = float(column)
                    share_a = ((bx - x) * (cy - y) - (cx - x) * (by - y)) / area
                    share_b = ((cx - x) * (ay - y) - (ax - x) * (cy - y)) / area
                    share_c = 1.0 - share_a - share_b
                    if share_a >= 0.0 and share_b >= 0.0 and share_c >= 0.0:
                        near = share_a * a[2] + share_b * b[2] + share_c * c[2]
                        if near > nearness[row, column]:
                            nearness[row, column] = near
                            shade = share_a * shades[3 * t] + share_b * shades[3 * t + 1]
                            samples[row, column] = shade + share_c * shades[3 * t + 2]
        # The samples' colors hold their opacity already.
        for row in range(first_row // SAMPLES, wp.min((first_row + rows) // SAMPLES, image.shape[0])):
            for column in range(band_left // SAMPLES, band_right // SAMPLES):
                total = wp.vec4(0.0, 0.0, 0.0, 0.0)
                for k in range(SAMPLES * SAMPLES):
                    total += samples[row * SAMPLES - first_row + k // SAMPLES, column * SAMPLES + k % SAMPLES]
                if total[3] > 0.0:
                    total = total / (per_pixel * per_pixel)
                    for channel in range(3):
                        value = (1.0 - total[3]) * float(image[row, column, channel]) + total[channel]
                        image[row, column, channel] = wp.uint8(wp.min(value + 0.5, 255.0))


class MeshRenderer:
    """Paints a fixed set of bodies, wherever they are, into one camera's pictures.

    Args:
        camera: Its height and pitch, and how large its pictures are; where it stands is said with each picture.
        bodies: What there may be to see.
    """

    def __init__(self, camera: PinholeCamera, bodies: Sequence[Mesh]) -> None:
        self.camera = camera
        mesh = join(*bodies)
        numbers = np.repeat(np.arange(len(bodies)), [len(body) for body in bodies])
        self._model = [
            _array(mesh.corners.reshape(-1, 3), wp.vec3),
            _array(mesh.normals.reshape(-1, 3), wp.vec3),
            _array(mesh.colors, wp.vec3),
            _array(mesh.gloss, wp.float32),
            _array(numbers, wp.int32),
        ]
        self._num_corners = 3 * len(mesh)
        self._seen = wp.zeros(self._num_corners, dtype=wp.vec3, device="cpu")
        self._shades = wp.zeros(self._num_corners, dtype=wp.vec4, device="cpu")
        shape = (int(SAMPLES) * BAND, int(SAMPLES) * camera.width)
        self._nearness = wp.zeros(shape, dtype=wp.float32, device="cpu")
        self._samples = wp.zeros(shape, dtype=wp.vec4, device="cpu")

    def paint(
        self,
        image: np.ndarray,
        pose: tuple[float, float, float],
        light: np.ndarray,
        placements: np.ndarray,
        footprints: np.ndarray,
    ) -> None:
        """Add shadows and bodies to a picture.

        Args:
            image: The picture so far, uint8 (height, width, 3), contiguous; it is changed.
            pose: Of the camera: x, y [m], yaw [rad].
            light: ``Light`` of the world, shape ().
            placements: ``Placement`` of every body, in one row.
            footprints: ``Footprint`` of what casts shadows, (n,).
        """
        camera, (x, y, yaw) = self.camera, pose
        eye = _Eye()
        eye.x, eye.y, eye.height = x, y, camera.height_m
        eye.cos_yaw, eye.sin_yaw = float(np.cos(yaw)), float(np.sin(yaw))
        eye.cos_pitch, eye.sin_pitch = float(np.cos(camera.pitch_rad)), float(np.sin(camera.pitch_rad))
        eye.focal, eye.middle_column, eye.middle_row = camera.focal_px, 0.5 * camera.width, 0.5 * camera.height
        out: wp.array = wp.array(image, dtype=wp.uint8, device="cpu", copy=False)
        wp.launch(_cast_shadows, dim=1, inputs=[eye, _array(footprints, Footprint)], outputs=[out], device="cpu")
        wp.launch(
            _project,
            dim=self._num_corners,
            inputs=[*self._model, eye, _array(light[None], Light), _array(placements, Placement)],
            outputs=[self._seen, self._shades],
            device="cpu",
        )
        work = [self._nearness, self._samples]
        wp.launch(_paint, dim=1, inputs=[self._seen, self._shades, *work], outputs=[out], device="cpu")


def _array(values: np.ndarray, dtype: type) -> wp.array:
    return wp.array(values, dtype=dtype, device="cpu")

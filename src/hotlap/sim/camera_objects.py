"""Cameras that see the objects on the track too: their boxes are painted over the picture of ground, walls and sky.

Nothing of that picture is ever in front of an object. Boxes stand upright, so in a row of rays everything is flat: the
rays meet a side of a box, cut off where they pass over or under it, on a straight stretch of it. It covers columns side
by side, and one over its depth is linear in the column. Each column keeps the nearest stretch, so boxes hide one
another wherever they are, even inside each other.

A pixel has as many rows of rays as where a wall is seen; its color is mixed from those that hit a box and what the
picture had.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, no_type_check

import numpy as np
import warp as wp

from hotlap.sim.camera import GROUND, HORIZON, WALL_COUNT, CameraRenderer, Lens, PinholeCamera, Ray, View
from hotlap.sim.light import DAYLIGHT, LAMP_HEIGHT, Light, brightness
from hotlap.sim.objects import Box, RaceObject
from hotlap.tracks.ground import GREY_WEIGHTS, Ground

wp.set_module_options({"enable_backward": False})

NEAR = wp.constant(0.02)  # [m] nothing nearer is drawn
ROW_MARGIN = wp.constant(2.0)  # rows around a pixel that its rays may be in, and one for rounding
NUM_FACES = wp.constant(5)  # front, left, back, right, top


@wp.struct
class _BoxShape:
    """A box in the frame of its object [m]."""

    number: int
    ahead: float
    half_length: float
    half_width: float
    bottom: float
    top: float


@wp.struct
class _Side:
    """A side of a box that faces the camera, in the camera's frame [m], from its left to its right end.

    Rows from ``first_row`` to ``end_row`` may see it. Heights are over the camera. The slopes (leftward over ahead) are
    those of the rays to its ends. On the straight line through it, one over the distance ahead is ``at_zero`` plus
    ``per_slope`` times the slope.
    """

    first_row: int
    end_row: int
    face: int
    bottom: float
    top: float
    ahead: float
    left: float
    d_ahead: float
    d_left: float
    nearest: float
    farthest: float
    left_slope: float
    right_slope: float
    at_zero: float
    per_slope: float


@wp.struct
class _Lid:
    """The top of a box that the camera looks down on, like a side; its corners go around."""

    first_row: int
    end_row: int
    face: int
    top: float
    ahead: wp.vec4
    left: wp.vec4


@wp.func
@no_type_check
def _face_normal(face: int, yaw: float) -> wp.vec3:
    if face == 4:
        return wp.vec3(0.0, 0.0, 1.0)
    angle = yaw + 0.5 * wp.pi * float(face)
    return wp.vec3(wp.cos(angle), wp.sin(angle), 0.0)


@wp.func
@no_type_check
def _rows_of(lens: Lens, rows: wp.vec2, ahead: float, height: float) -> wp.vec2:
    """Rows from ``rows[0]`` to ``rows[1]``, widened to the one where a point is so far ahead and over the camera."""
    depth = ahead * lens.cos_pitch - height * lens.sin_pitch
    if depth <= NEAR:  # how far what lies beside or behind the camera reaches in the picture is not worth finding out
        return wp.vec2(0.0, float(lens.height))
    tangent = -(height * lens.cos_pitch + ahead * lens.sin_pitch) / depth
    row = tangent * lens.focal + 0.5 * float(lens.height) - 0.5
    return wp.vec2(wp.min(rows[0], row), wp.max(rows[1], row))


@wp.func
@no_type_check
def _first_row(lens: Lens, rows: wp.vec2) -> int:
    return int(wp.clamp(rows[0] - ROW_MARGIN, 0.0, float(lens.height)))


@wp.func
@no_type_check
def _end_row(lens: Lens, rows: wp.vec2) -> int:
    return int(wp.clamp(rows[1] + ROW_MARGIN + 1.0, 0.0, float(lens.height)))


@wp.kernel
@no_type_check
def _set_up_boxes(
    # Model:
    lens: Lens,
    shapes: wp.array(dtype=_BoxShape),
    grey_weights: wp.vec3,
    # State in:
    objects: wp.array2d(dtype=RaceObject),
    box_colors: wp.array2d(dtype=wp.vec3),
    lights: wp.array(dtype=Light),
    # In:
    views: wp.array2d(dtype=View),
    # Out:
    sides_out: wp.array2d(dtype=_Side),
    lids_out: wp.array2d(dtype=_Lid),
    face_colors_out: wp.array3d(dtype=wp.uint16),
):
    w, c, k = wp.tid()
    image = w * views.shape[1] + c
    view = views[w, c]
    if view.track < 0:
        return
    shape = shapes[k]
    item = objects[w, shape.number]
    cos_yaw = wp.cos(item.yaw)
    sin_yaw = wp.sin(item.yaw)
    bottom = shape.bottom - lens.elevation
    top = shape.top - lens.elevation
    lid = _Lid()
    lid.face = NUM_FACES * k + 4
    lid.top = top
    lid_rows = wp.vec2(1.0e9, -1.0e9)
    farthest = float(-1.0e9)
    for corner in range(4):
        along = shape.ahead + wp.where(corner < 2, shape.half_length, -shape.half_length)
        across = wp.where(corner == 1 or corner == 2, shape.half_width, -shape.half_width)
        dx = item.x + cos_yaw * along - sin_yaw * across - view.x
        dy = item.y + sin_yaw * along + cos_yaw * across - view.y
        ahead = dx * view.cos_yaw + dy * view.sin_yaw
        lid.ahead[corner] = ahead
        lid.left[corner] = dy * view.cos_yaw - dx * view.sin_yaw
        lid_rows = _rows_of(lens, lid_rows, ahead, top)
        farthest = wp.max(farthest, ahead)
    if top < 0.0 and farthest > NEAR:
        lid.first_row = _first_row(lens, lid_rows)
        lid.end_row = _end_row(lens, lid_rows)
    lids_out[image, k] = lid

    num_sides = int(0)  # of the two that may face the camera
    for face in range(4):
        side = _Side()
        side.face = NUM_FACES * k + face
        side.bottom = bottom
        side.top = top
        side.ahead = lid.ahead[face]
        side.left = lid.left[face]
        side.d_ahead = lid.ahead[(face + 1) % 4] - side.ahead
        side.d_left = lid.left[(face + 1) % 4] - side.left
        side.nearest = wp.min(side.ahead, side.ahead + side.d_ahead)
        side.farthest = wp.max(side.ahead, side.ahead + side.d_ahead)
        offset = side.d_left * side.ahead - side.d_ahead * side.left
        # Seen from the side, or through the box, it has no width; rays to what lies behind the camera have no slope.
        if offset < -1.0e-6 and side.farthest > NEAR and num_sides < 2:
            rows = wp.vec2(1.0e9, -1.0e9)
            for end in range(2):
                height = wp.where(end == 0, bottom, top)
                rows = _rows_of(lens, rows, side.ahead, height)
                rows = _rows_of(lens, rows, side.ahead + side.d_ahead, height)
            side.first_row = _first_row(lens, rows)
            side.end_row = _end_row(lens, rows)
            side.left_slope = side.left / wp.max(side.ahead, NEAR)
            side.right_slope = (side.left + side.d_left) / wp.max(side.ahead + side.d_ahead, NEAR)
            side.at_zero = side.d_left / offset
            side.per_slope = -side.d_ahead / offset
            sides_out[image, 2 * k + num_sides] = side
            num_sides += 1
    for rest in range(num_sides, 2):
        sides_out[image, 2 * k + rest] = _Side()

    to_lamp = wp.normalize(wp.vec3(-item.x, -item.y, LAMP_HEIGHT))
    for face in range(5):
        share = brightness(lights[w], _face_normal(face, item.yaw), to_lamp)
        color = wp.cw_mul(box_colors[w, k], share)
        if face_colors_out.shape[2] == 1:
            face_colors_out[image, NUM_FACES * k + face, 0] = wp.uint16(wp.dot(grey_weights, color) + 0.5)
        else:
            for channel in range(3):
                face_colors_out[image, NUM_FACES * k + face, channel] = wp.uint16(color[channel] + 0.5)


def _make_column_loops(channels: int, max_columns: int) -> tuple[Any, Any, Any]:
    """Loops over columns, native for the same reason as those of the ground.

    Returns:
        Fill the columns that a stretch covers, where nothing nearer is; add up what is nearest, and forget it; mix the
        sums into the image, and forget them.
    """
    take = " ".join(
        f"seen[i + {k * max_columns}] = nearer ? color{k} : seen[i + {k * max_columns}];" for k in range(channels)
    )
    colors = " ".join(
        f"const int32_t color{k} = colors.data[(number * colors.shape[1] + face) * {channels} + {k}];"
        for k in range(channels)
    )

    @wp.func_native(f"""
        float* __restrict__ nearest = nearness.data;
        int32_t* __restrict__ seen = values.data;
        {colors}
        _Pragma("clang loop vectorize(assume_safety)")
        for (int i = start; i < end; ++i) {{
            const float here = at_zero + (float)i * per_column;
            const bool nearer = here > nearest[i];
            {take}
            nearest[i] = nearer ? here : nearest[i];
        }}
    """)
    @no_type_check
    def fill(
        nearness: wp.array(dtype=wp.float32),
        values: wp.array(dtype=wp.int32),
        start: int,
        end: int,
        at_zero: float,
        per_column: float,
        colors: wp.array3d(dtype=wp.uint16),
        number: int,
        face: int,
    ): ...

    add = " ".join(
        f"sum[i + {k}] += seen[i + {k}]; seen[i + {k}] = 0;" for k in range(0, channels * max_columns, max_columns)
    )

    @wp.func_native(f"""
        float* __restrict__ nearest = nearness.data;
        int32_t* __restrict__ seen = values.data;
        int32_t* __restrict__ sum = sums.data;
        int32_t* __restrict__ hits = covered.data;
        _Pragma("clang loop vectorize(assume_safety)")
        for (int i = start; i < end; ++i) {{
            hits[i] += nearest[i] > 0.0f ? 1 : 0;
            nearest[i] = 0.0f;
            {add}
        }}
    """)
    @no_type_check
    def add_up(
        nearness: wp.array(dtype=wp.float32),
        values: wp.array(dtype=wp.int32),
        start: int,
        end: int,
        sums: wp.array(dtype=wp.int32),
        covered: wp.array(dtype=wp.int32),
    ): ...

    mix_pixel = " ".join(
        f"p = {channels} * i + {k}; q = i + {k * max_columns};"
        " pixel[p] = (uint8_t)((open * pixel[p] + sum[q] + half) >> count_log2); sum[q] = 0;"
        for k in range(channels)
    )

    @wp.func_native(f"""
        uint8_t* __restrict__ pixel =
            (uint8_t*)image.data + number * image.strides[0] + row * image.strides[1] + {channels} * first;
        int32_t* __restrict__ sum = sums.data;
        int32_t* __restrict__ hits = covered.data;
        const int half = (1 << count_log2) >> 1;
        int p, q;
        for (int i = start; i < end; ++i) {{
            const int open = (1 << count_log2) - hits[i];
            hits[i] = 0;
            {mix_pixel}
        }}
    """)
    @no_type_check
    def mix(
        sums: wp.array(dtype=wp.int32),
        covered: wp.array(dtype=wp.int32),
        count_log2: int,
        start: int,
        end: int,
        number: int,
        row: int,
        first: int,
        image: wp.array3d(dtype=wp.uint8),
    ): ...

    return fill, add_up, mix


@wp.func
@no_type_check
def _seen_slopes(side: _Side, drop: float) -> wp.vec2:
    """Slopes of the rays to the ends of the part of a side that is met by rays falling by ``drop`` per distance ahead.

    They are equal where there is none.
    """
    # Between these distances the rays are at the side's heights.
    begin = float(NEAR)
    end = float(1.0e6)
    if drop > 1.0e-6:
        begin = wp.max(-side.top / drop, NEAR)
        end = -side.bottom / drop
    elif drop < -1.0e-6:
        begin = wp.max(-side.bottom / drop, NEAR)
        end = -side.top / drop
    elif side.bottom > 0.0 or side.top < 0.0:
        end = 0.0
    if begin <= side.nearest and side.farthest <= end:
        return wp.vec2(side.left_slope, side.right_slope)
    if begin >= side.farthest or side.nearest >= end:
        return wp.vec2(0.0, 0.0)
    # Neither nearest nor farthest are within, so they differ.
    one = (begin - side.ahead) / side.d_ahead
    other = (end - side.ahead) / side.d_ahead
    left = wp.max(wp.min(one, other), 0.0)
    right = wp.min(wp.max(one, other), 1.0)
    return wp.vec2(
        (side.left + left * side.d_left) / (side.ahead + left * side.d_ahead),
        (side.left + right * side.d_left) / (side.ahead + right * side.d_ahead),
    )


@wp.func
@no_type_check
def _across_lid(lid: _Lid, ahead: float) -> wp.vec2:
    """Slopes of the rays to the left and right end of the line across a lid so far ahead; equal where there is none."""
    high = float(-1.0e9)
    low = float(1.0e9)
    for corner in range(4):
        start = lid.ahead[corner]
        end = lid.ahead[(corner + 1) % 4]
        if (start < ahead) != (end < ahead):
            share = (ahead - start) / (end - start)
            left = lid.left[corner] + share * (lid.left[(corner + 1) % 4] - lid.left[corner])
            high = wp.max(high, left)
            low = wp.min(low, left)
    if high < low:
        return wp.vec2(0.0, 0.0)
    return wp.vec2(high / ahead, low / ahead)


@wp.func
@no_type_check
def _column(ray: Ray, column: float, slope: float, columns: int) -> int:
    """The first column right of a slope; ``column`` is the ray's offset from the columns' numbers."""
    return int(wp.clamp(wp.ceil(-column - slope * ray.columns_per_slope), 0.0, float(columns)))


def _make_paint(channels: int, max_columns: int) -> Any:
    """The kernel for images of one channel or three, painted in pieces of at most ``max_columns`` columns."""
    num_sums = channels * max_columns
    fill, add_up, mix = _make_column_loops(channels, max_columns)

    @wp.kernel(module="unique", enable_backward=False)
    @no_type_check
    def paint(
        # Model:
        lens: Lens,
        rays: wp.array2d(dtype=Ray),
        # In:
        views: wp.array(dtype=View),
        sides: wp.array2d(dtype=_Side),
        lids: wp.array2d(dtype=_Lid),
        colors: wp.array3d(dtype=wp.uint16),
        rows_each: int,
        # In and out:
        image: wp.array3d(dtype=wp.uint8),
    ):
        number, part, piece = wp.tid()
        if views[number].track < 0:
            return
        first = piece * wp.static(max_columns)
        columns = wp.min(lens.width - first, wp.static(max_columns))
        sums = wp.zeros(shape=wp.static(num_sums), dtype=wp.int32)
        covered = wp.zeros(shape=wp.static(max_columns), dtype=wp.int32)
        values = wp.zeros(shape=wp.static(num_sums), dtype=wp.int32)
        nearness = wp.zeros(shape=wp.static(max_columns), dtype=wp.float32)
        first_row = int(lens.height)
        end_row = int(0)
        for k in range(sides.shape[1]):
            if sides[number, k].end_row > 0:
                first_row = wp.min(first_row, sides[number, k].first_row)
                end_row = wp.max(end_row, sides[number, k].end_row)
        for k in range(lids.shape[1]):
            if lids[number, k].end_row > 0:
                first_row = wp.min(first_row, lids[number, k].first_row)
                end_row = wp.max(end_row, lids[number, k].end_row)
        num_rays = int(1) << WALL_COUNT  # a variable, or Warp unrolls the loop
        for row in range(wp.max(part * rows_each, first_row), wp.min((part + 1) * rows_each, end_row)):
            row_start = int(columns)
            row_end = int(0)
            for r in range(num_rays):
                ray = rays[row, num_rays - 1 + r]
                if ray.columns_per_slope < 1.0e-3:  # looks straight down, or back
                    continue
                drop = wp.where(ray.plane == GROUND, 1.0, -1.0) / wp.max(ray.ahead, 1.0e-9)
                if ray.plane == HORIZON:
                    drop = 0.0
                column = ray.column + float(first)
                ray_start = int(columns)
                ray_end = int(0)
                for k in range(sides.shape[1]):
                    if row >= sides[number, k].first_row and row < sides[number, k].end_row:
                        side = sides[number, k]
                        slopes = _seen_slopes(side, drop)
                        start = _column(ray, column, slopes[0], columns)
                        end = _column(ray, column, slopes[1], columns)
                        if start < end:
                            ray_start = wp.min(ray_start, start)
                            ray_end = wp.max(ray_end, end)
                            per_column = -side.per_slope / ray.columns_per_slope
                            at_zero = side.at_zero + column * per_column
                            fill(nearness, values, start, end, at_zero, per_column, colors, number, side.face)
                for k in range(lids.shape[1]):
                    if row >= lids[number, k].first_row and row < lids[number, k].end_row and drop > 1.0e-6:
                        lid = lids[number, k]
                        ahead = -lid.top / drop
                        slopes = _across_lid(lid, ahead)
                        start = _column(ray, column, slopes[0], columns)
                        end = _column(ray, column, slopes[1], columns)
                        if start < end and ahead > NEAR:
                            ray_start = wp.min(ray_start, start)
                            ray_end = wp.max(ray_end, end)
                            fill(nearness, values, start, end, 1.0 / ahead, 0.0, colors, number, lid.face)
                if ray_start < ray_end:
                    row_start = wp.min(row_start, ray_start)
                    row_end = wp.max(row_end, ray_end)
                    add_up(nearness, values, ray_start, ray_end, sums, covered)
            if row_start < row_end:
                mix(sums, covered, WALL_COUNT, row_start, row_end, number, row, first, image)

    return paint


_KERNELS: dict[tuple[int, int], Any] = {}


def _paint_kernel(channels: int, max_columns: int) -> Any:
    key = (channels, max_columns)
    if key not in _KERNELS:
        _KERNELS[key] = _make_paint(*key)
    return _KERNELS[key]


class ObjectCameraRenderer(CameraRenderer):
    """Renders the images of the cars of ``num_worlds`` worlds, each on one of ``grounds`` with objects.

    Args:
        grounds, camera, num_worlds, device, color, lights, num_cars: As of `CameraRenderer`.
        boxes: The boxes of every world, each with the number of its object.
        objects: Where the objects are, ``RaceObject`` (num_worlds, num_objects), read at each rendering.
        box_colors: The boxes' colors, vec3 (num_worlds, len(boxes)) from 0 to 255, read at each rendering.
    """

    def __init__(
        self,
        grounds: Iterable[Ground],
        camera: PinholeCamera,
        num_worlds: int,
        device: str,
        color: bool = False,
        lights: wp.array | None = None,
        *,
        num_cars: int = 1,
        boxes: Sequence[tuple[int, Box]],
        objects: wp.array,
        box_colors: wp.array,
    ) -> None:
        super().__init__(grounds, camera, num_worlds, device, color=color, lights=lights, num_cars=num_cars)
        shapes: list[Any] = []
        for number, box in boxes:
            shape = _BoxShape()
            shape.number, shape.ahead = number, box.ahead
            shape.half_length, shape.half_width = box.half_length, box.half_width
            shape.bottom, shape.top = box.bottom, box.top
            shapes.append(shape)
        self._shapes: wp.array = wp.array(shapes, dtype=_BoxShape, device=self.device)
        self._objects, self._box_colors = objects, box_colors
        self._shading = lights
        if lights is None:
            self._shading = wp.array(np.full(num_worlds, DAYLIGHT), dtype=Light, device=self.device)
        channels, num_images = 3 if color else 1, num_worlds * num_cars
        self._sides = wp.empty((num_images, 2 * len(boxes)), dtype=_Side, device=self.device)
        self._lids = wp.empty((num_images, len(boxes)), dtype=_Lid, device=self.device)
        faces = (num_images, int(NUM_FACES) * len(boxes), channels)
        self._face_colors = wp.empty(faces, dtype=wp.uint16, device=self.device)
        self._paint = _paint_kernel(channels, self._max_columns)

    def render(self, poses: wp.array, track: wp.array, active: wp.array, out: wp.array) -> None:
        """As `CameraRenderer.render`, with the objects."""
        super().render(poses, track, active, out)
        wp.launch(
            _set_up_boxes,
            dim=(*self._views.shape, len(self._shapes)),
            inputs=[
                self._lens,
                self._shapes,
                wp.vec3(*GREY_WEIGHTS),
                self._objects,
                self._box_colors,
                self._shading,
                self._views,
            ],
            outputs=[self._sides, self._lids, self._face_colors],
            device=self.device,
        )
        views = self._views.flatten()
        wp.launch(
            self._paint,
            dim=self._dim,
            inputs=[self._lens, self._rays, views, self._sides, self._lids, self._face_colors, self._rows_each],
            outputs=[self._rows(out)],
            device=self.device,
        )

"""The cars' cameras: pinhole images of the ground, its walls and the sky, straight into uint8.

The ground is flat and the car never rolls, so an image row meets the ground on a straight line along which the ground
coordinates are linear in the column. A row therefore falls into runs of columns: walls on the left, ground (or, above
the walls, sky) in the middle, walls on the right. Runs are filled by tight loops; only the few columns where a run may
end are shaded ray by ray. What a pixel averages over is set by row: the texture level by how wide it is on the
ground, the number of rays by how much deeper than wide it is.

The same kernel runs everywhere. On the CPU, where a launch is a loop over its indices, an index is a whole image; on
CUDA it is a short piece of one row.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, no_type_check

import numpy as np
import warp as wp

from hotlap.tracks.ground import GREY_WEIGHTS, LEVELS_PER_OCTAVE, Ground

wp.set_module_options({"enable_backward": False, "fast_math": True, "optimization_level": 3})


@dataclass(frozen=True)
class PinholeCamera:
    """A camera on the car, without distortion, roll or yaw; pixels are square."""

    forward_m: float
    """Position ahead of base_link [m]."""
    height_m: float
    """Height above the ground [m]."""
    pitch_rad: float
    """Downward tilt [rad]."""
    hfov_rad: float
    """Horizontal field of view [rad]."""
    width: int = 160
    height: int = 120

    @property
    def focal_px(self) -> float:
        """Focal length [pixels]."""
        return 0.5 * self.width / float(np.tan(0.5 * self.hfov_rad))


DEEPRACER_CAMERA = PinholeCamera(forward_m=0.14529, height_m=0.13033, pitch_rad=0.2618, hfov_rad=1.13)
"""Camera of metadata version 3 and later. Source: DeepRacer simapp, ``bundle/urdf/deepracer``."""

V1_CAMERA = PinholeCamera(forward_m=0.20, height_m=0.164, pitch_rad=0.2618, hfov_rad=1.13)
"""Camera of metadata versions 1 and 2. Source: DeepRacer simapp, ``bundle/urdf/mit``."""

# Where a pixel's rays go: the quantiles of a tent over twice its height, as Pillow's bilinear reduction weighs them.
EDGE_RAYS = 8
DEEP = (2.6, 5.2, 11.0)
"""A pixel that is deeper than wide by more than these gets 2, 4, 8 rays instead of one."""
TEXEL_SHARE = (0.62, 0.55, 0.5, 0.5)
"""Texel per pixel width for pixels of 1, 2, 4 and 8 rays; by least difference from the supersampled reference."""
BORDER_COLUMNS = 1.5  # [columns] a pixel reaches that far sideways


@wp.struct
class _Lens:
    width: int
    height: int
    focal: float
    cos_pitch: float
    sin_pitch: float
    forward: float
    elevation: float


@wp.struct
class _Field:
    """A track's rectangle [m], where its picture begins, and its levels."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    x_origin: float
    y_origin: float
    texel: float
    num_levels: int
    wall_height: float


@wp.struct
class _LevelInfo:
    base: int
    stride: wp.uint32
    x_scale: float
    y_scale: float


@wp.struct
class _View:
    """What all rows of one world's image share; ``field`` is -1 where nothing is to be drawn.

    Walls in the order south, east, north, west; ``left`` and ``right`` are the slopes (leftward over forward) of the
    rays through the ends of each wall, equal where it is out of view.
    """

    field: int
    x: float
    y: float
    cos_yaw: float
    sin_yaw: float
    left: wp.vec4
    right: wp.vec4


@wp.struct
class _Line:
    """Where a row of rays meets a level plane: ``start + column * step`` [m] for columns in [low, high]."""

    low: float
    high: float
    x: float
    y: float
    x_step: float
    y_step: float
    plane: int


GROUND_PLANE = wp.constant(1)
SKY_PLANE = wp.constant(2)
NO_PLANE = wp.constant(0)
FAR = wp.constant(1.0e4)


@wp.func
@no_type_check
def _end_slope(ahead: float, leftward: float, other_ahead: float, other_leftward: float) -> float:
    """Slope of the ray through the end of a wall that may lie behind the camera; the wall is then cut before it."""
    near = 1.0e-3
    if ahead >= near:
        return leftward / ahead
    share = (near - ahead) / (other_ahead - ahead)
    return (leftward + share * (other_leftward - leftward)) / near


@wp.kernel
@no_type_check
def _set_up_views(
    # Model:
    lens: _Lens,
    fields: wp.array(dtype=_Field),
    # State in:
    x_in: wp.array(dtype=float),
    y_in: wp.array(dtype=float),
    yaw_in: wp.array(dtype=float),
    track_in: wp.array(dtype=int),
    active_in: wp.array(dtype=int),
    # Out:
    views_out: wp.array(dtype=_View),
):
    world = wp.tid()
    view = _View()
    view.field = -1
    pose = x_in[world] + y_in[world] + yaw_in[world]
    if active_in[world] != 0 and wp.isfinite(pose):
        view.field = track_in[world]
        field = fields[view.field]
        view.cos_yaw = wp.cos(yaw_in[world])
        view.sin_yaw = wp.sin(yaw_in[world])
        # The walls are solid: a car that has driven through one sees the field from just inside.
        inside = 0.02
        view.x = wp.clamp(x_in[world] + lens.forward * view.cos_yaw, field.x_min + inside, field.x_max - inside)
        view.y = wp.clamp(y_in[world] + lens.forward * view.sin_yaw, field.y_min + inside, field.y_max - inside)
        left = wp.vec4()
        right = wp.vec4()
        for wall in range(4):
            # Seen from inside, a wall's left end is the corner that a counter-clockwise round reaches last.
            x_right = wp.where(wall == 0 or wall == 3, field.x_min, field.x_max) - view.x
            y_right = wp.where(wall == 0 or wall == 1, field.y_min, field.y_max) - view.y
            x_left = wp.where(wall == 0 or wall == 1, field.x_max, field.x_min) - view.x
            y_left = wp.where(wall == 1 or wall == 2, field.y_max, field.y_min) - view.y
            ahead_right = x_right * view.cos_yaw + y_right * view.sin_yaw
            ahead_left = x_left * view.cos_yaw + y_left * view.sin_yaw
            leftward_right = y_right * view.cos_yaw - x_right * view.sin_yaw
            leftward_left = y_left * view.cos_yaw - x_left * view.sin_yaw
            if wp.max(ahead_right, ahead_left) > 2.0e-3:
                left[wall] = _end_slope(ahead_left, leftward_left, ahead_right, leftward_right)
                right[wall] = _end_slope(ahead_right, leftward_right, ahead_left, leftward_left)
        view.left = left
        view.right = right
    views_out[world] = view


@wp.func
@no_type_check
def _clip(start: float, step: float, minimum: float, maximum: float, span: wp.vec2) -> wp.vec2:
    """The part of ``span`` in which ``start + column * step`` lies between ``minimum`` and ``maximum``."""
    low = span[0]
    high = span[1]
    if wp.abs(step) < 1.0e-9:
        if start < minimum or start > maximum:
            high = low - 1.0
    else:
        one = (minimum - start) / step
        other = (maximum - start) / step
        low = wp.max(low, wp.min(one, other))
        high = wp.min(high, wp.max(one, other))
    return wp.vec2(low, high)


@wp.func
@no_type_check
def _meet_plane(lens: _Lens, field: _Field, view: _View, row: float) -> _Line:
    """Where the rays of a (fractional) row meet the ground, or above the horizon the plane of the walls' top."""
    line = _Line()
    line.low = 0.0
    line.high = -1.0
    line.plane = NO_PLANE
    tangent = (row + 0.5 - 0.5 * float(lens.height)) / lens.focal
    down = lens.sin_pitch + tangent * lens.cos_pitch
    ahead = lens.cos_pitch - tangent * lens.sin_pitch
    drop = wp.where(down > 0.0, lens.elevation, lens.elevation - field.wall_height)
    if wp.abs(drop) > wp.abs(down) * 1.0e-3 and drop * down > 0.0 and wp.abs(drop) < wp.abs(down) * FAR:
        depth = drop / down
        line.plane = wp.where(down > 0.0, GROUND_PLANE, SKY_PLANE)
        sideways = depth / lens.focal
        line.x_step = sideways * view.sin_yaw
        line.y_step = -sideways * view.cos_yaw
        first = 0.5 - 0.5 * float(lens.width)
        line.x = view.x + depth * ahead * view.cos_yaw + first * line.x_step
        line.y = view.y + depth * ahead * view.sin_yaw + first * line.y_step
        span = wp.vec2(-4.0, float(lens.width) + 4.0)
        span = _clip(line.x, line.x_step, field.x_min, field.x_max, span)
        span = _clip(line.y, line.y_step, field.y_min, field.y_max, span)
        line.low = span[0]
        line.high = span[1]
    return line


@wp.func
@no_type_check
def _choose_level(field: _Field, texel: float) -> int:
    level = int(wp.floor(float(LEVELS_PER_OCTAVE) * wp.log2(texel / field.texel) + 0.5))
    return wp.clamp(level, 0, field.num_levels - 1)


@wp.func
@no_type_check
def _tent_quantile(index: int, count: int) -> float:
    """Middle of the ``index``-th of ``count`` equal parts of a tent over [-1, 1]."""
    share = (float(index) + 0.5) / float(count)
    return wp.where(share < 0.5, wp.sqrt(2.0 * share) - 1.0, 1.0 - wp.sqrt(2.0 - 2.0 * share))


@wp.func
@no_type_check
def _shuffled(index: int, count: int) -> int:
    """A fixed order of the columns' offsets, so that rays lie on no common diagonal."""
    return (index * 3 + 1) % count


def _make_ground_run(num_rays: int, channels: int) -> Any:
    """A function that fills a run of columns with ground. Unrolling the rays lets the compiler keep them in registers."""
    coords = wp.types.vector(length=num_rays, dtype=wp.uint32)
    half = num_rays // 2
    shift = num_rays.bit_length() - 1
    fraction = 65536.0

    @wp.func
    @no_type_check
    def ground_run(
        lens: _Lens,
        field: _Field,
        view: _View,
        level: _LevelInfo,
        texels: wp.array(dtype=wp.uint8),
        world: int,
        row: int,
        start: int,
        end: int,
        image: wp.array3d(dtype=wp.uint8),
    ):
        u = coords()
        v = coords()
        u_step = coords()
        v_step = coords()
        for k in range(wp.static(num_rays)):
            line = _meet_plane(lens, field, view, float(row) + _tent_quantile(k, wp.static(num_rays)))
            column = float(start) + _tent_quantile(_shuffled(k, wp.static(num_rays)), wp.static(num_rays))
            u[k] = wp.uint32((line.x + column * line.x_step - field.x_origin) * level.x_scale * wp.static(fraction))
            v[k] = wp.uint32((line.y + column * line.y_step - field.y_origin) * level.y_scale * wp.static(fraction))
            u_step[k] = wp.uint32(wp.int32(line.x_step * level.x_scale * wp.static(fraction)))
            v_step[k] = wp.uint32(wp.int32(line.y_step * level.y_scale * wp.static(fraction)))
        for column in range(start, end):
            for channel in range(wp.static(channels)):
                total = wp.uint32(wp.static(half))
                for k in range(wp.static(num_rays)):
                    texel = (v[k] >> wp.uint32(16)) * level.stride + (u[k] >> wp.uint32(16))
                    total += wp.uint32(texels[level.base + wp.int32(texel) * wp.static(channels) + channel])
                image[world, row, column * wp.static(channels) + channel] = wp.uint8(
                    total >> wp.uint32(wp.static(shift))
                )
            u += u_step
            v += v_step

    return ground_run


def _make_render(channels: int) -> Any:
    """The kernel for images of one channel or three."""
    run_1, run_2, run_4, run_8 = (_make_ground_run(num_rays, channels) for num_rays in (1, 2, 4, 8))

    @wp.func
    @no_type_check
    def shade_pixel(
        lens: _Lens,
        field: _Field,
        view: _View,
        level: _LevelInfo,
        texels: wp.array(dtype=wp.uint8),
        colors: wp.array3d(dtype=float),
        world: int,
        row: int,
        column: int,
        image: wp.array3d(dtype=wp.uint8),
    ):
        """Average the rays of a pixel that may see more than one surface."""
        for channel in range(wp.static(channels)):
            total = float(0.0)
            for k in range(wp.static(EDGE_RAYS)):
                row_k = float(row) + _tent_quantile(k, wp.static(EDGE_RAYS))
                column_k = float(column) + _tent_quantile(_shuffled(k, wp.static(EDGE_RAYS)), wp.static(EDGE_RAYS))
                line = _meet_plane(lens, field, view, row_k)
                if column_k >= line.low and column_k <= line.high:
                    if line.plane == GROUND_PLANE:
                        u = (line.x + column_k * line.x_step - field.x_origin) * level.x_scale
                        v = (line.y + column_k * line.y_step - field.y_origin) * level.y_scale
                        texel = int(v) * int(level.stride) + int(u)
                        total += float(texels[level.base + texel * wp.static(channels) + channel])
                    else:
                        total += colors[view.field, 4, channel]
                else:
                    tangent = (row_k + 0.5 - 0.5 * float(lens.height)) / lens.focal
                    ahead = lens.cos_pitch - tangent * lens.sin_pitch
                    slope = (0.5 * float(lens.width) - 0.5 - column_k) / (lens.focal * ahead)
                    wall = int(0)
                    for other in range(1, 4):
                        if slope >= view.right[other] and slope < view.left[other]:
                            wall = other
                    total += colors[view.field, wall, channel]
            image[world, row, column * wp.static(channels) + channel] = wp.uint8(
                total * wp.static(1.0 / EDGE_RAYS) + 0.5
            )

    @wp.func
    @no_type_check
    def fill(
        color: wp.array3d(dtype=float),
        track: int,
        surface: int,
        world: int,
        row: int,
        start: int,
        end: int,
        image: wp.array3d(dtype=wp.uint8),
    ):
        for channel in range(wp.static(channels)):
            value = wp.uint8(color[track, surface, channel] + 0.5)
            for column in range(start, end):
                image[world, row, column * wp.static(channels) + channel] = value

    @wp.func
    @no_type_check
    def render_row(
        lens: _Lens,
        fields: wp.array(dtype=_Field),
        levels: wp.array2d(dtype=_LevelInfo),
        texels: wp.array(dtype=wp.uint8),
        colors: wp.array3d(dtype=float),
        view: _View,
        world: int,
        row: int,
        start: int,
        end: int,
        image: wp.array3d(dtype=wp.uint8),
    ):
        field = fields[view.field]
        tangent = (float(row) + 0.5 - 0.5 * float(lens.height)) / lens.focal
        down = lens.sin_pitch + tangent * lens.cos_pitch
        ahead = lens.cos_pitch - tangent * lens.sin_pitch
        depth = lens.elevation / wp.max(down, 1.0e-3)
        deep = 1.0 / wp.max(down, 1.0e-3)
        share = wp.static(TEXEL_SHARE[3])
        if deep < wp.static(DEEP[0]):
            share = wp.static(TEXEL_SHARE[0])
        elif deep < wp.static(DEEP[1]):
            share = wp.static(TEXEL_SHARE[1])
        elif deep < wp.static(DEEP[2]):
            share = wp.static(TEXEL_SHARE[2])
        level = levels[view.field, _choose_level(field, share * depth / lens.focal)]

        # Columns sure to see only the inner plane: those that do so in the pixel's highest and lowest ray, because what
        # is seen of a rectangle is convex. Beyond the wider of the two lie walls alone.
        upper = _meet_plane(lens, field, view, float(row) - 1.0)
        lower = _meet_plane(lens, field, view, float(row) + 1.0)
        inner_start = end
        inner_end = end
        walls_end = end
        walls_start = end
        has_upper = upper.high >= upper.low
        has_lower = lower.high >= lower.low
        if has_upper or has_lower:
            low = upper.low
            high = upper.high
            if has_lower:
                low = wp.where(has_upper, wp.min(low, lower.low), lower.low)
                high = wp.where(has_upper, wp.max(high, lower.high), lower.high)
            walls_end = wp.clamp(int(wp.ceil(low - BORDER_COLUMNS)), start, end)
            walls_start = wp.clamp(int(wp.floor(high + BORDER_COLUMNS)) + 1, walls_end, end)
            inner_start = walls_start
            inner_end = walls_start
            if has_upper and has_lower and upper.plane == lower.plane:
                low = wp.max(upper.low, lower.low)
                high = wp.min(upper.high, lower.high)
                inner_start = wp.clamp(int(wp.ceil(low + BORDER_COLUMNS)), walls_end, walls_start)
                inner_end = wp.clamp(int(wp.floor(high - BORDER_COLUMNS)) + 1, inner_start, walls_start)

        if inner_end > inner_start:
            if upper.plane == SKY_PLANE:
                fill(colors, view.field, 4, world, row, inner_start, inner_end, image)
            elif deep < wp.static(DEEP[0]):
                run_1(lens, field, view, level, texels, world, row, inner_start, inner_end, image)
            elif deep < wp.static(DEEP[1]):
                run_2(lens, field, view, level, texels, world, row, inner_start, inner_end, image)
            elif deep < wp.static(DEEP[2]):
                run_4(lens, field, view, level, texels, world, row, inner_start, inner_end, image)
            else:
                run_8(lens, field, view, level, texels, world, row, inner_start, inner_end, image)
        for column in range(walls_end, inner_start):
            shade_pixel(lens, field, view, level, texels, colors, world, row, column, image)
        for column in range(inner_end, walls_start):
            shade_pixel(lens, field, view, level, texels, colors, world, row, column, image)

        if walls_end > start or walls_start < end:
            middle = 0.5 * float(lens.width) - 0.5
            scale = lens.focal * ahead
            for wall in range(4):
                if view.left[wall] > view.right[wall]:
                    # Column of each end of the wall; around it the two walls that meet there are mixed.
                    low = wp.clamp(middle - scale * view.left[wall], -9.0, float(lens.width) + 9.0)
                    high = wp.clamp(middle - scale * view.right[wall], -9.0, float(lens.width) + 9.0)
                    pure_start = int(wp.ceil(low + BORDER_COLUMNS))
                    pure_end = int(wp.floor(high - BORDER_COLUMNS)) + 1
                    fill(
                        colors,
                        view.field,
                        wall,
                        world,
                        row,
                        wp.max(pure_start, start),
                        wp.min(pure_end, walls_end),
                        image,
                    )
                    fill(
                        colors,
                        view.field,
                        wall,
                        world,
                        row,
                        wp.max(pure_start, walls_start),
                        wp.min(pure_end, end),
                        image,
                    )
                    for column in range(wp.max(pure_end, start), wp.min(int(wp.floor(high + BORDER_COLUMNS)) + 1, end)):
                        if column < walls_end or column >= walls_start:
                            shade_pixel(lens, field, view, level, texels, colors, world, row, column, image)

    @wp.kernel(module="unique")
    @no_type_check
    def render(
        # Model:
        lens: _Lens,
        fields: wp.array(dtype=_Field),
        levels: wp.array2d(dtype=_LevelInfo),
        texels: wp.array(dtype=wp.uint8),
        colors: wp.array3d(dtype=float),
        # In:
        views: wp.array(dtype=_View),
        rows_each: int,
        columns_each: int,
        # Out:
        image: wp.array3d(dtype=wp.uint8),
    ):
        world, part, piece = wp.tid()
        view = views[world]
        if view.field >= 0:
            start = piece * columns_each
            end = wp.min(start + columns_each, lens.width)
            for row in range(part * rows_each, wp.min((part + 1) * rows_each, lens.height)):
                render_row(lens, fields, levels, texels, colors, view, world, row, start, end, image)

    return render


_RENDER: dict[bool, Any] = {}


def _render_kernel(color: bool) -> Any:
    if color not in _RENDER:
        _RENDER[color] = _make_render(3 if color else 1)
    return _RENDER[color]


class CameraRenderer:
    """Renders the images of ``num_worlds`` cars, each on one of ``grounds``.

    Args:
        grounds: What there is to see; a world names its ground by index.
        camera: The camera that every car carries.
        device: Warp device.
        color: Images of (height, width, 3) red, green, blue instead of grey (height, width).
    """

    def __init__(
        self,
        grounds: list[Ground],
        camera: PinholeCamera,
        num_worlds: int,
        device: str,
        color: bool = False,
    ) -> None:
        self.camera = camera
        self.num_worlds = num_worlds
        self.device = wp.get_device(device)
        self.color = color
        self._lens = _Lens()
        self._lens.width = camera.width
        self._lens.height = camera.height
        self._lens.focal = camera.focal_px
        self._lens.cos_pitch = float(np.cos(camera.pitch_rad))
        self._lens.sin_pitch = float(np.sin(camera.pitch_rad))
        self._lens.forward = camera.forward_m
        self._lens.elevation = camera.height_m
        self._upload(grounds)
        self._views = wp.empty(num_worlds, dtype=_View, device=self.device)
        self._rows_each = camera.height if self.device.is_cpu else 1
        self._columns_each = camera.width if self.device.is_cpu else 8
        self._parts = -(-camera.height // self._rows_each)
        self._pieces = -(-camera.width // self._columns_each)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of ``out``: (num_worlds, height, width), with a last axis of 3 in color."""
        shape = (self.num_worlds, self.camera.height, self.camera.width)
        return (*shape, 3) if self.color else shape

    def _upload(self, grounds: list[Ground]) -> None:
        pyramids = [ground.levels(color=self.color) for ground in grounds]
        fields, tables, colors, pieces, base = [], [], [], [], 0
        for ground, pyramid in zip(grounds, pyramids, strict=True):
            field = _Field()
            field.x_min, field.y_min, field.x_max, field.y_max = ground.rectangle
            field.x_origin, field.y_origin = ground.origin
            field.texel = ground.texel
            field.num_levels = len(pyramid)
            field.wall_height = ground.wall_height
            fields.append(field)
            table = []
            for texels, scale in pyramid:
                info = _LevelInfo()
                info.base, info.stride = base, texels.shape[1]
                info.x_scale, info.y_scale = scale
                table.append(info)
                pieces.append(texels.reshape(-1))
                base += texels.size
            tables.append(table)
            surfaces = np.vstack([ground.wall_colors, ground.sky])
            colors.append(surfaces if self.color else (surfaces @ GREY_WEIGHTS)[:, None])
        assert base < 2**31, "the grounds' pictures must have less than 2 GiB"
        most = max(map(len, tables))
        padded = [table + table[-1:] * (most - len(table)) for table in tables]
        self._fields = wp.array(fields, dtype=_Field, device=self.device)
        flat = wp.array([info for table in padded for info in table], dtype=_LevelInfo, device=self.device)
        self._levels = flat.reshape((len(grounds), most))
        self._texels = wp.array(np.concatenate(pieces), dtype=wp.uint8, device=self.device)
        self._colors = wp.array(np.array(colors, dtype=np.float32), dtype=float, device=self.device)

    def render(self, x: wp.array, y: wp.array, yaw: wp.array, track: wp.array, active: wp.array, out: wp.array) -> None:
        """Write the images of the active worlds into ``out``; the others keep theirs.

        Args:
            x, y, yaw: Pose of base_link [m, m, rad], float32 (num_worlds,).
            track: Index of each world's ground, int32 (num_worlds,).
            active: Nonzero where to render, int32 (num_worlds,).
            out: uint8 of ``image_shape``.
        """
        if self.color:
            out = out.reshape((self.num_worlds, self.camera.height, 3 * self.camera.width))
        wp.launch(
            _set_up_views,
            dim=self.num_worlds,
            inputs=[self._lens, self._fields, x, y, yaw, track, active],
            outputs=[self._views],
            device=self.device,
        )
        wp.launch(
            _render_kernel(self.color),
            dim=(self.num_worlds, self._parts, self._pieces),
            inputs=[
                self._lens,
                self._fields,
                self._levels,
                self._texels,
                self._colors,
                self._views,
                self._rows_each,
                self._columns_each,
            ],
            outputs=[out],
            device=self.device,
        )

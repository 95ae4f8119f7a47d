"""The cars' cameras: pinhole images of the ground, its walls and the sky, straight into uint8.

The ground is flat and the car never rolls, so a row of rays meets it on a straight line along which the ground
coordinates are linear in the column. A row of rays therefore sees at most three stretches: wall, ground (or, over the
walls, sky), wall. Each is found at once and added to the row's sums by a tight loop.

A pixel averages a few such rows of rays, spread over the area that Pillow's bilinear reduction of the original's
640×480 images weighs. How many depends on how much deeper than wide the pixel is on the ground; how wide it is chooses
the texture level.

Where the lights of a world may change, colors are summed even for grey images, and the ground's are dimmed when a pixel
is stored; walls are added as what becomes right by the same dimming.

The same kernel runs everywhere. On the CPU, where a launch is a loop over its indices, an index is a whole image; on
CUDA it is a short piece of one row.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, no_type_check

import numpy as np
import warp as wp

from hotlap.sim.light import DAYLIGHT, Light, brightness
from hotlap.tracks.ground import GREY_WEIGHTS, LEVELS_PER_OCTAVE, Ground

wp.set_module_options({"enable_backward": False})


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
    """Pixels per row."""
    height: int = 120
    """Rows."""

    @property
    def focal_px(self) -> float:
        """Focal length [pixels]."""
        return 0.5 * self.width / float(np.tan(0.5 * self.hfov_rad))


DEEPRACER_CAMERA = PinholeCamera(forward_m=0.14529, height_m=0.13033, pitch_rad=0.2618, hfov_rad=1.13)
"""Camera of metadata version 3 and later. Source: DeepRacer simapp, ``bundle/urdf/deepracer``."""

V1_CAMERA = PinholeCamera(forward_m=0.20, height_m=0.164, pitch_rad=0.2618, hfov_rad=1.13)
"""Camera of metadata versions 1 and 2. Source: DeepRacer simapp, ``bundle/urdf/mit``."""

RAY_COUNTS = (1, 2, 4, 8)
"""Possible numbers of rays of a pixel. The table of rays has 1 + 2 + 4 + 8 columns; a count's first is count - 1."""
DEEPER_THAN = (2.6, 5.2, 11.0)
"""A pixel gets the next count where it is deeper than wide by more than these factors. With texels as wide as pixels,
the mean difference from a supersampled image is then 0.7 grey levels; 1.5 times the rays would bring it to 0.66."""
WALL_COUNT = wp.constant(2)  # index in RAY_COUNTS of rows that see a wall: their edges must not be jagged

GROUND, TOP, HORIZON = wp.constant(1), wp.constant(-1), wp.constant(0)
"""What a ray aims at: the ground, the level of the walls' top, or nothing within a kilometre."""
SKY = wp.constant(4)  # surface after the four walls


@wp.struct
class Lens:
    """A camera on its car, as kernels need it: lengths in pixels and meters."""

    width: int
    height: int
    elevation: float
    forward: float
    focal: float
    cos_pitch: float
    sin_pitch: float


@wp.struct
class Ray:
    """A row of rays: distance ahead and width of a column on the plane it meets, per metre of height over the plane."""

    plane: int
    ahead: float
    sideways: float
    column: float  # [columns] offset from the pixels' centers
    columns_per_slope: float


@wp.struct
class _Field:
    """A track's rectangle and its picture."""

    x_min: float
    y_min: float
    x_max: float
    y_max: float
    wall_height: float
    x_origin: float
    y_origin: float
    texel_log2: float
    num_levels: int


@wp.struct
class _Level:
    base: int
    stride: int
    x_scale: float
    y_scale: float


@wp.struct
class View:
    """What all rows of one image share; ``track`` is -1 where nothing is to be drawn.

    ``palette`` is the row of the colors of walls and sky: the track, or the image where each world has its own light.
    ``left`` and ``right`` are the slopes (leftward over ahead) of the rays through the ends of the south, east, north
    and west wall, both zero where it is out of view.
    """

    track: int
    palette: int
    x: float
    y: float
    cos_yaw: float
    sin_yaw: float
    left: wp.vec4
    right: wp.vec4


@wp.func
@no_type_check
def _end_slope(ahead: float, leftward: float, other_ahead: float, other_leftward: float) -> float:
    """Slope of the ray through one end of a wall, which is cut just before the camera where that end lies behind."""
    near = 1.0e-3
    if ahead >= near:
        return leftward / ahead
    share = (near - ahead) / (other_ahead - ahead)
    return (leftward + share * (other_leftward - leftward)) / near


@wp.kernel
@no_type_check
def _set_up_views(
    # Model:
    lens: Lens,
    fields: wp.array(dtype=_Field),
    # State in:
    poses: wp.array2d(dtype=wp.vec3),
    track_in: wp.array(dtype=int),
    active_in: wp.array2d(dtype=int),
    # Out:
    views_out: wp.array2d(dtype=View),
):
    w, c = wp.tid()
    view = View()
    view.track = -1
    x = poses[w, c][0]
    y = poses[w, c][1]
    yaw = poses[w, c][2]
    if active_in[w, c] != 0 and wp.isfinite(x + y + yaw):
        view.track = track_in[w]
        view.palette = view.track
        field = fields[view.track]
        view.cos_yaw = wp.cos(yaw)
        view.sin_yaw = wp.sin(yaw)
        # The walls hold the camera: a car that has driven through one sees the field from just inside.
        inside = 0.02
        view.x = wp.clamp(x + lens.forward * view.cos_yaw, field.x_min + inside, field.x_max - inside)
        view.y = wp.clamp(y + lens.forward * view.sin_yaw, field.y_min + inside, field.y_max - inside)
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
    views_out[w, c] = view


@wp.kernel
@no_type_check
def _light_surfaces(
    # Model:
    daylight: wp.array(dtype=Light),
    colors: wp.array3d(dtype=wp.uint16),
    # In:
    lights: wp.array(dtype=Light),
    # In and out:
    views: wp.array2d(dtype=View),
    # Out:
    lit_colors: wp.array3d(dtype=wp.uint16),
    dimming_out: wp.array(dtype=wp.vec3),
):
    w, c = wp.tid()
    view = views[w, c]
    if view.track < 0:
        return
    image = w * views.shape[1] + c
    view.palette = image
    views[w, c] = view
    up = wp.vec3(0.0, 0.0, 1.0)
    dimming = wp.cw_div(brightness(lights[w], up, up), brightness(daylight[0], up, up))
    dimming_out[image] = dimming
    for surface in range(5):
        share = wp.vec3(1.0, 1.0, 1.0)  # of the sky
        if surface < 4:
            # The walls in their order face north, west, south and east.
            normal = wp.vec3()
            normal[(surface + 1) % 2] = wp.where(surface == 0 or surface == 3, 1.0, -1.0)
            share = wp.cw_div(brightness(lights[w], normal, up), brightness(daylight[0], normal, up))
        for channel in range(3):
            color = float(colors[view.track, surface, channel]) * share[channel] / dimming[channel]
            lit_colors[image, surface, channel] = wp.uint16(color + 0.5)


# The innermost loops are native, because Warp's array access must assume that a byte it writes may be part of any
# other variable, which keeps the compiler from vector instructions: 1.1 instead of 0.5 ns per texel on one core.


def _make_row_loops(channels: int) -> tuple[Any, Any, Any]:
    """Loops over columns for sums of so many channels: clear them, add texels, add a surface's color."""
    each_channel = range(channels)

    @wp.func_native(f"for (int i = 0; i < {channels} * columns; ++i) sums.data[i] = 0;")
    @no_type_check
    def clear(sums: wp.array(dtype=wp.uint16), columns: int): ...

    add_texel = " ".join(f"sum[{channels} * i + {k}] += texel[{channels} * index + {k}];" for k in each_channel)

    @wp.func_native(f"""
        const uint8_t* __restrict__ texel = texels.data + base;
        uint16_t* __restrict__ sum = sums.data;
        const unsigned tile_row = (unsigned)stride;
        _Pragma("clang loop vectorize(assume_safety) vectorize_width(16)")
        for (int i = start; i < end; ++i) {{
            const unsigned index = (v >> 19) * tile_row + ((u >> 19) << 6) + ((v >> 13) & 56u) + ((u >> 16) & 7u);
            {add_texel}
            u += u_step;
            v += v_step;
        }}
    """)
    @no_type_check
    def add_texels(
        texels: wp.array(dtype=wp.uint8),
        base: int,
        stride: int,
        u: wp.uint32,
        v: wp.uint32,
        u_step: wp.uint32,
        v_step: wp.uint32,
        start: int,
        end: int,
        sums: wp.array(dtype=wp.uint16),
    ): ...

    add_color = " ".join(f"sum[{channels} * i + {k}] += color[{k}];" for k in each_channel)

    @wp.func_native(f"""
        uint16_t* __restrict__ sum = sums.data;
        uint16_t color[{channels}];
        for (int k = 0; k < {channels}; ++k) color[k] = colors.data[{channels} * (5 * palette + surface) + k];
        for (int i = start; i < end; ++i) {{ {add_color} }}
    """)
    @no_type_check
    def add_surface(
        colors: wp.array3d(dtype=wp.uint16),
        palette: int,
        surface: int,
        start: int,
        end: int,
        sums: wp.array(dtype=wp.uint16),
    ): ...

    return clear, add_texels, add_surface


def _make_store(channels: int, lit: bool) -> Any:
    """The loop over columns that stores means in images of so many channels; of lit worlds, after dimming the sums."""
    store_pixels = (
        f"for (int i = 0; i < {channels} * columns; ++i) pixel[i] = (uint8_t)((sum[i] + half) >> count_log2);"
    )
    if lit:
        red, green, blue = (f"dimming.data[number][{k}] * sum[3 * i + {k}]" for k in range(3))
        grey = " + ".join(f"{share}f * {each}" for share, each in zip(GREY_WEIGHTS, (red, green, blue), strict=True))
        values = [red, green, blue] if channels == 3 else [grey]
        store_pixels = " ".join(
            f"for (int i = 0; i < columns; ++i) pixel[{channels} * i + {k}] = (uint8_t)(scale * ({value}) + 0.5f);"
            for k, value in enumerate(values)
        )

    @wp.func_native(f"""
        const uint16_t* __restrict__ sum = sums.data;
        uint8_t* __restrict__ pixel =
            (uint8_t*)image.data + number * image.strides[0] + row * image.strides[1] + {channels} * first;
        const int half = (1 << count_log2) >> 1;
        const float scale = 1.0f / (float)(1 << count_log2);
        {store_pixels}
    """)
    @no_type_check
    def store(
        sums: wp.array(dtype=wp.uint16),
        dimming: wp.array(dtype=wp.vec3),
        count_log2: int,
        columns: int,
        number: int,
        row: int,
        first: int,
        image: wp.array3d(dtype=wp.uint8),
    ): ...

    return store


@wp.func
@no_type_check
def _clip(start: float, step: float, minimum: float, maximum: float, span: wp.vec2) -> wp.vec2:
    """The part of ``span`` where ``start + column * step`` lies between ``minimum`` and ``maximum``."""
    # A step of exactly zero would leave 0/0; one so small moves nothing.
    safe_step = wp.where(wp.abs(step) < 1.0e-9, 1.0e-9, step)
    one = (minimum - start) / safe_step
    other = (maximum - start) / safe_step
    return wp.vec2(wp.max(span[0], wp.min(one, other)), wp.min(span[1], wp.max(one, other)))


@wp.func
@no_type_check
def _fixed(texels: float) -> wp.uint32:
    """A coordinate or step with 16 fractional bits; a negative step wraps, as unsigned addition does."""
    return wp.uint32(wp.int32(texels * 65536.0))


@wp.func
@no_type_check
def _is_inside(field: _Field, x: float, y: float) -> bool:
    return x >= field.x_min and x <= field.x_max and y >= field.y_min and y <= field.y_max


def _make_render(channels: int, max_columns: int, lit: bool) -> Any:
    """The kernel for images of one channel or three, rendered in pieces of at most ``max_columns`` columns.

    Making them static keeps a piece's sums on the stack.
    """
    summed = 3 if lit else channels
    num_sums = summed * max_columns
    clear, add_texels, add_surface = _make_row_loops(summed)
    store = _make_store(channels, lit)

    @wp.kernel(module="unique", enable_backward=False)
    @no_type_check
    def render(
        # Model:
        lens: Lens,
        rays: wp.array2d(dtype=Ray),
        ray_counts: wp.array(dtype=int),
        texels_log2: wp.array(dtype=float),
        fields: wp.array(dtype=_Field),
        levels: wp.array2d(dtype=_Level),
        texels: wp.array(dtype=wp.uint8),
        colors: wp.array3d(dtype=wp.uint16),
        # In:
        dimming: wp.array(dtype=wp.vec3),
        views: wp.array(dtype=View),
        rows_each: int,
        # Out:
        image: wp.array3d(dtype=wp.uint8),
    ):
        number, part, piece = wp.tid()
        view = views[number]
        if view.track < 0:
            return
        field = fields[view.track]
        first = piece * wp.static(max_columns)
        columns = wp.min(lens.width - first, wp.static(max_columns))
        sums = wp.zeros(shape=wp.static(num_sums), dtype=wp.uint16)
        for row in range(part * rows_each, wp.min((part + 1) * rows_each, lens.height)):
            clear(sums, columns)

            # Where even the row's farthest rays end on the ground at both ends, no ray of it can meet a wall: what is
            # seen of a rectangle from within is convex.
            farthest = rays[row, wp.static(RAY_COUNTS[-1] - 1)]
            count_log2 = wp.max(ray_counts[row], WALL_COUNT)
            sees_wall = int(1)
            if farthest.plane == GROUND:
                x_step = farthest.sideways * lens.elevation * view.sin_yaw
                y_step = -farthest.sideways * lens.elevation * view.cos_yaw
                x = view.x + farthest.ahead * lens.elevation * view.cos_yaw
                y = view.y + farthest.ahead * lens.elevation * view.sin_yaw
                left = farthest.column + float(first) - 2.0
                right = left + float(columns) + 3.0
                if _is_inside(field, x + left * x_step, y + left * y_step) and _is_inside(
                    field, x + right * x_step, y + right * y_step
                ):
                    sees_wall = 0
                    count_log2 = ray_counts[row]
            coarseness = texels_log2[row] - field.texel_log2
            level_index = int(wp.floor(wp.static(float(LEVELS_PER_OCTAVE)) * coarseness + 0.5))
            level = levels[view.track, wp.clamp(level_index, 0, field.num_levels - 1)]

            for k in range(1 << count_log2):
                ray = rays[row, (1 << count_log2) - 1 + k]
                drop = wp.where(ray.plane == GROUND, lens.elevation, field.wall_height - lens.elevation)
                x_step = ray.sideways * drop * view.sin_yaw
                y_step = -ray.sideways * drop * view.cos_yaw
                column = ray.column + float(first)
                x = view.x + ray.ahead * drop * view.cos_yaw + column * x_step
                y = view.y + ray.ahead * drop * view.sin_yaw + column * y_step
                start = int(0)
                end = int(columns)
                if sees_wall != 0:
                    start = columns
                    if ray.plane != HORIZON:
                        span = wp.vec2(0.0, float(columns) - 1.0)
                        span = _clip(x, x_step, field.x_min, field.x_max, span)
                        span = _clip(y, y_step, field.y_min, field.y_max, span)
                        if span[1] >= span[0]:
                            start = int(wp.ceil(span[0]))
                            end = wp.max(int(wp.floor(span[1])) + 1, start)
                    if start > 0 or end < columns:
                        for wall in range(4):
                            wall_low = -column - view.left[wall] * ray.columns_per_slope
                            wall_high = -column - view.right[wall] * ray.columns_per_slope
                            wall_start = int(wp.clamp(wp.ceil(wall_low), 0.0, float(columns)))
                            wall_end = int(wp.clamp(wp.ceil(wall_high), 0.0, float(columns)))
                            add_surface(colors, view.palette, wall, wall_start, wp.min(wall_end, start), sums)
                            add_surface(colors, view.palette, wall, wp.max(wall_start, end), wall_end, sums)
                if ray.plane == GROUND:
                    u = (x + float(start) * x_step - field.x_origin) * level.x_scale
                    v = (y + float(start) * y_step - field.y_origin) * level.y_scale
                    add_texels(
                        texels,
                        level.base,
                        level.stride,
                        _fixed(u),
                        _fixed(v),
                        _fixed(x_step * level.x_scale),
                        _fixed(y_step * level.y_scale),
                        start,
                        end,
                        sums,
                    )
                else:
                    add_surface(colors, view.palette, SKY, start, end, sums)
            store(sums, dimming, count_log2, columns, number, row, first, image)

    return render


_KERNELS: dict[tuple[int, int, bool], Any] = {}


def _render_kernel(channels: int, max_columns: int, lit: bool) -> Any:
    key = (channels, max_columns, lit)
    if key not in _KERNELS:
        _KERNELS[key] = _make_render(*key)
    return _KERNELS[key]


def _tent_quantiles(count: int) -> np.ndarray:
    """Middles of ``count`` equal parts of a tent over [-1, 1]: rays of equal weight that spread like its weights."""
    share = (np.arange(count) + 0.5) / count
    return np.where(share < 0.5, np.sqrt(2.0 * share) - 1.0, 1.0 - np.sqrt(2.0 - 2.0 * share))


@lru_cache(maxsize=4)  # races that a process drives beside one another have the same camera
def _trace_rays(camera: PinholeCamera) -> tuple[list[list[Any]], np.ndarray, np.ndarray]:
    """All that depends on the camera and the row only.

    Returns:
        Rays (height, 15), the index in RAY_COUNTS of rows that see no wall (height,), and the binary logarithm of the
        width of a pixel on the ground [m] (height,).
    """
    cos_pitch, sin_pitch = np.cos(camera.pitch_rad), np.sin(camera.pitch_rad)
    rays: list[list[Any]] = []
    for row in range(camera.height):
        rays.append([])
        for count in RAY_COUNTS:
            offsets = _tent_quantiles(count)
            # Another order for the columns: rays on a common diagonal would leave edges along it jagged.
            shuffled = offsets[(3 * np.arange(count) + 1) % count]
            for row_offset, column_offset in zip(offsets, shuffled, strict=True):
                tangent = (row + row_offset + 0.5 - 0.5 * camera.height) / camera.focal_px
                down, ahead = sin_pitch + tangent * cos_pitch, cos_pitch - tangent * sin_pitch
                ray = Ray()
                ray.plane = int(HORIZON) if abs(down) < 1e-3 else int(GROUND) if down > 0.0 else int(TOP)
                if ray.plane != HORIZON:
                    ray.ahead, ray.sideways = ahead / abs(down), 1.0 / (abs(down) * camera.focal_px)
                ray.column = column_offset + 0.5 - 0.5 * camera.width
                ray.columns_per_slope = ahead * camera.focal_px
                rays[-1].append(ray)
    tangent = (np.arange(camera.height) + 0.5 - 0.5 * camera.height) / camera.focal_px
    deeper = 1.0 / np.maximum(sin_pitch + tangent * cos_pitch, 1e-3)
    pixel = camera.height_m * deeper / camera.focal_px
    return rays, np.digitize(deeper, DEEPER_THAN), np.log2(pixel)


def _tile(texels: np.ndarray) -> np.ndarray:
    """Texels (rows, columns, channels) as (tile rows, tile columns, 8, 8, channels), padded at the far edges.

    A tile of grey is a cache line: a row of rays in any direction then touches few.
    """
    rows, columns, channels = texels.shape
    padded = np.pad(texels, ((0, -rows % 8), (0, -columns % 8), (0, 0)), mode="edge")
    tiles = padded.reshape(padded.shape[0] // 8, 8, padded.shape[1] // 8, 8, channels)
    return np.ascontiguousarray(tiles.swapaxes(1, 2))


def _with_walls_above(camera: PinholeCamera, grounds: Iterable[Ground]) -> Iterator[Ground]:
    """The grounds one by one, each found to have walls that reach above the camera."""
    for ground in grounds:
        height, top = camera.height_m, ground.wall_height
        if not 0.0 < height < top:
            raise ValueError(f"the camera must be above the ground and below the walls' top of {top} m, got {height} m")
        yield ground


class CameraRenderer:
    """Renders the images of the cars of ``num_worlds`` worlds, each on one of ``grounds``.

    Args:
        grounds: What there is to see, each asked for once; a world names its ground by index.
        camera: The camera that every car carries; below the top of the walls.
        device: Warp device.
        color: Images of (height, width, 3) red, green, blue instead of grey (height, width).
        lights: The light of every world (num_worlds,), read at each rendering; ``None``: all have daylight, which is
            faster.
        num_cars: Cars in each world.
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
    ) -> None:
        self.camera = camera
        self.num_worlds, self.num_cars = num_worlds, num_cars
        self.device = wp.get_device(device)
        self.color = color
        self.lights = lights
        self._lens = Lens()
        self._lens.width, self._lens.height = camera.width, camera.height
        self._lens.elevation, self._lens.forward = camera.height_m, camera.forward_m
        self._lens.focal = camera.focal_px
        self._lens.cos_pitch, self._lens.sin_pitch = float(np.cos(camera.pitch_rad)), float(np.sin(camera.pitch_rad))
        rays, counts, texels_log2 = _trace_rays(camera)
        self._rays = self._table(rays, Ray)
        self._counts: wp.array = wp.array(counts, dtype=int, device=self.device)
        self._texels_log2: wp.array = wp.array(texels_log2, dtype=float, device=self.device)
        self._upload(_with_walls_above(camera, grounds))
        num_images = num_worlds * num_cars
        self._views = wp.empty((num_worlds, num_cars), dtype=View, device=self.device)
        # On the CPU an index of a launch costs tens of nanoseconds, on CUDA it is a thread.
        self._rows_each, self._max_columns = (camera.height, 160) if self.device.is_cpu else (1, 8)
        self._dim = (num_images, -(-camera.height // self._rows_each), -(-camera.width // self._max_columns))
        self._kernel = _render_kernel(3 if color else 1, self._max_columns, lights is not None)
        num_lit = num_images if lights is not None else 0
        self._daylight: wp.array = wp.array(DAYLIGHT[None], dtype=Light, device=self.device)
        self._lit_colors = wp.empty((num_lit, 5, 3), dtype=wp.uint16, device=self.device)
        self._dimming = wp.empty(num_lit, dtype=wp.vec3, device=self.device)

    @property
    def image_shape(self) -> tuple[int, ...]:
        """Shape of ``out`` in ``render``: (num_worlds * num_cars, height, width), with a last axis of 3 in color."""
        shape = (self.num_worlds * self.num_cars, self.camera.height, self.camera.width)
        return (*shape, 3) if self.color else shape

    def _table(self, rows: list[list[Any]], dtype: Any) -> wp.array:
        """A 2D array of structs; short rows repeat their last entry."""
        columns = max(map(len, rows))
        flat = [entry for row in rows for entry in row + row[-1:] * (columns - len(row))]
        return wp.array(flat, dtype=dtype, device=self.device).reshape((len(rows), columns))

    def _upload(self, grounds: Iterable[Ground]) -> None:
        fields: list[Any] = []
        tables: list[list[Any]] = []
        pieces: list[np.ndarray] = []
        base = 0
        colored = self.color or self.lights is not None
        surfaces: list[np.ndarray] = []
        for ground in grounds:
            surfaces.append(np.vstack([ground.wall_colors, ground.sky]))
            pyramid = ground.levels(color=colored)
            field = _Field()
            field.x_min, field.y_min, field.x_max, field.y_max = ground.rectangle
            field.wall_height = ground.wall_height
            field.x_origin, field.y_origin = ground.origin
            field.texel_log2 = float(np.log2(ground.texel))
            field.num_levels = len(pyramid)
            fields.append(field)
            tables.append([])
            for texels, scale in pyramid:
                level = _Level()
                tiles = _tile(texels)
                level.base, level.stride = base, tiles[0].size // tiles.shape[-1]
                level.x_scale, level.y_scale = scale
                tables[-1].append(level)
                pieces.append(tiles.reshape(-1))
                base += tiles.size
        if base >= 2**31:
            raise ValueError(
                f"the pictures of {len(fields)} grounds take {base / 2**30:.1f} GiB, at most 2 are possible"
            )
        colors = np.array(surfaces)
        colors = colors if colored else (colors @ GREY_WEIGHTS)[..., None]
        self._fields: wp.array = wp.array(fields, dtype=_Field, device=self.device)
        self._levels = self._table(tables, _Level)
        self._texels: wp.array = wp.array(np.concatenate(pieces), dtype=wp.uint8, device=self.device)
        self._colors: wp.array = wp.array(np.round(colors).astype(np.uint16), dtype=wp.uint16, device=self.device)

    def render(self, poses: wp.array, track: wp.array, active: wp.array, out: wp.array) -> None:
        """Write the images of the active cars into ``out``; the others keep theirs.

        A car whose pose is not finite keeps its image too.

        Args:
            poses: Of base_link, x, y, yaw [m, m, rad], vec3 (num_worlds, num_cars).
            track: Index of each world's ground, int32 (num_worlds,).
            active: Nonzero where to render, int32 (num_worlds, num_cars).
            out: uint8 of ``image_shape``, contiguous, the cars of a world together (Warp's arrays have four axes at
                most).
        """
        wp.launch(
            _set_up_views,
            dim=self._views.shape,
            inputs=[self._lens, self._fields, poses, track, active],
            outputs=[self._views],
            device=self.device,
        )
        colors = self._colors
        if self.lights is not None:
            colors = self._lit_colors
            wp.launch(
                _light_surfaces,
                dim=self._views.shape,
                inputs=[self._daylight, self._colors, self.lights],
                outputs=[self._views, colors, self._dimming],
                device=self.device,
            )
        scene = [self._rays, self._counts, self._texels_log2, self._fields, self._levels, self._texels, colors]
        wp.launch(
            self._kernel,
            dim=self._dim,
            inputs=[self._lens, *scene, self._dimming, self._views.flatten(), self._rows_each],
            outputs=[self._rows(out)],
            device=self.device,
        )

    def _rows(self, images: wp.array) -> wp.array:
        """Images as kernels write them: (num_images, height, bytes of a row)."""
        return images.reshape((self._dim[0], self.camera.height, -1))

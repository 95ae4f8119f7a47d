"""The flat world of a track as a picture: road, lines and field painted to scale, blurred copies for far rows, walls.

Baking happens once per track and is kept in memory only. The picture is metric: texel (row, column) of a level lies at
``origin + (column, row) / scale`` [m], so row 0 is the south edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
import shapely
from PIL import Image, ImageDraw, ImageFilter
from shapely.geometry import LineString, Polygon
from shapely.geometry.base import BaseGeometry
from shapely.ops import substring

from hotlap.tracks.themes import RGB, Theme, find_theme
from hotlap.tracks.track import Track

GREY_WEIGHTS = (0.2989, 0.587, 0.114)
"""Share of red, green and blue in grey, as in the policy's input filter."""

FIELD, ROAD, EDGE_LINE, CENTER_LINE, WALL, SKY = range(6)
"""Classes of surface, in ``Ground.labels`` and in pictures of classes."""

FIELD_MARGIN = 0.91  # [m] from the road's bounding box to the walls
WALL_HEIGHT = 1.0  # [m]
APRON = 0.25  # [m] painted beyond the walls: blurred texels and rounding errors at the wall stay inside the picture

# What light makes of the mean texture colors, measured on the original's frames of 2019: lines are much brighter than
# their textures, and the ground is darker towards north-east.
GAIN = {ROAD: 1.04, FIELD: 1.055, EDGE_LINE: 1.2, CENTER_LINE: 1.21}
FALLOFF = (0.045, 0.018)
"""Share of brightness that the ground loses from the middle of the field to its east and north side."""
GRAIN_SIZE = 0.004  # [m] width of a speck of the surfaces' fine pattern

MAX_TEXELS = 32_000_000
MAX_TEXELS_TOGETHER = 128_000_000  # of all tracks of a scene …
FEWEST_TEXELS = 2_000_000  # … but at least so many of each
FINEST_TEXEL = 0.0025  # [m]
COARSEST_TEXEL = 0.17  # [m] what a column of the standard camera spans 20 m away
LEVELS_PER_OCTAVE = 2
STRIP = 32  # rows that are colored at once: few enough for the processor's cache, and a divisor of the grain's 512


class Level(NamedTuple):
    """One blurred copy of the ground."""

    texels: np.ndarray
    """uint8 (rows, columns, channels)."""
    scale: tuple[float, float]
    """Texels per metre along x and y."""


@dataclass(frozen=True, eq=False)
class Ground:
    """What a camera can see of a track.

    ============ ================== =================================================================
    field        shape              meaning
    ============ ================== =================================================================
    name                            name of the track
    labels       (rows, columns)    class of every texel: FIELD, ROAD, EDGE_LINE or CENTER_LINE
    rgb          (rows, columns, 3) lit colors, uint8
    origin       (2,)               position [m] of the outer corner of texel (0, 0)
    texel        ()                 size of a texel [m]
    rectangle    (4,)               the field within the walls [m]: x_min, y_min, x_max, y_max
    wall_height  ()                 [m]
    wall_colors  (4, 3)             lit colors of the south, east, north and west wall, 0 to 255
    sky          (3,)               color above the walls, 0 to 255
    ============ ================== =================================================================
    """

    name: str
    labels: np.ndarray
    rgb: np.ndarray
    origin: tuple[float, float]
    texel: float
    rectangle: tuple[float, float, float, float]
    wall_height: float
    wall_colors: np.ndarray
    sky: RGB

    @property
    def grey(self) -> np.ndarray:
        """Grey of ``rgb``, uint8 (rows, columns)."""
        weights = np.array(GREY_WEIGHTS, dtype=np.float32)
        grey = np.empty(self.rgb.shape[:2], dtype=np.uint8)
        for row in range(0, len(grey), 256):  # in strips: the whole as float would need gigabytes
            grey[row : row + 256] = self.rgb[row : row + 256] @ weights + 0.5
        return grey

    def levels(self, *, color: bool) -> list[Level]:
        """Copies for ever coarser pixels, half an octave apart; ``texels`` have three channels or one.

        Level 0 is the picture itself. In the others a texel averages over about two of its own widths, which is what
        a pixel that wide sees; the finer spacing lets the renderer take the nearest texel without jagged edges.
        """
        base = self.rgb if color else self.grey
        image = Image.fromarray(base)
        levels = [image]
        width, height = image.size
        num = 1 + int(np.ceil(LEVELS_PER_OCTAVE * np.log2(COARSEST_TEXEL / self.texel)))
        for index in range(1, num):
            shrink = 2.0 ** (index / LEVELS_PER_OCTAVE)
            size = (max(8, round(width / shrink)), max(8, round(height / shrink)))
            source = levels[max(0, index - 3 * LEVELS_PER_OCTAVE)]
            levels.append(source.resize(size, Image.Resampling.BILINEAR))
        levels[1:] = [level.filter(_TENT) for level in levels[1:]]
        extent = (width * self.texel, height * self.texel)
        return [
            Level(
                np.asarray(level).reshape(level.height, level.width, -1),
                (level.width / extent[0], level.height / extent[1]),
            )
            for level in levels
        ]


_TENT = ImageFilter.Kernel((3, 3), (1, 2, 1, 2, 4, 2, 1, 2, 1))


def bake_ground(
    track: Track,
    theme: Theme | str | None = None,
    *,
    texel: float | None = None,
    num_grounds: int = 1,
    field_margin: float = FIELD_MARGIN,
    seed: int = 0,
) -> Ground:
    """Paint the ground of ``track``.

    Args:
        theme: Theme or its name; None: the track's own.
        texel: Size of a texel [m]; None: 2.5 mm, or coarser where that would take more than 32 million texels, or
            more than its share of 128 million that all grounds of a scene have together.
        num_grounds: Of the scene.
        field_margin: Distance from the road's bounding box to the walls [m].
        seed: Seed of the surfaces' grain.

    Raises:
        TrackError: If there is no such theme.
    """
    if not isinstance(theme, Theme):
        theme = find_theme(track.theme if theme is None else theme)
    x_min, y_min, x_max, y_max = track.bounds
    rectangle = (x_min - field_margin, y_min - field_margin, x_max + field_margin, y_max + field_margin)
    origin = (rectangle[0] - APRON, rectangle[1] - APRON)
    extent = (rectangle[2] + APRON - origin[0], rectangle[3] + APRON - origin[1])
    if texel is None:
        most = min(MAX_TEXELS, max(FEWEST_TEXELS, MAX_TEXELS_TOGETHER // num_grounds))
        texel = max(FINEST_TEXEL, float(np.sqrt(extent[0] * extent[1] / most)))
    width, height = int(np.ceil(extent[0] / texel)), int(np.ceil(extent[1] / texel))

    # Painted at twice the resolution: texels on an edge then have in-between colors, and near edges look smooth.
    fine = Image.new("L", (2 * width, 2 * height), FIELD)
    for geometry, label in zip(paint_regions(track, theme), (ROAD, EDGE_LINE, CENTER_LINE), strict=True):
        _fill(fine, geometry, label, origin, 0.5 * texel)
    labels = np.asarray(fine)
    return Ground(
        name=track.name,
        labels=labels[::2, ::2].copy(),
        rgb=_color(labels, theme, seed, texel),
        origin=origin,
        texel=texel,
        rectangle=rectangle,
        wall_height=WALL_HEIGHT,
        wall_colors=np.clip(np.outer(theme.wall_light, theme.wall), 0.0, 255.0),
        sky=theme.sky,
    )


def paint_regions(track: Track, theme: Theme) -> tuple[BaseGeometry, BaseGeometry, BaseGeometry]:
    """Road, edge lines and center line as areas [m], in the order in which they are painted over each other."""
    road = shapely.make_valid(Polygon(track.road_rings[0], list(track.road_rings[1:])))
    # Mitred like the meshes of the original, whose lines are polygons with the corners of the route.
    edges = [
        LineString(border).buffer(theme.edge_line_width, join_style="mitre", cap_style="flat")
        for border in (track.inner, track.outer)
    ]
    center = LineString(track.center)
    starts = np.arange(0.0, center.length, theme.dash + theme.gap)
    dashes = [
        substring(center, start, min(start + theme.dash, center.length)).buffer(
            0.5 * theme.center_line_width, cap_style="flat", join_style="mitre"
        )
        for start in starts
    ]
    return road, shapely.union_all(edges).intersection(road), shapely.union_all(dashes)


def _fill(labels: Image.Image, geometry: BaseGeometry, label: int, origin: tuple[float, float], texel: float) -> None:
    for polygon in shapely.get_parts(geometry):
        if not isinstance(polygon, Polygon) or polygon.is_empty:
            continue
        low = np.floor((np.array(polygon.bounds[:2]) - origin) / texel).astype(int) - 1
        high = np.ceil((np.array(polygon.bounds[2:]) - origin) / texel).astype(int) + 2
        mask = Image.new("L", (int(high[0] - low[0]), int(high[1] - low[1])), 0)
        draw = ImageDraw.Draw(mask)
        for ring, value in ((polygon.exterior, 255), *((hole, 0) for hole in polygon.interiors)):
            # Pillow's pixel (0, 0) is centered on (0, 0), our texel on half a texel.
            points = (np.array(ring.coords) - origin) / texel - low - 0.5
            draw.polygon(list(map(tuple, points)), fill=value)
        labels.paste(label, (int(low[0]), int(low[1])), mask)


def _color(fine: np.ndarray, theme: Theme, seed: int, texel: float) -> np.ndarray:
    """Lit colors with grain, uint8 (rows, columns, 3), of labels at twice the resolution."""
    height, width = fine.shape[0] // 2, fine.shape[1] // 2
    colors = np.zeros((3, 256))
    grains = np.zeros(256, dtype=np.float32)
    for label, color, grain in (
        (FIELD, theme.field, theme.field_grain),
        (ROAD, theme.road, theme.road_grain),
        (EDGE_LINE, theme.edge_line, theme.line_grain),
        (CENTER_LINE, theme.center_line, theme.line_grain),
    ):
        colors[:, label] = np.clip(GAIN[label] * np.array(color), 0.0, 255.0)
        grains[label] = grain
    whole = np.round(colors).astype(np.uint16)
    unlit = whole.astype(np.float32)

    pattern = _grain(512, texel, seed)
    pattern = np.tile(pattern, (1, -(-width // 512)))[:, :width]
    east = 1.0 - FALLOFF[0] * np.linspace(-1.0, 1.0, width, dtype=np.float32)
    north = 1.0 - FALLOFF[1] * np.linspace(-1.0, 1.0, height, dtype=np.float32)
    rgb = np.empty((height, width, 3), dtype=np.uint8)
    for row in range(0, height, STRIP):
        strip = fine[2 * row : 2 * (row + STRIP)]
        corners = [strip[::2, ::2], strip[::2, 1::2], strip[1::2, ::2], strip[1::2, 1::2]]
        labels = np.ascontiguousarray(corners[0])
        gain = grains.take(labels)
        gain *= pattern[row % 512 :][: len(labels)]
        gain += 1.0
        gain *= east * north[row : row + STRIP, None]
        # Few texels lie on an edge; only they need the mean of their corners.
        mixed = np.flatnonzero(np.logical_or.reduce([labels != corner for corner in corners[1:]]))
        mixed_labels = [corner.reshape(-1)[mixed] for corner in corners]
        for channel, table in enumerate(unlit):
            lit = table.take(labels)
            south_west, south_east, north_west, north_east = (whole[channel].take(each) for each in mixed_labels)
            lower, upper = (south_west + south_east + 1) // 2, (north_west + north_east + 1) // 2
            lit.reshape(-1)[mixed] = (lower + upper + 1) // 2
            lit *= gain
            lit += 0.5
            rgb[row : row + STRIP, :, channel] = np.minimum(lit, 255.0, out=lit)
    return rgb


def _grain(size: int, texel: float, seed: int) -> np.ndarray:
    """A pattern of GRAIN_SIZE that repeats without seam: float32 (size, size) of mean 0 and deviation 1."""
    noise = np.random.default_rng(seed).standard_normal((size, size))
    frequency = np.fft.fftfreq(size, d=texel)
    distance = np.hypot(frequency[:, None], frequency[None, :])
    smooth = np.fft.ifft2(np.fft.fft2(noise) * np.exp(-((2.0 * distance * GRAIN_SIZE) ** 2))).real
    return ((smooth - smooth.mean()) / smooth.std()).astype(np.float32)

"""Polylines on the device: nearest point and point-in-road tests, shared by every kernel that asks where a car is."""

from typing import no_type_check

import numpy as np
import warp as wp


@wp.struct
class Segment:
    """One straight piece of a polyline; start, extent, length [m], 1/length² (0 for a point), arc at start [m]."""

    ax: wp.float32
    ay: wp.float32
    dx: wp.float32
    dy: wp.float32
    inv_length2: wp.float32
    length: wp.float32
    s: wp.float32


@wp.struct
class Nearest:
    """The point of a polyline nearest to a query: position [m], arc length [m], segment number and fraction in it."""

    x: wp.float32
    y: wp.float32
    s: wp.float32
    segment: wp.int32
    fraction: wp.float32
    distance2: wp.float32


@wp.func
@no_type_check
def nearest_on_line(
    segments: wp.array2d(dtype=Segment), line: wp.int32, num_segments: wp.int32, x: wp.float32, y: wp.float32
):
    """Nearest point of polyline ``line``; where two are equally near, the one with the smaller arc length."""
    best = float(1.0e30)
    best_segment = int(0)
    best_fraction = float(0.0)
    for i in range(num_segments):
        px = x - segments[line, i].ax
        py = y - segments[line, i].ay
        dx = segments[line, i].dx
        dy = segments[line, i].dy
        t = wp.clamp((px * dx + py * dy) * segments[line, i].inv_length2, 0.0, 1.0)
        ex = px - t * dx
        ey = py - t * dy
        distance2 = ex * ex + ey * ey
        if distance2 < best:
            best = distance2
            best_segment = i
            best_fraction = t
    found = Nearest()
    segment = segments[line, best_segment]
    found.x = segment.ax + best_fraction * segment.dx
    found.y = segment.ay + best_fraction * segment.dy
    found.s = segment.s + best_fraction * segment.length
    found.segment = best_segment
    found.fraction = best_fraction
    found.distance2 = best
    return found


@wp.func
@no_type_check
def crosses(ax: wp.float32, ay: wp.float32, dx: wp.float32, dy: wp.float32, x: wp.float32, y: wp.float32):
    """1 if the ray from (x, y) towards +x crosses the segment, else 0; summed over a ring, odd means inside."""
    if (ay > y) != (ay + dy > y) and x < ax + dx * (y - ay) / dy:
        return 1
    return 0


@wp.func
@no_type_check
def ring_crossings(segments: wp.array2d(dtype=Segment), line: wp.int32, num_segments: wp.int32, x: wp.vec4, y: wp.vec4):
    """Crossings of four query points at once, one per component."""
    count = wp.vec4i(0, 0, 0, 0)
    for i in range(num_segments):
        ax = segments[line, i].ax
        ay = segments[line, i].ay
        dx = segments[line, i].dx
        dy = segments[line, i].dy
        for k in range(4):
            count[k] += crosses(ax, ay, dx, dy, x[k], y[k])
    return count


# Warp turns the class into its own struct type, which type checkers cannot see.
SEGMENT_DTYPE = np.dtype(Segment.numpy_dtype())  # type: ignore[attr-defined]


def segments_of(points: np.ndarray) -> np.ndarray:
    """Structured ``Segment`` rows, shape (N - 1,), of a polyline of shape (N, 2) [m]."""
    extent = np.diff(points, axis=0)
    length = np.hypot(extent[:, 0], extent[:, 1])
    rows: np.ndarray = np.zeros(len(extent), dtype=SEGMENT_DTYPE)
    rows["ax"], rows["ay"] = points[:-1, 0], points[:-1, 1]
    rows["dx"], rows["dy"] = extent[:, 0], extent[:, 1]
    rows["inv_length2"] = np.divide(1.0, length**2, out=np.zeros_like(length), where=length > 0)
    rows["length"] = length
    rows["s"] = np.concatenate([[0.0], np.cumsum(length)[:-1]])
    return rows

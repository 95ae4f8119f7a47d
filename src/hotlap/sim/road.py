"""The road as a table on the device: where the center line is so far along, which way it goes and how wide it is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, no_type_check

import numpy as np
import warp as wp

from hotlap.tracks.track import Track

if TYPE_CHECKING:  # as type checkers see it, `wp.array2d` has no methods (Warp 1.19)
    from warp import array as array2d
else:
    from warp import array2d

STEP = 0.05  # [m] along the center line between the points of a table
DIRECTION_REACH = 0.1  # [m] to either side of a point, between which its direction is taken: waypoints are noisy


@wp.struct
class RoadPoint:
    """A point of the center line, x, y [m], its direction in driving direction, and half of the width there [m]."""

    x: wp.float32
    y: wp.float32
    cos_yaw: wp.float32
    sin_yaw: wp.float32
    half_width: wp.float32


@wp.struct
class RoadData:
    """The roads of all routes on a device: their points, (num_routes, most points), and the number of intervals between
    those of each, (num_routes,)."""

    points: array2d[RoadPoint]
    num_intervals: wp.array[wp.int32]


# Warp turns the class into its own struct type, which type checkers cannot see.
ROAD_DTYPE = np.dtype(RoadPoint.numpy_dtype())  # type: ignore[attr-defined]


def road_tables(routes: Sequence[Track]) -> tuple[np.ndarray, np.ndarray]:
    """Points of the road at even distances from 0 to the length.

    Returns:
        Rows of ``RoadPoint``, (num_routes, most points), and the number of intervals of each route, (num_routes,).
    """
    counts = np.array([int(np.ceil(route.length / STEP)) for route in routes])
    table: np.ndarray = np.zeros((len(routes), counts.max() + 1), dtype=ROAD_DTYPE)
    for rows, route, count in zip(table, routes, counts, strict=True):
        s = np.linspace(0.0, route.length, count + 1)
        along = route.point_at(s + DIRECTION_REACH) - route.point_at(s - DIRECTION_REACH)
        along /= np.linalg.norm(along, axis=1, keepdims=True)
        rows = rows[: count + 1]
        rows["x"], rows["y"] = route.point_at(s).T
        rows["cos_yaw"], rows["sin_yaw"] = along.T
        rows["half_width"] = 0.5 * route.width_at(s)
    return table, counts


def upload_road(routes: Sequence[Track], device: str) -> RoadData:
    """The roads of these routes on a device."""
    points, num_intervals = road_tables(routes)
    road = RoadData()
    road.points = wp.array(points, dtype=RoadPoint, device=device)
    road.num_intervals = wp.array(num_intervals, dtype=wp.int32, device=device)
    return road


@wp.func
@no_type_check
def road_point(road: RoadData, route: int, share: float) -> RoadPoint:
    """The road of a route at a share of its center line from 0 to 1."""
    position = share * float(road.num_intervals[route])
    before = wp.clamp(int(position), 0, road.num_intervals[route] - 1)
    t = position - float(before)
    a = road.points[route, before]
    b = road.points[route, before + 1]
    point = RoadPoint()
    point.x = wp.lerp(a.x, b.x, t)
    point.y = wp.lerp(a.y, b.y, t)
    point.cos_yaw = wp.lerp(a.cos_yaw, b.cos_yaw, t)
    point.sin_yaw = wp.lerp(a.sin_yaw, b.sin_yaw, t)
    point.half_width = wp.lerp(a.half_width, b.half_width, t)
    return point

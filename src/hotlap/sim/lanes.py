"""The lanes as smooth curves for cars that follow them: half-way between the center line and either border."""

from __future__ import annotations

from collections.abc import Sequence
from typing import no_type_check

import numpy as np
import warp as wp

from hotlap.sim.objects import LANES
from hotlap.tracks.track import Track

STEP = 0.02  # [m] along the center line between the points of a table
LEAST_SPACING = 0.01  # [m] between the waypoints that a curve goes through: nearer ones would make it swing


def lane_tables(routes: Sequence[Track]) -> tuple[np.ndarray, np.ndarray]:
    """Cubic curves through the rows of the lanes, over the distance along the center line.

    Returns:
        Points and tangents x, y [m], dx, dy [per meter of the center line] at even distances from 0 to the length, of
        the inner and outer lane of each route in turn: float32 (2 num_routes, most points, 4). And the number of
        intervals, (num_routes,).
    """
    from scipy.interpolate import CubicSpline  # as much to load as the rest of the simulator; only bots drive on lanes

    counts = np.array([int(np.ceil(route.length / STEP)) for route in routes])
    table = np.zeros((2 * len(routes), counts.max() + 1, 4), dtype=np.float32)
    for number, (route, count) in enumerate(zip(routes, counts, strict=True)):
        last = len(route.arc) - 1
        rows = [0]
        for row in range(1, last):
            if min(route.arc[row] - route.arc[rows[-1]], route.length - route.arc[row]) >= LEAST_SPACING:
                rows.append(row)
        rows.append(last)
        at = np.linspace(0.0, route.length, count + 1)
        for k, lane in enumerate(LANES):
            ends = "periodic" if route.closed else "not-a-knot"
            curve = CubicSpline(route.arc[rows], route.lane(lane)[rows], bc_type=ends)
            table[2 * number + k, : count + 1] = np.concatenate([curve(at), curve(at, 1)], axis=1)
    return table, counts


@wp.func
@no_type_check
def lane_point(table: wp.array2d(dtype=wp.vec4), line: int, num_intervals: int, share: float) -> wp.vec4:
    """Point and tangent of a lane, row ``line`` of the table, at a share of the center line from 0 to 1."""
    position = share * float(num_intervals)
    before = wp.clamp(int(position), 0, num_intervals - 1)
    return wp.lerp(table[line, before], table[line, before + 1], position - float(before))

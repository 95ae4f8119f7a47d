"""Plane geometry of polylines and rings, in float64: nearest points, arc length, crossings.

A polyline is an array (N, 2) [m] of its vertices in order. A ring is a polyline whose last vertex repeats the first.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

PAIRS_AT_ONCE = 1 << 18  # point-segment pairs per block: a few MB, which stay in the cache
MEETING_TOLERANCE = 1e-6  # of a segment's length


class Nearest(NamedTuple):
    """The points of a polyline nearest to given points; the leading shape is that of the given points."""

    s: np.ndarray
    """Arc length of the nearest point [m]."""
    point: np.ndarray
    """The nearest point [m], shape (..., 2)."""
    distance: np.ndarray
    """How far away it is [m]."""
    segment: np.ndarray
    """Index of the segment it lies on; its vertices are ``segment`` and ``segment + 1``."""


def arc_lengths(polyline: np.ndarray) -> np.ndarray:
    """Arc length of every vertex [m], shape (N,), from 0 at the first."""
    steps = np.hypot(*np.diff(polyline, axis=0).T)
    return np.concatenate(([0.0], np.cumsum(steps)))


def nearest(polyline: np.ndarray, points: np.ndarray) -> Nearest:
    """Nearest points of ``polyline`` to ``points`` (..., 2) [m].

    Where two stretches are equally near the earlier one is taken, as Shapely's ``project`` does.
    """
    points = np.asarray(points, dtype=np.float64)
    flat = points.reshape(-1, 2)
    start, along = polyline[:-1], np.diff(polyline, axis=0)
    squared_length = np.einsum("ij,ij->i", along, along)
    safe_length = np.where(squared_length > 0.0, squared_length, 1.0)
    segment = np.empty(len(flat), dtype=np.int64)
    fraction = np.empty(len(flat))
    block = max(1, PAIRS_AT_ONCE // len(start))
    for first in range(0, len(flat), block):
        offset = flat[first : first + block, None, :] - start
        at = np.clip(np.einsum("pij,ij->pi", offset, along) / safe_length, 0.0, 1.0)
        offset -= at[..., None] * along
        best = np.einsum("pij,pij->pi", offset, offset).argmin(axis=1)
        segment[first : first + block] = best
        fraction[first : first + block] = at[np.arange(len(best)), best]
    point = start[segment] + fraction[:, None] * along[segment]
    # A vertex comes back as itself, not as a sum that rounds beside it.
    point = np.where((fraction == 1.0)[:, None], polyline[segment + 1], point)
    arc = arc_lengths(polyline)
    s = np.where(fraction == 1.0, arc[segment + 1], arc[segment] + fraction * np.sqrt(squared_length[segment]))
    distance = np.hypot(*(flat - point).T)
    shape = points.shape[:-1]
    return Nearest(s.reshape(shape), point.reshape(points.shape), distance.reshape(shape), segment.reshape(shape))


def interpolate(polyline: np.ndarray, s: np.ndarray) -> np.ndarray:
    """Points at arc lengths ``s`` (...) [m], shape (..., 2); beyond the ends the end vertices."""
    arc = arc_lengths(polyline)
    return np.stack([np.interp(s, arc, polyline[:, 0]), np.interp(s, arc, polyline[:, 1])], axis=-1)


def circle_curvature(behind: np.ndarray, here: np.ndarray, ahead: np.ndarray) -> np.ndarray:
    """Curvature [1/m] of the circles through three points each (..., 2), left positive; 0 where points coincide."""
    first, second = here - behind, ahead - here
    sides = np.prod([np.hypot(side[..., 0], side[..., 1]) for side in (first, second, ahead - behind)], axis=0)
    return 2.0 * _cross(first, second) / np.where(sides > 0.0, sides, np.inf)


def signed_area(ring: np.ndarray) -> float:
    """Area of a ring [m²], positive when it runs counter-clockwise."""
    x, y = (ring - ring[0]).T  # about its own first vertex, or far-away rings lose digits
    return float(0.5 * np.sum(x[:-1] * y[1:] - x[1:] * y[:-1]))


class Crossing(NamedTuple):
    """Where segment ``first`` of one polyline crosses segment ``second`` of another."""

    first: int
    second: int
    point: tuple[float, float]


def find_crossings(one: np.ndarray, other: np.ndarray, most: int) -> list[Crossing]:
    """The first ``most`` places where two polylines, or one with itself, meet at an angle, in the order of ``one``.

    Segments count with their first vertex and without their last, so neighbors in one line do not meet. With itself,
    each place is found twice, once from either stretch.
    """
    one_along, other_along = np.diff(one, axis=0), np.diff(other, axis=0)
    one_length, other_length = np.hypot(*one_along.T), np.hypot(*other_along.T)
    one_box = _boxes(one, one_length)
    (other_left, other_bottom), (other_right, other_top) = _boxes(other, other_length)
    crossings = []
    block = max(1, PAIRS_AT_ONCE // len(other))
    for first in range(0, len(one) - 1, block):
        (left, bottom), (right, top) = one_box[..., first : first + block, None]
        # Most pairs are far apart: what is worked out below of each is worked out of those alone that may meet.
        beside = (left <= other_right) & (right >= other_left) & (bottom <= other_top) & (top >= other_bottom)
        i, j = np.nonzero(beside)
        i += first
        along, across, offset = one_along[i], other_along[j], other[j] - one[i]
        determinant = _cross(along, across)
        # Nearly parallel segments, as neighbors on a straight, have no place where they meet but rounding.
        parallel = np.abs(determinant) <= 1e-9 * one_length[i] * other_length[j]
        safe = np.where(parallel, np.inf, determinant)
        at = np.where(parallel, -1.0, _cross(offset, across) / safe)
        other_at = _cross(offset, along) / safe
        meets = (at >= -MEETING_TOLERANCE) & (at < 1 - MEETING_TOLERANCE)
        meets &= (other_at >= -MEETING_TOLERANCE) & (other_at < 1 - MEETING_TOLERANCE)
        for k in np.flatnonzero(meets):
            x, y = one[i[k]] + at[k] * along[k]
            crossings.append(Crossing(int(i[k]), int(j[k]), (float(x), float(y))))
            if len(crossings) == most:
                return crossings
    return crossings


def _boxes(line: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Least and largest x and y of its segments, shape (2, 2, N - 1), with half a length to spare on every side."""
    start, end = line[:-1].T, line[1:].T
    return np.stack([np.minimum(start, end) - 0.5 * lengths, np.maximum(start, end) + 0.5 * lengths])


def _cross(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return one[..., 0] * other[..., 1] - one[..., 1] * other[..., 0]

"""A track and its geometry: where a point is along it, how wide it is there, and whether the point is on the road."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import Literal, NamedTuple

import numpy as np
import shapely

from hotlap.tracks import polyline

DUPLICATE_DISTANCE = 1e-9  # [m] consecutive center points closer than this are one waypoint

CURVATURE_REACH = 0.3  # [m]


class TrackLocation(NamedTuple):
    """Points in terms of the track; every field has the leading shape of the points, ``waypoints`` one axis more."""

    s: np.ndarray
    """Arc length of the nearest center point [m], in [0, length]."""
    distance: np.ndarray
    """Distance from the center line [m], never negative, unbounded."""
    is_left: np.ndarray
    """Whether the point is left of the center line in driving direction."""
    width: np.ndarray
    """Local width of the track [m]."""
    waypoints: np.ndarray
    """Indices of the previous and next waypoint, shape (..., 2)."""

    @property
    def n(self) -> np.ndarray:
        """Offset from the center line [m], left positive."""
        return np.where(self.is_left, self.distance, -self.distance)


@dataclass(frozen=True, eq=False)
class Track:
    """A road given by corresponding points of its center line and its two borders.

    ======== ======= ==================================================================================
    field    shape   meaning
    ======== ======= ==================================================================================
    name             name of the track
    center   (N, 2)  center line [m] in driving order, the waypoints; on loops the last row repeats the first
    inner    (N, 2)  border inside the loop [m] (on open tracks, the left one), whatever the driving direction
    outer    (N, 2)  the other border [m]; the white lines lie inside the borders
    closed           whether the track is a loop
    theme            name of its color theme
    ======== ======= ==================================================================================

    Rows whose center repeats the one before (closer than 1e-9 m) are dropped; the closing row is kept. The arrays are
    read-only float64. The start line is at the first waypoint. Positions are points (..., 2) [m] of any leading shape.

    Definitions: DeepRacer simapp, ``markov/track_geom/track_data.py``.
    """

    name: str
    center: np.ndarray
    inner: np.ndarray
    outer: np.ndarray
    closed: bool
    theme: str = "classic"

    def __post_init__(self) -> None:
        lines = [np.array(line, dtype=np.float64) for line in (self.center, self.inner, self.outer)]
        assert all(line.shape == (len(lines[0]), 2) for line in lines), "center, inner and outer must be (N, 2) alike"
        if self.closed:
            for line in lines:
                assert np.allclose(line[0], line[-1], rtol=0.0, atol=1e-6), "a loop must repeat its first row"
                line[-1] = line[0]
        moves = np.hypot(*np.diff(lines[0], axis=0).T) >= DUPLICATE_DISTANCE
        distinct = np.concatenate(([True], moves))
        if not moves[-1]:  # of the points that repeat the last one, it is the last that must stay
            distinct[np.flatnonzero(distinct)[-1]] = False
            distinct[-1] = True
        for field, line in zip(("center", "inner", "outer"), lines, strict=True):
            kept = np.ascontiguousarray(line[distinct])
            kept.flags.writeable = False
            object.__setattr__(self, field, kept)

    def __repr__(self) -> str:
        shape = "loop" if self.closed else "open"
        return f"Track({self.name!r}, {self.length:.2f} m, {shape}, {len(self.center)} waypoints)"

    # Along the track

    @cached_property
    def arc(self) -> np.ndarray:
        """Arc length of the waypoints [m], shape (N,), from 0 to ``length``."""
        return polyline.arc_lengths(self.center)

    @cached_property
    def length(self) -> float:
        """Length of the center line [m]."""
        return float(self.arc[-1])

    @cached_property
    def ccw(self) -> bool:
        """Whether the inner border is on the left: the loop runs counter-clockwise.

        Open tracks count as counter-clockwise as they stand in their file, and as clockwise after ``reversed``.
        """
        if self.closed:
            return polyline.signed_area(self.center) > 0.0
        along = np.diff(self.center, axis=0)
        across = (self.inner - self.outer)[:-1]
        return float(np.sum(along[:, 0] * across[:, 1] - along[:, 1] * across[:, 0])) > 0.0

    def reversed(self) -> Track:
        """The same road driven the other way: rows in reverse order, so the start of a loop stays where it is."""
        return replace(self, center=self.center[::-1], inner=self.inner[::-1], outer=self.outer[::-1])

    def point_at(self, s: np.ndarray | float) -> np.ndarray:
        """Points of the center line at arc lengths ``s`` [m]; loops wrap, open tracks end at their ends."""
        return polyline.interpolate(self.center, self._on_track(s))

    def pose_at(self, s: np.ndarray | float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Poses on the center line at arc lengths ``s`` [m], facing the next waypoint.

        Returns:
            ``x``, ``y`` [m] and ``yaw`` [rad] in (-pi, pi], each of the shape of ``s``.
        """
        s = self._on_track(s)
        x, y = np.moveaxis(polyline.interpolate(self.center, s), -1, 0)
        segment = np.clip(np.searchsorted(self.arc, s, side="right") - 1, 0, len(self.center) - 2)
        along = self.center[segment + 1] - self.center[segment]
        return x, y, np.arctan2(along[..., 1], along[..., 0])

    def _on_track(self, s: np.ndarray | float) -> np.ndarray:
        s = np.asarray(s, dtype=np.float64)
        return np.mod(s, self.length) if self.closed else np.clip(s, 0.0, self.length)

    @cached_property
    def curvature(self) -> np.ndarray:
        """Curvature of the center line at the waypoints [1/m], shape (N,), left positive.

        That of the circle through the waypoint and those 0.3 m or a little more behind and ahead: nearer ones are too
        rough on real routes. The last 0.3 m of open tracks repeat the curvature before them.
        """
        if self.closed:
            line = np.concatenate([self.center[:-1]] * 3)
            arc = np.concatenate([self.arc[:-1] + lap * self.length for lap in (-1, 0, 1)])
        else:
            line, arc = self.center, self.arc
        reach = min(CURVATURE_REACH, 0.25 * self.length)
        here = np.arange(len(arc))
        ahead = np.searchsorted(arc, arc + reach - 1e-3, side="left")
        behind = np.searchsorted(arc, arc - reach + 1e-3, side="right") - 1
        whole = (behind >= 0) & (ahead < len(arc))
        curvature = polyline.circle_curvature(line[behind[whole]], line[here[whole]], line[ahead[whole]])
        if not whole.any():
            return np.zeros(len(self.arc))
        return np.interp(self.arc, arc[whole], curvature)

    def curvature_at(self, s: np.ndarray | float) -> np.ndarray:
        """Curvature at arc lengths ``s`` [m], linear between waypoints."""
        return np.interp(self._on_track(s), self.arc, self.curvature)

    @cached_property
    def min_radius(self) -> float:
        """Radius of the tightest bend of the center line [m], by ``curvature``; infinite on a straight."""
        sharpest = float(np.max(np.abs(self.curvature)))
        return np.inf if sharpest < 1e-6 else 1.0 / sharpest

    # Across the track

    def lane(self, which: Literal["inner", "outer"]) -> np.ndarray:
        """Middle of a lane (N, 2) [m]: row by row half-way between the center line and that border."""
        border = {"inner": self.inner, "outer": self.outer}[which]
        return 0.5 * (self.center + border)

    def project(self, points: np.ndarray) -> np.ndarray:
        """Arc length of the center point nearest to each point [m], in [0, length]; of equally near ones the first."""
        return polyline.nearest(self.center, points).s

    def width_at(self, s: np.ndarray | float) -> np.ndarray:
        """Local width [m]: between the points of either border nearest to the center point at ``s`` [m]."""
        center = self.point_at(s)
        return self._width_and_sides(center)[0]

    def _width_and_sides(self, center: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        inner = polyline.nearest(self.inner, center).point
        outer = polyline.nearest(self.outer, center).point
        return np.hypot(*np.moveaxis(inner - outer, -1, 0)), inner, outer

    @cached_property
    def waypoint_fractions(self) -> np.ndarray:
        """Lap fraction of every waypoint, shape (N,): its projection on the center line, and exactly 1 for the last."""
        return np.append(self.project(self.center[:-1]) / self.length, 1.0)

    def closest_waypoints(self, points: np.ndarray) -> np.ndarray:
        """Previous and next waypoint of the projection of each point, shape (..., 2).

        They are the ends of the segment, not the two nearest ones. On loops they refer to the list with the closing
        waypoint; the next one is 0 only exactly at the end of the lap.
        """
        return self._waypoints_around(self.project(points))

    def _waypoints_around(self, s: np.ndarray) -> np.ndarray:
        count = len(self.center)
        following = np.searchsorted(self.waypoint_fractions, s / self.length, side="right")
        return np.stack([(following - 1) % count, following % count], axis=-1)

    def locate(self, points: np.ndarray) -> TrackLocation:
        """Everything that the rules ask about positions on the track, from one search."""
        points = np.asarray(points, dtype=np.float64)
        center = polyline.nearest(self.center, points)
        width, inner, outer = self._width_and_sides(center.point)
        nearer_inner = _distance(points, inner) < _distance(points, outer)
        return TrackLocation(
            s=center.s,
            distance=center.distance,
            is_left=nearer_inner != (not self.ccw),
            width=width,
            waypoints=self._waypoints_around(center.s),
        )

    # The road as an area

    @cached_property
    def road_rings(self) -> tuple[np.ndarray, ...]:
        """Rings that bound the road: the outer border and its hole, the inner one; on open tracks a single ring."""
        if self.closed:
            return self.outer, self.inner
        return (np.concatenate([self.outer, self.inner[::-1], self.outer[:1]]),)

    def contains(self, points: np.ndarray) -> np.ndarray:
        """Whether points are strictly inside the road; a point exactly on a border is not."""
        points = np.asarray(points, dtype=np.float64)
        inside: np.ndarray = shapely.contains_xy(self._road, points[..., 0], points[..., 1])
        return inside

    @cached_property
    def _road(self) -> shapely.Polygon:
        outside, *holes = self.road_rings
        road = shapely.Polygon(outside, holes)
        shapely.prepare(road)
        return road

    @cached_property
    def bounds(self) -> tuple[float, float, float, float]:
        """Bounding box of the borders [m]: x_min, y_min, x_max, y_max."""
        borders = np.concatenate([self.inner, self.outer])
        return (*map(float, borders.min(axis=0)), *map(float, borders.max(axis=0)))  # type: ignore[return-value]

    def to_rows(self) -> np.ndarray:
        """The track as route rows (N, 6) [m]: center, inner, outer."""
        return np.hstack([self.center, self.inner, self.outer])


def _distance(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    return np.hypot(one[..., 0] - other[..., 0], one[..., 1] - other[..., 1])

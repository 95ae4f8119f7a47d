"""The reward inputs of one car on a route, stated once more: in double precision, with Shapely."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import shapely

FRONT_POINT_AHEAD = 0.14  # [m]


@dataclass(frozen=True)
class Wheels:
    """Where the wheel centers of a car are, from its origin [m]."""

    front_x: float
    rear_x: float
    front_y: float
    rear_y: float

    def centers(self, origin: np.ndarray, yaw: np.ndarray) -> np.ndarray:
        """Shape (n, 4, 2) [m], of cars at ``origin`` (n, 2) [m]."""
        points = [
            (self.front_x, self.front_y),
            (self.front_x, -self.front_y),
            (self.rear_x, self.rear_y),
            (self.rear_x, -self.rear_y),
        ]
        c, s = np.cos(yaw), np.sin(yaw)
        return np.stack([origin + np.stack([c * x - s * y, s * x + c * y], axis=-1) for x, y in points], axis=1)


class RouteReference:
    """One route: lines (N, 2) [m] in driving order, and whether it is the file's order turned round."""

    def __init__(self, center: np.ndarray, inner: np.ndarray, outer: np.ndarray, closed: bool, reverse: bool) -> None:
        self.center, self.inner, self.outer = (shapely.LineString(line) for line in (center, inner, outer))
        if closed:
            self.ccw = bool(shapely.LinearRing(center).is_ccw)
            self.road = shapely.Polygon(outer, [inner])
        else:
            self.ccw = not reverse
            self.road = shapely.Polygon(np.concatenate([outer, inner[::-1]]))
        shapely.prepare(self.road)
        self.num_waypoints = len(center)
        self.waypoints = center
        self.arcs = np.append(shapely.line_locate_point(self.center, shapely.points(center[:-1])), self.center.length)
        self.fractions = self.arcs / self.center.length

    def inputs(self, origin: np.ndarray, yaw: np.ndarray, wheels: Wheels) -> dict[str, np.ndarray]:
        """Reward inputs by name, without what an episode adds, of cars at ``origin`` (n, 2) [m], ``yaw`` [rad]."""
        front = origin + FRONT_POINT_AHEAD * np.stack([np.cos(yaw), np.sin(yaw)], axis=-1)
        point = shapely.points(front)
        along = shapely.line_locate_point(self.center, point)
        on_center = shapely.line_interpolate_point(self.center, along)
        on_inner, on_outer = (
            shapely.line_interpolate_point(line, shapely.line_locate_point(line, on_center))
            for line in (self.inner, self.outer)
        )
        ndist = along / self.center.length
        following = np.searchsorted(self.fractions, ndist, side="right")
        previous = following - 1
        previous = np.where(previous == -1, self.num_waypoints - 1, previous)
        following = np.where(following == self.num_waypoints, 0, following)
        to_previous = np.hypot(*(self.waypoints[previous] - front).T)
        to_following = np.hypot(*(self.waypoints[following] - front).T)
        centers = wheels.centers(origin, yaw)
        inside = shapely.contains_xy(self.road, centers[..., 0], centers[..., 1])
        return {
            "x": front[:, 0],
            "y": front[:, 1],
            "heading": np.rad2deg(yaw),
            "distance_from_center": shapely.distance(point, on_center),
            "projection_distance": along,
            "track_width": shapely.distance(on_inner, on_outer),
            "closest_waypoints": np.stack([previous, following], axis=1),
            "nearest_waypoint": np.where(to_following < to_previous, following, previous),
            "is_left_of_center": (shapely.distance(point, on_inner) < shapely.distance(point, on_outer))
            ^ (not self.ccw),
            "all_wheels_on_track": inside.all(axis=1),
            "is_offtrack": ~inside.any(axis=1),
            "is_crashed": np.zeros(len(front), dtype=bool),
        }


def progress_in_turn(ndists: np.ndarray, start_ndist: float) -> list[float]:
    """Progress [%] of the steps of an episode that starts at ``start_ndist``, by their lap fractions."""
    progresses = []
    previous = 0.0
    for ndist in ndists:
        progress = 100.0 * (ndist - start_ndist)
        if progress <= 0:
            progress += 100.0
        if previous > progress + 50:
            progress += 100.0
        if progress > previous + 50:
            progress -= 100.0
        progress = min(progress, 100.0)
        progresses.append(progress)
        previous = 0.0 if progress == 100 else progress
    return progresses

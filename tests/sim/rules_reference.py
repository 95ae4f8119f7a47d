"""The reward inputs of one car on a route, stated once more: in double precision, with Shapely."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

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
        # What counts as left of center: between the center line and the inner border.
        ring = [center, inner[::-1]]
        self.inner_half = shapely.Polygon(center, [inner]) if closed else shapely.Polygon(np.concatenate(ring))
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

    def object_inputs(
        self, objects: list[ObjectReference], origin: np.ndarray, yaw: float, camera: CameraReference
    ) -> dict[str, np.ndarray]:
        """Reward inputs about objects, and what the car crashes into, of one car at ``origin`` (2,) [m], ``yaw``."""
        front = origin + FRONT_POINT_AHEAD * np.array([np.cos(yaw), np.sin(yaw)])
        here = self.center.project(shapely.Point(front))
        points = shapely.points([each.at for each in objects])
        distances = shapely.line_locate_point(self.center, points)
        order = np.argsort(distances, kind="stable")
        following = int(np.searchsorted(distances[order], here, side="right"))
        previous = (following - 1) % len(objects)
        following %= len(objects)
        outlines = np.array([each.outline for each in objects])
        corners = rectangle(origin, yaw, *CAR_RECTANGLE)
        hits = np.flatnonzero(shapely.contains_xy(outlines[:, None], *corners.T).any(axis=1))
        ahead = objects[order[following]]
        looked_at = np.append([*ahead.corners, ahead.at], np.full((5, 1), ahead.height), axis=1)
        return {
            "closest_objects": order[[previous, following]],
            "objects_left_of_center": shapely.contains(self.inner_half, points) ^ (not self.ccw),
            "objects_distance": distances,
            "objects_distance_from_center": shapely.distance(self.center, points),
            "object_in_camera": camera.sees(origin, yaw, looked_at).any(),
            "crashed_into": np.array(hits[0] if len(hits) else -1),
        }


CAR_RECTANGLE = (0.32352, 0.1961)  # [m] length and width


def rectangle(middle: np.ndarray, yaw: float, length: float, width: float) -> np.ndarray:
    """Corners (4, 2) [m]."""
    ahead, left = np.array([np.cos(yaw), np.sin(yaw)]), np.array([-np.sin(yaw), np.cos(yaw)])
    signs = np.array([(1, 1), (1, -1), (-1, -1), (-1, 1)])
    return middle + 0.5 * signs * (length, width) @ np.stack([ahead, left])


@dataclass(frozen=True)
class ObjectReference:
    """An object on the track: where its origin is, its heading, its rectangle's measures, its origin's height [m]."""

    at: np.ndarray
    yaw: float
    length: float
    width: float
    height: float

    @cached_property
    def corners(self) -> np.ndarray:
        """Of its rectangle, (4, 2) [m]."""
        return rectangle(self.at, self.yaw, self.length, self.width)

    @cached_property
    def outline(self) -> shapely.Polygon:
        """Its rectangle."""
        return shapely.Polygon(self.corners)


@dataclass(frozen=True)
class CameraReference:
    """The volume that `object_in_camera` looks at: a pyramid with its tip at the camera."""

    forward: float = 0.14529379
    height: float = 0.13032555
    pitch: float = 0.2618
    hfov: float = 1.13
    near: float = 0.2
    far: float = 300.0

    def sees(self, origin: np.ndarray, yaw: float, points: np.ndarray) -> np.ndarray:
        """Whether the camera of a car at ``origin``, ``yaw`` has ``points`` (n, 3) [m] strictly inside its view."""
        ahead = np.array([np.cos(yaw), np.sin(yaw), 0.0])
        left = np.array([-np.sin(yaw), np.cos(yaw), 0.0])
        up = np.array([0.0, 0.0, 1.0])
        look = np.cos(self.pitch) * ahead - np.sin(self.pitch) * up
        top = np.sin(self.pitch) * ahead + np.cos(self.pitch) * up
        offset = points - (np.append(origin, 0.0) + self.forward * ahead + self.height * up)
        depth = offset @ look
        reach = depth * np.tan(self.hfov / 2)
        within = (np.abs(offset @ left) < reach) & (np.abs(offset @ top) < 480 / 640 * reach)
        return (self.near < depth) & (depth < self.far) & within


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

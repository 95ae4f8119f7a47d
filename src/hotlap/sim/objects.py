"""What else is on the track: which objects there are, what they look like, and where an episode puts them.

Sources: DeepRacer simapp, ``markov/agent_ctrl/{obstacles,bot_cars}_agent_ctrl.py``, ``markov/track_geom`` and
``bundle/models``.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import warp as wp

from hotlap.deepracer.track_objects import BotCars, Obstacles
from hotlap.tracks import polyline
from hotlap.tracks.themes import RGB
from hotlap.tracks.track import Track

NEAR = 1.0  # [m] along the center line; beside an object so near a car is placed on the other lane
END_DISTANCE = 1.0  # [m] from the last object to the end of the lap
LANES: tuple[Literal["inner", "outer"], ...] = ("inner", "outer")


@dataclass(frozen=True)
class Box:
    """A part of an object as it is drawn, in the object's frame [m]."""

    half_length: float
    half_width: float
    bottom: float
    top: float
    color: RGB
    """0 to 255, without light."""
    ahead: float = 0.0
    """Its middle from the object's origin."""
    paint: int = 0
    """Parts of one paint have one color, where those of an object may differ."""


@dataclass(frozen=True)
class Shape:
    """An object as the rules see it, a rectangle, and as cameras see it, one or more boxes."""

    half_length: float
    """Of the rectangle [m]."""
    half_width: float
    origin_height: float
    """Height of the object's origin above the ground [m], which `object_in_camera` asks about."""
    boxes: tuple[Box, ...]


def _carton(length: float, width: float, height: float, color: RGB) -> Shape:
    # The rules leave a margin of 5 cm around the largest of the three, whichever it is.
    return Shape(0.25, 0.2, 0.1, (Box(length / 2, width / 2, 0.0, height, color),))


SHAPES: dict[str, Shape] = {
    "box_obstacle": _carton(0.4, 0.3, 0.25, (123, 97, 79)),
    "deepracer_box_obstacle": _carton(0.36, 0.265, 0.24, (34, 41, 67)),
    "amazon_box_obstacle": _carton(0.4, 0.3, 0.25, (162, 144, 115)),
    # From the extent of the meshes: wheels and what is between them, the body, the camera's mast and housing.
    "bot_car": Shape(
        0.16176,
        0.09805,
        0.0,
        (
            Box(0.118, 0.098, 0.0, 0.072, (26, 26, 26)),
            Box(0.162, 0.092, 0.035, 0.12, (40, 40, 40), ahead=0.004, paint=1),
            Box(0.105, 0.058, 0.12, 0.19, (40, 40, 40), ahead=0.055, paint=1),
        ),
    ),
}


@wp.struct
class RaceObject:
    """An object in a world. The rectangle of the rules has its middle at the origin, x, y [m], heading ``yaw`` [rad].

    ``distance`` [m] along the center line, ``distance_from_center`` [m] and ``left_of_center`` are the reward inputs;
    ``lane`` is where it was put, 0 for the inner one; ``moves`` is 1 for a bot car.
    """

    x: wp.float32
    y: wp.float32
    yaw: wp.float32
    half_length: wp.float32
    half_width: wp.float32
    origin_height: wp.float32
    lane: wp.int32
    moves: wp.int32
    distance: wp.float32
    distance_from_center: wp.float32
    left_of_center: wp.int32


@wp.struct
class Bot:
    """How a bot car drives: its distance along the center line when the episode starts [m], and the lane that it is on
    or leaves, 0 for the inner one. Its latest change of lane begins and ends at those times of the bots' clock [s],
    which stands when they do; and how many there were.
    """

    start: wp.float32
    lane: wp.int32
    change_begin: wp.float32
    change_end: wp.float32
    num_changes: wp.int32


# Warp turns the classes into its own struct type, which type checkers cannot see.
OBJECT_DTYPE = np.dtype(RaceObject.numpy_dtype())  # type: ignore[attr-defined]
BOT_DTYPE = np.dtype(Bot.numpy_dtype())  # type: ignore[attr-defined]


def shapes_of(obstacles: Obstacles) -> list[Shape]:
    """One per obstacle."""
    return [SHAPES["bot_car" if obstacles.bot_car else obstacles.kind]] * len(obstacles)


def place_obstacles(route: Track, obstacles: Obstacles, rng: np.random.Generator) -> np.ndarray:
    """The obstacles of an episode, rows of ``RaceObject`` without their reward inputs, shape (number,)."""
    shapes = shapes_of(obstacles)
    if obstacles.positions:
        distances = [fraction * route.length for fraction, _ in obstacles.positions]
        lanes = [int(lane == -1) for _, lane in obstacles.positions]
    else:
        distances, lanes = choose_spots(
            route, len(shapes), obstacles.min_distance, rng if obstacles.randomize else None
        )
    return _stand(route, shapes, distances, lanes)


def place_bots(route: Track, bots: BotCars, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """The bot cars of an episode: rows of ``RaceObject``, as of obstacles, and of ``Bot``, each of shape (number,)."""
    distances, lanes = choose_spots(route, bots.number, bots.min_distance, rng if bots.randomize else None)
    objects = _stand(route, [SHAPES["bot_car"]] * bots.number, distances, lanes)
    objects["moves"] = 1
    rows: np.ndarray = np.zeros(bots.number, dtype=BOT_DTYPE)
    rows["start"], rows["lane"] = distances, lanes
    return objects, rows


def _stand(route: Track, shapes: list[Shape], distances: list[float], lanes: list[int]) -> np.ndarray:
    """Objects on their lanes beside the points of the center line at ``distances`` [m]."""
    rows: np.ndarray = np.zeros(len(shapes), dtype=OBJECT_DTYPE)
    for row, shape, distance, lane in zip(rows, shapes, distances, lanes, strict=True):
        row["x"], row["y"], row["yaw"] = lane_pose_at(route, LANES[lane], distance)
        row["half_length"], row["half_width"] = shape.half_length, shape.half_width
        row["origin_height"], row["lane"] = shape.origin_height, lane
    return rows


def choose_spots(
    route: Track, number: int, min_distance: float, rng: np.random.Generator | None
) -> tuple[list[float], list[int]]:
    """Places along the center line [m] and lanes of ``number`` objects: evenly on alternate lanes, or random ones.

    Random places keep their order, and ``min_distance`` where there is room for it.
    """
    first, last = min_distance, route.length - END_DISTANCE
    distances = np.linspace(first, last, number)
    if rng is None:
        return distances.tolist(), [k % 2 for k in range(number)]
    for k in rng.permutation(number):
        low = first if k == 0 else distances[k - 1] + min_distance
        high = last if k == number - 1 else distances[k + 1] - min_distance
        if low < high:
            distances[k] = rng.uniform(low, high)
    return distances.tolist(), rng.integers(2, size=number).tolist()


def lane_pose_at(route: Track, lane: Literal["inner", "outer"], s: float) -> tuple[float, float, float]:
    """Pose on a lane beside the center-line point at ``s`` [m], heading to the lane's next waypoint [m, m, rad]."""
    line = route.lane(lane)
    near = polyline.nearest(line, route.point_at(s))
    segment = int(near.segment)
    if np.array_equal(near.point, line[segment + 1]):
        segment += 1
        if segment == len(line) - 1:
            segment = 0 if route.closed else segment - 1
    dx, dy = line[segment + 1] - line[segment]
    return float(near.point[0]), float(near.point[1]), float(np.arctan2(dy, dx))


def start_pose(route: Track, s: float, objects: np.ndarray) -> tuple[np.ndarray | float, ...]:
    """Where a car starts that begins at ``s`` [m] of the center line: there, or on the lane opposite to a near object.

    Args:
        route: The track in driving direction.
        s: Of the start [m].
        objects: What is on it, rows of ``RaceObject``; at least one.
    """
    gaps = np.abs(route.project(np.stack([objects["x"], objects["y"]], axis=-1)) - s)
    nearest = int(np.argmin(gaps))
    if gaps[nearest] < NEAR:
        return lane_pose_at(route, LANES[1 - objects["lane"][nearest]], s)
    return route.pose_at(s)

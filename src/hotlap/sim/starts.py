"""What episodes begin with: all that is random about them is drawn here, and sent to the device as a small table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import warp as wp

from hotlap.sim.light import DAYLIGHT, Light, sample_light
from hotlap.sim.objects import BOT_DTYPE, OBJECT_DTYPE, Bot, RaceObject, place_bots, place_obstacles, start_pose
from hotlap.sim.scene import Scene, array2d
from hotlap.sim.vehicle import VehicleConstants, VehicleParams
from hotlap.sim.vehicle_variation import sample_vehicle


@dataclass(frozen=True)
class Start:
    """Where and how an episode of a car begins; all its randomness comes from ``seed``.

    Cars of one world start on the same track and in the same direction; what is random about the world comes from the
    seed of the first.
    """

    ndist: float = 0.0
    """Lap fraction of the start."""
    reverse: bool = False
    """Against the row order of the route file."""
    track: int = 0
    """Index in ``Scene.tracks``."""
    seed: int = 0
    prepared: bool = False
    """Skip the `prepare` step, as if it had been played already."""


@wp.struct
class _WorldStart:
    """What a world begins with: its number, and values of ``State``."""

    world: wp.int32
    route: wp.int32
    prepared: wp.int32
    bot_seed: wp.uint32
    light: Light


@wp.struct
class _CarStart:
    """What a car begins with: the pose of its origin [m, m, rad], and values of ``State``."""

    pose: wp.vec3
    vehicle: VehicleConstants
    jitter_seed: wp.uint32
    start_ndist: wp.float32
    prepared: wp.int32


@wp.struct
class StartTable:
    """Episodes that begin, one row per world; on the device.

    ========== ========================================= =========================
    field      meaning                                   shape
    ========== ========================================= =========================
    worlds     what each world begins with               (num_starts,)
    cars       what each car begins with                 (num_starts, num_cars)
    objects    objects, without their reward inputs      (num_starts, num_objects)
    bots       how bot cars drive                        (num_starts, num_bots)
    box_colors colors of the objects' boxes, 0 to 255    (num_starts, num_boxes)
    ========== ========================================= =========================
    """

    worlds: wp.array[_WorldStart]
    cars: array2d[_CarStart]
    objects: array2d[RaceObject]
    bots: array2d[Bot]
    box_colors: array2d[wp.vec3]


# Warp turns the classes into its own struct type, which type checkers cannot see.
_WORLD_DTYPE = np.dtype(_WorldStart.numpy_dtype())  # type: ignore[attr-defined]
_CAR_DTYPE = np.dtype(_CarStart.numpy_dtype())  # type: ignore[attr-defined]


def draw_starts(
    scene: Scene,
    worlds: Sequence[int],
    starts: Sequence[Start],
    *,
    vehicle: VehicleParams,
    variation: float,
    randomize_domain: bool,
) -> StartTable:
    """Draw everything that is random about new episodes.

    Args:
        scene: Where they take place.
        worlds: Their numbers.
        starts: One per car, those of a world together.
        vehicle, variation, randomize_domain: As of `Simulator`.

    Raises:
        ValueError: If cars of one world are to start on different tracks or in different directions.
    """
    num_starts, num_cars = len(worlds), scene.num_cars
    rows: np.ndarray = np.zeros(num_starts, dtype=_WORLD_DTYPE)
    cars: np.ndarray = np.zeros((num_starts, num_cars), dtype=_CAR_DTYPE)
    objects: np.ndarray = np.zeros((num_starts, scene.num_objects), dtype=OBJECT_DTYPE)
    bots: np.ndarray = np.zeros((num_starts, scene.num_bots), dtype=BOT_DTYPE)
    colors = np.empty((num_starts, len(scene.boxes), 3), dtype=np.float32)
    colors[:] = np.array([box.color for *_, box in scene.boxes]).reshape(-1, 3)
    rows["world"], rows["light"] = worlds, DAYLIGHT
    for k, row in enumerate(rows):
        of_world = starts[k * num_cars : (k + 1) * num_cars]
        first = of_world[0]
        row["route"], row["prepared"] = scene.route(first.track, first.reverse), first.prepared
        if scene.num_objects:
            objects[k], bots[k], row["bot_seed"] = _place_objects(scene, int(row["route"]), first.seed)
        if randomize_domain:
            rng = np.random.default_rng([first.seed, 2])
            row["light"] = sample_light(rng)
            paints = [paint for _, paint, _ in scene.boxes]
            colors[k] = rng.uniform(0.0, 255.0, (len(paints), 3))[paints]
        for car, start in zip(cars[k], of_world, strict=True):
            if (start.track, start.reverse) != (first.track, first.reverse):
                raise ValueError(f"the cars of world {worlds[k]} must start on one route, got {first} and {start}")
            _draw_car(car, scene, start, objects[k], vehicle=vehicle, variation=variation)
    table, device = StartTable(), scene.device
    table.worlds = wp.array(rows, dtype=_WorldStart, device=device)
    table.cars = wp.array(cars, dtype=_CarStart, device=device)
    table.objects = wp.array(objects, dtype=RaceObject, device=device)
    table.bots = wp.array(bots, dtype=Bot, device=device)
    table.box_colors = wp.array(colors, dtype=wp.vec3, device=device)
    return table


def _place_objects(scene: Scene, route: int, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """The objects of a new episode: rows of ``RaceObject`` and ``Bot``, and the seed of the bots."""
    rng = np.random.default_rng([seed, 3])
    track = scene.routes[route]
    objects = place_obstacles(track, scene.obstacles, rng) if scene.obstacles else np.zeros(0, dtype=OBJECT_DTYPE)
    if not scene.bots:
        return objects, np.zeros(0, dtype=BOT_DTYPE), 0
    cars, bots = place_bots(track, scene.bots, rng)
    return np.concatenate([objects, cars]), bots, int(rng.integers(2**32))


def _draw_car(
    row: np.ndarray, scene: Scene, start: Start, objects: np.ndarray, *, vehicle: VehicleParams, variation: float
) -> None:
    """Fill a row of ``_CarStart``."""
    track = scene.routes[scene.route(start.track, start.reverse)]
    s = start.ndist * track.length
    row["pose"] = start_pose(track, s, objects) if len(objects) else track.pose_at(s)
    rng = np.random.default_rng([start.seed, 1])
    row["vehicle"] = sample_vehicle(vehicle, rng, scale=variation)
    row["jitter_seed"] = rng.integers(1, 2**32) if variation > 0 else 0
    row["start_ndist"], row["prepared"] = start.ndist, start.prepared

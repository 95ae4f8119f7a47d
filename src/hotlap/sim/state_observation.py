"""The state observation: one kernel tells of every car what a teacher may know, `hotlap.deepracer.state_values`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, no_type_check
from weakref import WeakKeyDictionary

import numpy as np
import warp as wp

from hotlap.deepracer.state_values import (
    BESIDE,
    DISTANCES_AHEAD,
    LAP_HARMONICS,
    NUM_OBJECTS_AHEAD,
    STATE_VALUES,
    VIEW,
    VISIBLE,
)
from hotlap.sim.race_rules import progress_after
from hotlap.sim.road import RoadData, RoadPoint, road_point
from hotlap.sim.scene import CENTER, LINES_PER_ROUTE, SceneData
from hotlap.sim.segments import nearest_on_line
from hotlap.sim.simulator import Simulator
from hotlap.sim.state import State

NUM_VALUES = len(STATE_VALUES)

_CENTER, _LINES = wp.constant(CENTER), wp.constant(LINES_PER_ROUTE)
_NUM_POINTS, _NUM_OBJECTS, _NUM_WAVES = (
    wp.constant(n) for n in (len(DISTANCES_AHEAD), NUM_OBJECTS_AHEAD, LAP_HARMONICS)
)
_BESIDE = wp.constant(BESIDE)
_Distances: Any = wp.types.vector(length=len(DISTANCES_AHEAD), dtype=wp.float32)
_DISTANCES = wp.constant(_Distances(*DISTANCES_AHEAD))
_Values: Any = wp.types.vector(length=NUM_VALUES, dtype=wp.float32)
_SCALES = wp.constant(_Values(*(value.scale for value in STATE_VALUES)))
_NOWHERE = wp.constant(1.0e9)  # [m] farther than any object
_OBJECTS = [n for n, column in enumerate(VISIBLE) if STATE_VALUES[column].name.startswith("object_")]
_THERE, _AHEAD, _LEFT = (
    [n for n in _OBJECTS if STATE_VALUES[VISIBLE[n]].name.endswith(what)] for what in ("_there", "_ahead", "_left")
)
_OBJECT_SCALE = STATE_VALUES[VISIBLE[_AHEAD[0]]].scale


@wp.func
@no_type_check
def road_at(road: RoadData, scene: SceneData, route: int, s: float) -> RoadPoint:
    """The road at arc length ``s`` [m]: over the start line of a loop, but not beyond the ends of an open track."""
    share = s / scene.length[route]
    if scene.closed[route] != 0:
        share = share - wp.floor(share)
    return road_point(road, route, wp.clamp(share, 0.0, 1.0))


@wp.func
@no_type_check
def gap_to(scene: SceneData, route: int, distance: float, here: float) -> float:
    """From ``here`` to an object at ``distance`` along the center line [m]; far beyond all where it is not told."""
    gap = distance - here
    if scene.closed[route] != 0:
        length = scene.length[route]
        gap = gap - length * wp.floor((gap + _BESIDE) / length)
    return wp.where(gap < -_BESIDE, _NOWHERE, gap)


@wp.kernel
@no_type_check
def _observe(
    worlds: wp.array[wp.int32], roads: RoadData, scene: SceneData, state: State, values: wp.array3d[wp.float32]
):
    row, c = wp.tid()
    w = worlds[row]
    route = state.route[w]
    length = scene.length[route]
    car = state.vehicle[w, c]
    m = state.motion[w, c]
    cos_yaw = wp.cos(m.yaw)
    sin_yaw = wp.sin(m.yaw)
    x = m.x + cos_yaw * car.front_point_ahead
    y = m.y + sin_yaw * car.front_point_ahead
    here = nearest_on_line(scene.segments, route * _LINES + _CENTER, scene.num_segments[route], x, y).s
    road = road_at(roads, scene, route, here)

    v = _Values()
    v[0] = (road.cos_yaw * (y - road.y) - road.sin_yaw * (x - road.x)) / road.half_width
    v[1] = sin_yaw * road.cos_yaw - cos_yaw * road.sin_yaw
    v[2] = cos_yaw * road.cos_yaw + sin_yaw * road.sin_yaw
    v[3] = road.half_width
    v[4] = m.u
    v[5] = m.w
    v[6] = m.yaw_rate
    v[7] = wp.degrees(m.steer)
    v[8] = m.rim_speed
    v[9] = state.steering[w, c]
    v[10] = state.speed[w, c]
    v[11] = progress_after(here / length, state.start_ndist[w, c], state.previous_progress[w, c])
    v[12] = float(state.steps[w, c])
    v[13] = float(route & 1)
    v[14] = x
    v[15] = y
    v[16] = sin_yaw
    v[17] = cos_yaw
    n = int(18)
    num_waves = int(_NUM_WAVES)  # in a variable: loops over constants are unrolled, which takes long to compile
    for k in range(num_waves):
        angle = 2.0 * wp.pi * float(k + 1) * here / length
        v[n] = wp.sin(angle)
        v[n + 1] = wp.cos(angle)
        n += 2
    num_points = int(_NUM_POINTS)
    for k in range(num_points):
        point = road_at(roads, scene, route, here + _DISTANCES[k])
        v[n] = cos_yaw * (point.x - x) + sin_yaw * (point.y - y)
        v[n + 1] = cos_yaw * (point.y - y) - sin_yaw * (point.x - x)
        v[n + 2] = cos_yaw * point.sin_yaw - sin_yaw * point.cos_yaw
        n += 3
    told = int(-1)
    told_gap = float(-_NOWHERE)
    num_told = wp.min(int(_NUM_OBJECTS), state.objects.shape[1])
    for _k in range(num_told):
        following = int(-1)
        gap = float(_NOWHERE)
        for j in range(state.objects.shape[1]):
            to_it = gap_to(scene, route, state.objects[w, j].distance, here)
            if to_it < gap and (to_it > told_gap or (to_it == told_gap and j > told)):
                following = j
                gap = to_it
        if following >= 0:
            item = state.objects[w, following]
            beside = road_at(roads, scene, route, item.distance)
            v[n] = 1.0
            v[n + 1] = gap
            v[n + 2] = wp.where(item.left_of_center != 0, 1.0, -1.0) * item.distance_from_center / beside.half_width
            v[n + 3] = cos_yaw * (item.x - x) + sin_yaw * (item.y - y)
            v[n + 4] = cos_yaw * (item.y - y) - sin_yaw * (item.x - x)
            v[n + 5] = wp.where(item.moves != 0 and state.bot_pause[w] <= 0.0, scene.bots.speed, 0.0)
        told = following
        told_gap = gap
        n += 6
    for k in range(values.shape[2]):
        values[row, c, k] = v[k] / _SCALES[k]


class _Observer:
    """The kernel of a simulator with its arguments, packed once: packing takes longer than looking at many cars."""

    def __init__(self, simulator: Simulator) -> None:
        num_worlds, num_cars, device = simulator.num_worlds, simulator.num_cars, simulator.device
        self.worlds: wp.array = wp.zeros(num_worlds, dtype=wp.int32, device=device)
        self.values = wp.empty((num_worlds, num_cars, NUM_VALUES), dtype=wp.float32, device=device)
        inputs = [self.worlds, simulator.scene.road, simulator.scene.data, simulator.state]
        self.launch = wp.launch(
            _observe, dim=(num_worlds, num_cars), inputs=inputs, outputs=[self.values], device=device, record_cmd=True
        )


_observers: WeakKeyDictionary[Simulator, _Observer] = WeakKeyDictionary()


def observe_state(simulator: Simulator, worlds: Sequence[int] | np.ndarray) -> np.ndarray:
    """The state observation of the cars of some worlds, float32 (n, num_cars, NUM_VALUES); a copy."""
    observer = _observers.get(simulator)
    if observer is None:
        observer = _observers[simulator] = _Observer(simulator)
    numbers = np.zeros(simulator.num_worlds, dtype=np.int32)
    numbers[: len(worlds)] = worlds
    observer.worlds.assign(numbers)
    observer.launch.set_dim((len(worlds), simulator.num_cars))
    observer.launch.launch()
    return observer.values.numpy()[: len(worlds)].copy()


def visible_part(values: np.ndarray) -> np.ndarray:
    """What `VISIBLE_STATE` tells of state observations (..., NUM_VALUES): (..., len(VISIBLE))."""
    told = values.take(VISIBLE, axis=-1)
    if told[..., _THERE].any():
        ahead, left = (told[..., columns] * _OBJECT_SCALE for columns in (_AHEAD, _LEFT))
        in_view = (ahead > 0.0) & (np.abs(left) < VIEW[0] * ahead + VIEW[1])
        told[..., _OBJECTS] *= np.repeat(in_view, len(_OBJECTS) // NUM_OBJECTS_AHEAD, axis=-1)
    return told

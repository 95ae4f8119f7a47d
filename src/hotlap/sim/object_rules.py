"""What a control step finds out about the objects on the track, before the rules are applied: crashes, reward inputs.

Worlds without objects have nothing to do here. Sources: DeepRacer simapp, ``markov/track_geom/track_data.py``,
``markov/cameras/frustum.py``.
"""

from __future__ import annotations

import math
from functools import cache
from typing import Any, no_type_check

import warp as wp

from hotlap.sim.camera import PinholeCamera
from hotlap.sim.objects import RaceObject
from hotlap.sim.scene import CENTER, INNER, LINES_PER_ROUTE, Scene, SceneData
from hotlap.sim.segments import crosses, nearest_on_line, ring_crossings
from hotlap.sim.state import Phase, State
from hotlap.sim.vehicle import FRONT_POINT_AHEAD

CAR_HALF_LENGTH, CAR_HALF_WIDTH = 0.16176, 0.09805  # [m] of the rectangle that crashes, around the car's origin
VIEW_NEAR, VIEW_FAR = 0.2, 300.0  # [m] depths between which `object_in_camera` looks
VIEW_RATIO = 480.0 / 640.0

_RUN = wp.constant(int(Phase.RUN))
_CENTER, _INNER, _LINES = (wp.constant(n) for n in (CENTER, INNER, LINES_PER_ROUTE))
_FRONT_POINT_AHEAD = wp.constant(FRONT_POINT_AHEAD)
_CAR_HALF_LENGTH, _CAR_HALF_WIDTH = wp.constant(CAR_HALF_LENGTH), wp.constant(CAR_HALF_WIDTH)
_VIEW_NEAR, _VIEW_FAR, _VIEW_RATIO = wp.constant(VIEW_NEAR), wp.constant(VIEW_FAR), wp.constant(VIEW_RATIO)


@wp.struct
class _View:
    """The camera's place on the car and the volume that it sees."""

    forward: float
    height: float
    cos_pitch: float
    sin_pitch: float
    half_width: float  # per depth


@wp.func
@no_type_check
def locate(scene: SceneData, route: int, item: RaceObject) -> RaceObject:
    """An object with its reward inputs for the place where it is."""
    num_segments = scene.num_segments[route]
    near = nearest_on_line(scene.segments, route * _LINES + _CENTER, num_segments, item.x, item.y)
    item.distance = near.s
    item.distance_from_center = wp.sqrt(near.distance2)
    # Inside the ring of center line and inner border, which an open track has at its two ends too.
    x = wp.vec4(item.x, item.x, item.x, item.x)
    y = wp.vec4(item.y, item.y, item.y, item.y)
    crossings = ring_crossings(scene.segments, route * _LINES + _CENTER, num_segments, x, y)[0]
    crossings += ring_crossings(scene.segments, route * _LINES + _INNER, num_segments, x, y)[0]
    if scene.closed[route] == 0:
        center = scene.segments[route * _LINES + _CENTER, 0]
        inner = scene.segments[route * _LINES + _INNER, 0]
        crossings += crosses(center.ax, center.ay, inner.ax - center.ax, inner.ay - center.ay, item.x, item.y)
        center = scene.segments[route * _LINES + _CENTER, num_segments - 1]
        inner = scene.segments[route * _LINES + _INNER, num_segments - 1]
        cx = center.ax + center.dx
        cy = center.ay + center.dy
        crossings += crosses(cx, cy, inner.ax + inner.dx - cx, inner.ay + inner.dy - cy, item.x, item.y)
    item.left_of_center = wp.where((crossings & 1) == scene.ccw[route], 1, 0)
    return item


@wp.func
@no_type_check
def _is_hit(item: RaceObject, x: float, y: float, cos_yaw: float, sin_yaw: float) -> bool:
    """Whether a corner of the car's rectangle, around its origin at (x, y), is inside that of the object."""
    c = wp.cos(item.yaw)
    s = wp.sin(item.yaw)
    for corner in range(4):
        ahead = wp.where(corner < 2, _CAR_HALF_LENGTH, -_CAR_HALF_LENGTH)
        left = wp.where((corner & 1) == 0, _CAR_HALF_WIDTH, -_CAR_HALF_WIDTH)
        dx = x + cos_yaw * ahead - sin_yaw * left - item.x
        dy = y + sin_yaw * ahead + cos_yaw * left - item.y
        if wp.abs(c * dx + s * dy) < item.half_length and wp.abs(c * dy - s * dx) < item.half_width:
            return True
    return False


@wp.func
@no_type_check
def _is_in_view(view: _View, ahead: float, left: float, height: float) -> bool:
    """Whether the camera sees a point ``ahead`` and ``left`` of the car's origin, at this height over the ground."""
    forward = ahead - view.forward
    up = height - view.height
    depth = forward * view.cos_pitch - up * view.sin_pitch
    rise = forward * view.sin_pitch + up * view.cos_pitch
    reach = depth * view.half_width
    if depth <= _VIEW_NEAR or depth >= _VIEW_FAR:
        return False
    return wp.abs(left) < reach and wp.abs(rise) < _VIEW_RATIO * reach


@wp.func
@no_type_check
def _is_visible(view: _View, item: RaceObject, x: float, y: float, cos_yaw: float, sin_yaw: float) -> int:
    """1 if the origin of the object or a corner of its rectangle is in view of the car at this pose, else 0."""
    c = wp.cos(item.yaw)
    s = wp.sin(item.yaw)
    for point in range(5):
        ahead = float(0.0)
        left = float(0.0)
        if point < 4:
            ahead = wp.where(point < 2, item.half_length, -item.half_length)
            left = wp.where((point & 1) == 0, item.half_width, -item.half_width)
        dx = item.x + c * ahead - s * left - x
        dy = item.y + s * ahead + c * left - y
        if _is_in_view(view, cos_yaw * dx + sin_yaw * dy, cos_yaw * dy - sin_yaw * dx, item.origin_height):
            return 1
    return 0


@wp.kernel
@no_type_check
def _locate_objects(scene: SceneData, begins: wp.array2d[wp.int32], state: State):
    w, k = wp.tid()
    if begins[w, 0] != 0:
        state.objects[w, k] = locate(scene, state.route[w], state.objects[w, k])


def locate_objects(scene: Scene, state: State, begins: wp.array) -> None:
    """Compute the objects' own reward inputs where episodes begin, by a mask of the cars (num_worlds, num_cars)."""
    wp.launch(_locate_objects, dim=state.objects.shape, inputs=[scene.data, begins, state], device=scene.device)


@wp.kernel
@no_type_check
def _check_objects(scene: SceneData, view: _View, state: State):
    w, c = wp.tid()
    if state.active[w, c] == 0:
        return
    route = state.route[w]
    car = state.vehicle[w, c]
    m = state.motion[w, c]
    cos_yaw = wp.cos(m.yaw)
    sin_yaw = wp.sin(m.yaw)
    x = m.x + cos_yaw * car.origin_ahead
    y = m.y + sin_yaw * car.origin_ahead
    px = m.x + cos_yaw * car.front_point_ahead
    py = m.y + sin_yaw * car.front_point_ahead
    here = nearest_on_line(scene.segments, route * _LINES + _CENTER, scene.num_segments[route], px, py).s

    hit = int(-1)
    # Of those behind the last in order, of those ahead the first; beyond the ends of the lap it goes on.
    behind = int(-1)
    ahead = int(-1)
    last = int(0)
    first = int(0)
    for k in range(state.objects.shape[1]):
        item = state.objects[w, k]
        # In a pause nobody is hit.
        if hit < 0 and state.phase[w, c] == _RUN and _is_hit(item, x, y, cos_yaw, sin_yaw):
            hit = k
        if item.distance >= state.objects[w, last].distance:
            last = k
        if item.distance < state.objects[w, first].distance:
            first = k
        if item.distance <= here:
            if behind < 0 or item.distance >= state.objects[w, wp.max(behind, 0)].distance:
                behind = k
        elif ahead < 0 or item.distance < state.objects[w, wp.max(ahead, 0)].distance:
            ahead = k
    behind = wp.where(behind < 0, last, behind)
    ahead = wp.where(ahead < 0, first, ahead)
    state.is_crashed[w, c] = 0
    if hit >= 0:
        item = state.objects[w, hit]
        state.is_crashed[w, c] = 1
        state.crashed_into[w, c] = hit
        if item.moves != 0:
            # The one behind is at fault, by the front points of both: the start line makes no exception.
            bx = item.x + wp.cos(item.yaw) * _FRONT_POINT_AHEAD
            by = item.y + wp.sin(item.yaw) * _FRONT_POINT_AHEAD
            if here >= nearest_on_line(scene.segments, route * _LINES + _CENTER, scene.num_segments[route], bx, by).s:
                state.is_crashed[w, c] = 0
                if state.bot_pause[w] <= 0.0:
                    state.bot_pause[w] = scene.bots.penalty
    state.closest_objects[w, c] = wp.vec2i(behind, ahead)
    state.object_in_camera[w, c] = _is_visible(view, state.objects[w, ahead], x, y, cos_yaw, sin_yaw)


@cache
def _view(camera: PinholeCamera) -> Any:
    view = _View()
    view.forward, view.height = camera.forward_m, camera.height_m
    view.cos_pitch, view.sin_pitch = math.cos(camera.pitch_rad), math.sin(camera.pitch_rad)
    view.half_width = math.tan(0.5 * camera.hfov_rad)
    return view


def check_objects(scene: Scene, state: State, camera: PinholeCamera) -> None:
    """Find out into which object each active car has crashed, which are closest, and whether it sees one.

    Args:
        scene: Tracks, and at least one object.
        state: Worlds.
        camera: Where the camera is that `object_in_camera` asks about.
    """
    wp.launch(_check_objects, dim=state.active.shape, inputs=[scene.data, _view(camera), state], device=scene.device)

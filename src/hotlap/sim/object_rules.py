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
from hotlap.sim.scene import CENTER, INNER, LINES_PER_ROUTE, Scene
from hotlap.sim.segments import Segment, crosses, nearest_on_line, ring_crossings
from hotlap.sim.state import Phase, State
from hotlap.sim.vehicle import FRONT_POINT_AHEAD, Motion, VehicleConstants

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
def locate(
    segments: wp.array2d(dtype=Segment), route: int, num_segments: int, closed: int, ccw: int, item: RaceObject
) -> RaceObject:
    """An object with its reward inputs for the place where it is."""
    near = nearest_on_line(segments, route * _LINES + _CENTER, num_segments, item.x, item.y)
    item.distance = near.s
    item.distance_from_center = wp.sqrt(near.distance2)
    # Inside the ring of center line and inner border, which an open track has at its two ends too.
    x = wp.vec4(item.x, item.x, item.x, item.x)
    y = wp.vec4(item.y, item.y, item.y, item.y)
    crossings = ring_crossings(segments, route * _LINES + _CENTER, num_segments, x, y)[0]
    crossings += ring_crossings(segments, route * _LINES + _INNER, num_segments, x, y)[0]
    if closed == 0:
        center = segments[route * _LINES + _CENTER, 0]
        inner = segments[route * _LINES + _INNER, 0]
        crossings += crosses(center.ax, center.ay, inner.ax - center.ax, inner.ay - center.ay, item.x, item.y)
        center = segments[route * _LINES + _CENTER, num_segments - 1]
        inner = segments[route * _LINES + _INNER, num_segments - 1]
        cx = center.ax + center.dx
        cy = center.ay + center.dy
        crossings += crosses(cx, cy, inner.ax + inner.dx - cx, inner.ay + inner.dy - cy, item.x, item.y)
    item.left_of_center = wp.where((crossings & 1) == ccw, 1, 0)
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
def _locate_objects(
    # Scene:
    segments: wp.array2d(dtype=Segment),
    num_segments: wp.array(dtype=wp.int32),
    closed: wp.array(dtype=wp.int32),
    ccw: wp.array(dtype=wp.int32),
    # State in:
    route_of: wp.array(dtype=wp.int32),
    # In:
    world: wp.array(dtype=wp.int32),
    # State in and out:
    objects: wp.array2d(dtype=RaceObject),
):
    row, k = wp.tid()
    i = world[row]
    route = route_of[i]
    objects[i, k] = locate(segments, route, num_segments[route], closed[route], ccw[route], objects[i, k])


def locate_objects(scene: Scene, state: State, worlds: wp.array) -> None:
    """Compute the objects' own reward inputs in ``worlds`` (int32)."""
    wp.launch(
        _locate_objects,
        dim=(len(worlds), state.num_objects),
        inputs=[scene.segments, scene.num_segments, scene.closed, scene.ccw, state.route, worlds],
        outputs=[state.objects],
        device=scene.device,
    )


@wp.kernel
@no_type_check
def _check_objects(
    # Scene:
    segments: wp.array2d(dtype=Segment),
    num_segments: wp.array(dtype=wp.int32),
    # Model:
    view: _View,
    bot_penalty: float,
    # State in:
    motion: wp.array(dtype=Motion),
    vehicle: wp.array(dtype=VehicleConstants),
    route_of: wp.array(dtype=wp.int32),
    active: wp.array(dtype=wp.int32),
    phase: wp.array(dtype=wp.int32),
    objects: wp.array2d(dtype=RaceObject),
    # State in and out:
    bot_pause: wp.array(dtype=wp.float32),
    # State out:
    is_crashed: wp.array(dtype=wp.int32),
    crashed_into: wp.array(dtype=wp.int32),
    closest_objects: wp.array2d(dtype=wp.int32),
    object_in_camera: wp.array(dtype=wp.int32),
):
    i = wp.tid()
    if active[i] == 0:
        return
    route = route_of[i]
    car = vehicle[i]
    m = motion[i]
    c = wp.cos(m.yaw)
    s = wp.sin(m.yaw)
    x = m.x + c * car.origin_ahead
    y = m.y + s * car.origin_ahead
    px = m.x + c * car.front_point_ahead
    py = m.y + s * car.front_point_ahead
    here = nearest_on_line(segments, route * _LINES + _CENTER, num_segments[route], px, py).s

    hit = int(-1)
    # Of those behind the last in order, of those ahead the first; beyond the ends of the lap it goes on.
    behind = int(-1)
    ahead = int(-1)
    last = int(0)
    first = int(0)
    for k in range(objects.shape[1]):
        item = objects[i, k]
        # In a pause nobody is hit.
        if hit < 0 and phase[i] == _RUN and _is_hit(item, x, y, c, s):
            hit = k
        if item.distance >= objects[i, last].distance:
            last = k
        if item.distance < objects[i, first].distance:
            first = k
        if item.distance <= here:
            if behind < 0 or item.distance >= objects[i, wp.max(behind, 0)].distance:
                behind = k
        elif ahead < 0 or item.distance < objects[i, wp.max(ahead, 0)].distance:
            ahead = k
    behind = wp.where(behind < 0, last, behind)
    ahead = wp.where(ahead < 0, first, ahead)
    is_crashed[i] = 0
    if hit >= 0:
        item = objects[i, hit]
        is_crashed[i] = 1
        crashed_into[i] = hit
        if item.moves != 0:
            # The one behind is at fault, by the front points of both: the start line makes no exception.
            bx = item.x + wp.cos(item.yaw) * _FRONT_POINT_AHEAD
            by = item.y + wp.sin(item.yaw) * _FRONT_POINT_AHEAD
            if here >= nearest_on_line(segments, route * _LINES + _CENTER, num_segments[route], bx, by).s:
                is_crashed[i] = 0
                if bot_pause[i] <= 0.0:
                    bot_pause[i] = bot_penalty
    closest_objects[i, 0] = behind
    closest_objects[i, 1] = ahead
    object_in_camera[i] = _is_visible(view, objects[i, ahead], x, y, c, s)


@cache
def _view(camera: PinholeCamera) -> Any:
    view = _View()
    view.forward, view.height = camera.forward_m, camera.height_m
    view.cos_pitch, view.sin_pitch = math.cos(camera.pitch_rad), math.sin(camera.pitch_rad)
    view.half_width = math.tan(0.5 * camera.hfov_rad)
    return view


def check_objects(scene: Scene, state: State, camera: PinholeCamera) -> None:
    """Find out into which object each active world's car has crashed, which are closest, and whether it sees one.

    Args:
        scene: Tracks.
        state: Worlds with at least one object.
        camera: Where the camera is that `object_in_camera` asks about.
    """
    wp.launch(
        _check_objects,
        dim=state.num_worlds,
        inputs=[
            scene.segments,
            scene.num_segments,
            _view(camera),
            scene.bots.penalty if scene.bots else 0.0,
            state.motion,
            state.vehicle,
            state.route,
            state.active,
            state.phase,
            state.objects,
        ],
        outputs=[
            state.bot_pause,
            state.is_crashed,
            state.crashed_into,
            state.closest_objects,
            state.object_in_camera,
        ],
        device=scene.device,
    )

"""What a control step finds before the action takes effect: reward inputs, race rules, phase of the episode.

The order within a step is the original's: the pose is read, the reward inputs are computed from it, the rules are
applied to it, and only then the action moves the car. Sources: DeepRacer simapp, ``markov/track_geom/track_data.py``,
``markov/agent_ctrl/rollout_agent_ctrl.py``, ``markov/reset``.
"""

from typing import no_type_check

import warp as wp

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import Status
from hotlap.sim.objects import NEAR
from hotlap.sim.scene import CAPS, CENTER, INNER, LINES_PER_ROUTE, OUTER, Scene, SceneData
from hotlap.sim.segments import nearest_on_line, ring_crossings
from hotlap.sim.state import Phase, State
from hotlap.sim.vehicle import VehicleConstants

STILL_DISTANCE = 0.0003  # [m] an origin that moves no farther in a step stands still
STILL_COUNT = 15  # steps of standing still that end the attempt
RESET_BEHIND = 1.0  # [m] before a near obstacle a car is put back

_PREPARE, _RUN, _PAUSE, _DONE = (wp.constant(int(phase)) for phase in Phase)
_CENTER, _INNER, _OUTER, _CAPS, _LINES = (wp.constant(n) for n in (CENTER, INNER, OUTER, CAPS, LINES_PER_ROUTE))
_IN_PROGRESS, _PREPARING, _PAUSING = (wp.constant(int(s)) for s in (Status.IN_PROGRESS, Status.PREPARE, Status.PAUSE))
_LAP_COMPLETE, _IMMOBILIZED = (wp.constant(int(s)) for s in (Status.LAP_COMPLETE, Status.IMMOBILIZED))
_OFF_TRACK, _CRASHED, _REVERSED = (wp.constant(int(s)) for s in (Status.OFF_TRACK, Status.CRASHED, Status.REVERSED))
_TIME_UP = wp.constant(int(Status.TIME_UP))
_STILL_DISTANCE2 = wp.constant(STILL_DISTANCE * STILL_DISTANCE)
_STILL_COUNT = wp.constant(STILL_COUNT)
_NEAR = wp.constant(NEAR)
_RESET_BEHIND = wp.constant(RESET_BEHIND)
_PERIOD = wp.constant(CONTROL_PERIOD)


@wp.func
@no_type_check
def progress_after(ndist: float, start_ndist: float, previous: float) -> float:
    """Progress [%] at lap fraction ``ndist``, continuing from ``previous``; it may be negative, never above 100."""
    progress = 100.0 * (ndist - start_ndist)
    if progress <= 0.0:
        progress += 100.0
    if previous > progress + 50.0:
        progress += 100.0
    if progress > previous + 50.0:
        progress -= 100.0
    return wp.min(progress, 100.0)


@wp.func
@no_type_check
def wheels_inside(
    scene: SceneData, route: int, origin_x: float, origin_y: float, yaw: float, vehicle: VehicleConstants
) -> int:
    """How many of the four wheel centers are inside the road polygon."""
    c = wp.cos(yaw)
    s = wp.sin(yaw)
    front = vehicle.front_axle - vehicle.origin_ahead
    rear = -vehicle.rear_axle - vehicle.origin_ahead
    forward = wp.vec4(front, front, rear, rear)
    left = wp.vec4(vehicle.front_wheel_y, -vehicle.front_wheel_y, vehicle.rear_wheel_y, -vehicle.rear_wheel_y)
    x = wp.vec4()
    y = wp.vec4()
    for k in range(4):
        x[k] = origin_x + c * forward[k] - s * left[k]
        y[k] = origin_y + s * forward[k] + c * left[k]
    num_segments = scene.num_segments[route]
    closed = scene.closed[route]
    outer = ring_crossings(scene.segments, route * _LINES + _OUTER, num_segments, x, y)
    inner = ring_crossings(scene.segments, route * _LINES + _INNER, num_segments, x, y)
    caps = wp.vec4i(0, 0, 0, 0)
    if closed == 0:
        caps = ring_crossings(scene.segments, route * _LINES + _CAPS, 2, x, y)
    inside = int(0)
    for k in range(4):
        if closed != 0:
            inside += (outer[k] & 1) * (1 - (inner[k] & 1))
        else:
            inside += (outer[k] + inner[k] + caps[k]) & 1
    return inside


@wp.func
@no_type_check
def lane_pose(scene: SceneData, route: int, arc: float, x: float, y: float, only: int) -> wp.vec3:
    """Where a car that was at (x, y) is put back: beside the center-line point at ``arc`` [m], on the nearer lane.

    Unless ``only`` names a lane, 0 for the inner one; -1 does not.

    Returns x [m], y [m] and the heading to the lane's next waypoint [rad].
    """
    num_segments = scene.num_segments[route]
    center_row = route * _LINES + _CENTER
    piece = int(0)
    for i in range(num_segments):
        if scene.segments[center_row, i].s <= arc:
            piece = i
    start = scene.segments[center_row, piece]
    fraction = wp.clamp((arc - start.s) / wp.max(start.length, 1.0e-9), 0.0, 1.0)
    cx = start.ax + fraction * start.dx
    cy = start.ay + fraction * start.dy
    best = float(1.0e30)
    pose = wp.vec3()
    for k in range(2):
        lane = route * _LINES + 3 + k
        point = nearest_on_line(scene.segments, lane, num_segments, cx, cy)
        dx = point.x - x
        dy = point.y - y
        if dx * dx + dy * dy < best and only != 1 - k:
            best = dx * dx + dy * dy
            ahead = point.segment
            if point.fraction >= 1.0:
                ahead = point.segment + 1
                if ahead >= num_segments:
                    ahead = wp.where(scene.closed[route] != 0, 0, num_segments - 1)
            pose = wp.vec3(point.x, point.y, wp.atan2(scene.segments[lane, ahead].dy, scene.segments[lane, ahead].dx))
    return pose


@wp.kernel
@no_type_check
def _apply_rules(scene: SceneData, state: State):
    w, c = wp.tid()
    state.drives[w, c] = 0
    state.looks[w, c] = 0
    state.running[w, c] = 0
    if state.active[w, c] == 0:
        return
    route = state.route[w]
    pieces = scene.num_segments[route]
    lap_length = scene.length[route]
    car = state.vehicle[w, c]
    m = state.motion[w, c]
    cos_yaw = wp.cos(m.yaw)
    sin_yaw = wp.sin(m.yaw)
    ox = m.x + cos_yaw * car.origin_ahead
    oy = m.y + sin_yaw * car.origin_ahead
    px = m.x + cos_yaw * car.front_point_ahead
    py = m.y + sin_yaw * car.front_point_ahead

    # Reward inputs.
    on_center = nearest_on_line(scene.segments, route * _LINES + _CENTER, pieces, px, py)
    on_inner = nearest_on_line(scene.segments, route * _LINES + _INNER, pieces, on_center.x, on_center.y)
    on_outer = nearest_on_line(scene.segments, route * _LINES + _OUTER, pieces, on_center.x, on_center.y)
    to_inner2 = (px - on_inner.x) * (px - on_inner.x) + (py - on_inner.y) * (py - on_inner.y)
    to_outer2 = (px - on_outer.x) * (px - on_outer.x) + (py - on_outer.y) * (py - on_outer.y)
    inside = wheels_inside(scene, route, ox, oy, m.yaw, car)
    previous = state.previous_progress[w, c]
    progress = progress_after(on_center.s / lap_length, state.start_ndist[w, c], previous)
    behind = on_center.segment
    if on_center.fraction >= 1.0:
        behind += 1
    ahead = behind + 1
    if ahead > pieces:
        ahead = 0
    nearer = behind
    if on_center.fraction > 0.5 and on_center.fraction < 1.0:
        nearer = ahead

    state.x[w, c] = px
    state.y[w, c] = py
    state.heading[w, c] = wp.degrees(m.yaw)
    state.distance_from_center[w, c] = wp.sqrt(on_center.distance2)
    state.projection_distance[w, c] = on_center.s
    state.progress[w, c] = progress
    state.track_width[w, c] = wp.sqrt(
        (on_inner.x - on_outer.x) * (on_inner.x - on_outer.x) + (on_inner.y - on_outer.y) * (on_inner.y - on_outer.y)
    )
    state.closest_waypoints[w, c] = wp.vec2i(behind, ahead)
    state.nearest_waypoint[w, c] = nearer
    state.is_left_of_center[w, c] = wp.where((to_inner2 < to_outer2) == (scene.ccw[route] != 0), 1, 0)
    state.all_wheels_on_track[w, c] = wp.where(inside == 4, 1, 0)
    state.is_offtrack[w, c] = wp.where(inside == 0, 1, 0)

    # Rules.
    step = state.steps[w, c] + 1
    state.steps[w, c] = step
    before_x = state.origin_x[w, c]
    before_y = state.origin_y[w, c]
    moved2 = (ox - before_x) * (ox - before_x) + (oy - before_y) * (oy - before_y)
    state.origin_x[w, c] = ox
    state.origin_y[w, c] = oy
    was = state.phase[w, c]
    next_phase = was
    status = int(_IN_PROGRESS)
    done = int(0)
    state.running[w, c] = wp.where(was == _RUN, 1, 0)
    if was != _PREPARE and progress >= 100.0:
        # Also in a pause: a car put back just before the finish line has its front point beyond it.
        state.laps[w, c] = state.laps[w, c] + 1
        done = wp.where(state.laps[w, c] >= scene.rules.number_of_laps, 1, 0)
    if was == _PREPARE:
        status = _PREPARING
        next_phase = _RUN
    elif was == _PAUSE:
        status = wp.where(done != 0, _LAP_COMPLETE, _PAUSING)
        state.pause_left[w, c] = wp.max(state.pause_left[w, c] - _PERIOD, 0.0)
        if state.pause_left[w, c] <= 1.0e-4:
            state.pause_left[w, c] = 0.0
            next_phase = _RUN
    else:
        still = wp.where(moved2 <= _STILL_DISTANCE2, state.still_count[w, c] + 1, 0)
        backwards = wp.where(progress < previous, state.reverse_count[w, c] + 1, 0)
        if done != 0:
            status = _LAP_COMPLETE
        elif still >= _STILL_COUNT:
            status = _IMMOBILIZED
        elif inside == 0:
            status = _OFF_TRACK
        elif state.is_crashed[w, c] != 0:
            status = _CRASHED
        elif backwards >= scene.rules.reverse_count:
            status = _REVERSED
        if status != _IN_PROGRESS and status != _LAP_COMPLETE:
            if state.resets[w, c] < scene.rules.number_of_resets:
                state.resets[w, c] = state.resets[w, c] + 1
                still = 0
                backwards = 0
                penalty = wp.where(status == _CRASHED, scene.rules.collision_penalty, scene.rules.off_track_penalty)
                state.pause_left[w, c] = wp.where(status == _IMMOBILIZED, 0.0, penalty)
                # From the step before: this one may already be on another stretch of the track. The original forgets
                # the start offset here; races start at 0, so only the sum is right in general.
                back = state.start_ndist[w, c] + 0.01 * previous
                from_x = before_x
                from_y = before_y
                stays = int(0)
                if status == _CRASHED:
                    stays = state.objects[w, state.crashed_into[w, c]].moves  # what the car ran into drives away
                    back = state.start_ndist[w, c] + 0.01 * progress
                    from_x = ox
                    from_y = oy
                arc = (back - wp.floor(back)) * lap_length
                lane = int(-1)
                obstacle_arc = float(0.0)
                nearest = float(_NEAR)
                for k in range(state.objects.shape[1]):
                    gap = wp.abs(state.objects[w, k].distance - arc)
                    if gap < nearest and state.objects[w, k].moves == 0:
                        nearest = gap
                        obstacle_arc = state.objects[w, k].distance
                        lane = 1 - state.objects[w, k].lane
                if lane >= 0:
                    arc = obstacle_arc - _RESET_BEHIND
                    if arc < 0.0 and scene.closed[route] != 0:
                        arc += lap_length
                pose = lane_pose(scene, route, arc, from_x, from_y, lane)
                if stays != 0:
                    pose = wp.vec3(ox, oy, m.yaw)
                state.pose_x[w, c] = pose[0]
                state.pose_y[w, c] = pose[1]
                state.pose_yaw[w, c] = pose[2]
                next_phase = _PAUSE
            else:
                done = 1
        state.still_count[w, c] = wp.where(progress >= 100.0, 0, still)
        state.reverse_count[w, c] = wp.where(progress >= 100.0, 0, backwards)
    over_time = wp.where(done == 0 and step >= scene.rules.max_steps, 1, 0)
    if over_time != 0:
        status = _TIME_UP
    state.terminated[w, c] = done
    state.truncated[w, c] = over_time
    if done == 0:
        # Also when time is up: what would come next is worth what the car sees then.
        state.looks[w, c] = 1
        if was == _RUN and next_phase == _RUN:
            state.drives[w, c] = 1
    if done != 0 or over_time != 0:
        next_phase = _DONE
        state.active[w, c] = 0
    state.status[w, c] = status
    state.pause_duration[w, c] = state.pause_left[w, c]
    state.phase[w, c] = next_phase
    state.previous_progress[w, c] = wp.where(progress >= 100.0, 0.0, progress)


def rules_of(scene: Scene, state: State) -> wp.Launch:
    """What computes the reward inputs of every active car, applies the race rules and advances the phases, whenever it
    is launched; packed once, as packing its arguments takes as long as judging many cars.

    What concerns objects must be found out before: `hotlap.sim.object_rules`.
    """
    return wp.launch(
        _apply_rules, dim=state.active.shape, inputs=[scene.data, state], device=scene.device, record_cmd=True
    )

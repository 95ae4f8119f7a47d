"""What a control step finds before the action takes effect: reward inputs, race rules, phase of the episode.

The order within a step is the original's: the pose is read, the reward inputs are computed from it, the rules are
applied to it, and only then the action moves the car. Sources: DeepRacer simapp, ``markov/track_geom/track_data.py``,
``markov/agent_ctrl/rollout_agent_ctrl.py``, ``markov/reset``.
"""

from typing import no_type_check

import warp as wp

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.statuses import Status
from hotlap.sim.objects import NEAR, RaceObject
from hotlap.sim.scene import CAPS, CENTER, INNER, LINES_PER_ROUTE, OUTER, Scene
from hotlap.sim.segments import Segment, nearest_on_line, ring_crossings
from hotlap.sim.state import Phase, State
from hotlap.sim.vehicle import Motion, VehicleConstants

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
    segments: wp.array2d(dtype=Segment),
    route: int,
    num_segments: int,
    closed: int,
    origin_x: float,
    origin_y: float,
    yaw: float,
    vehicle: VehicleConstants,
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
    outer = ring_crossings(segments, route * _LINES + _OUTER, num_segments, x, y)
    inner = ring_crossings(segments, route * _LINES + _INNER, num_segments, x, y)
    caps = wp.vec4i(0, 0, 0, 0)
    if closed == 0:
        caps = ring_crossings(segments, route * _LINES + _CAPS, 2, x, y)
    inside = int(0)
    for k in range(4):
        if closed != 0:
            inside += (outer[k] & 1) * (1 - (inner[k] & 1))
        else:
            inside += (outer[k] + inner[k] + caps[k]) & 1
    return inside


@wp.func
@no_type_check
def lane_pose(
    segments: wp.array2d(dtype=Segment),
    route: int,
    num_segments: int,
    closed: int,
    arc: float,
    x: float,
    y: float,
    only: int,
) -> wp.vec3:
    """Where a car that was at (x, y) is put back: beside the center-line point at ``arc`` [m], on the nearer lane.

    Unless ``only`` names a lane, 0 for the inner one; -1 does not.

    Returns x [m], y [m] and the heading to the lane's next waypoint [rad].
    """
    center_row = route * _LINES + _CENTER
    piece = int(0)
    for i in range(num_segments):
        if segments[center_row, i].s <= arc:
            piece = i
    start = segments[center_row, piece]
    fraction = wp.clamp((arc - start.s) / wp.max(start.length, 1.0e-9), 0.0, 1.0)
    cx = start.ax + fraction * start.dx
    cy = start.ay + fraction * start.dy
    best = float(1.0e30)
    pose = wp.vec3()
    for k in range(2):
        lane = route * _LINES + 3 + k
        point = nearest_on_line(segments, lane, num_segments, cx, cy)
        dx = point.x - x
        dy = point.y - y
        if dx * dx + dy * dy < best and only != 1 - k:
            best = dx * dx + dy * dy
            ahead = point.segment
            if point.fraction >= 1.0:
                ahead = point.segment + 1
                if ahead >= num_segments:
                    ahead = wp.where(closed != 0, 0, num_segments - 1)
            pose = wp.vec3(point.x, point.y, wp.atan2(segments[lane, ahead].dy, segments[lane, ahead].dx))
    return pose


@wp.kernel
@no_type_check
def _apply_rules(
    # Scene:
    segments: wp.array2d(dtype=Segment),
    num_segments: wp.array(dtype=wp.int32),
    length: wp.array(dtype=wp.float32),
    closed: wp.array(dtype=wp.int32),
    ccw: wp.array(dtype=wp.int32),
    # Rules:
    number_of_resets: int,
    off_track_penalty: float,
    collision_penalty: float,
    number_of_laps: int,
    reverse_limit: int,
    max_steps: int,
    # State in:
    motion: wp.array(dtype=Motion),
    vehicle: wp.array(dtype=VehicleConstants),
    route_of: wp.array(dtype=wp.int32),
    start_ndist: wp.array(dtype=wp.float32),
    objects: wp.array2d(dtype=RaceObject),
    is_crashed: wp.array(dtype=wp.int32),
    crashed_into: wp.array(dtype=wp.int32),
    # State in and out:
    active: wp.array(dtype=wp.int32),
    phase: wp.array(dtype=wp.int32),
    drives: wp.array(dtype=wp.int32),
    looks: wp.array(dtype=wp.int32),
    steps: wp.array(dtype=wp.int32),
    previous_progress: wp.array(dtype=wp.float32),
    origin_x: wp.array(dtype=wp.float32),
    origin_y: wp.array(dtype=wp.float32),
    still_count: wp.array(dtype=wp.int32),
    reverse_count: wp.array(dtype=wp.int32),
    resets: wp.array(dtype=wp.int32),
    laps: wp.array(dtype=wp.int32),
    pause_left: wp.array(dtype=wp.float32),
    pose_x: wp.array(dtype=wp.float32),
    pose_y: wp.array(dtype=wp.float32),
    pose_yaw: wp.array(dtype=wp.float32),
    # State out:
    status_out: wp.array(dtype=wp.int32),
    running: wp.array(dtype=wp.int32),
    terminated: wp.array(dtype=wp.int32),
    truncated: wp.array(dtype=wp.int32),
    x_out: wp.array(dtype=wp.float32),
    y_out: wp.array(dtype=wp.float32),
    heading_out: wp.array(dtype=wp.float32),
    distance_from_center: wp.array(dtype=wp.float32),
    projection_distance: wp.array(dtype=wp.float32),
    progress_out: wp.array(dtype=wp.float32),
    track_width: wp.array(dtype=wp.float32),
    closest_waypoints: wp.array2d(dtype=wp.int32),
    nearest_waypoint: wp.array(dtype=wp.int32),
    is_left_of_center: wp.array(dtype=wp.int32),
    all_wheels_on_track: wp.array(dtype=wp.int32),
    is_offtrack: wp.array(dtype=wp.int32),
    pause_duration: wp.array(dtype=wp.float32),
):
    i = wp.tid()
    drives[i] = 0
    looks[i] = 0
    if active[i] == 0:
        return
    route = route_of[i]
    pieces = num_segments[route]
    lap_length = length[route]
    car = vehicle[i]
    m = motion[i]
    c = wp.cos(m.yaw)
    s = wp.sin(m.yaw)
    ox = m.x + c * car.origin_ahead
    oy = m.y + s * car.origin_ahead
    px = m.x + c * car.front_point_ahead
    py = m.y + s * car.front_point_ahead

    # Reward inputs.
    on_center = nearest_on_line(segments, route * _LINES + _CENTER, pieces, px, py)
    on_inner = nearest_on_line(segments, route * _LINES + _INNER, pieces, on_center.x, on_center.y)
    on_outer = nearest_on_line(segments, route * _LINES + _OUTER, pieces, on_center.x, on_center.y)
    to_inner2 = (px - on_inner.x) * (px - on_inner.x) + (py - on_inner.y) * (py - on_inner.y)
    to_outer2 = (px - on_outer.x) * (px - on_outer.x) + (py - on_outer.y) * (py - on_outer.y)
    inside = wheels_inside(segments, route, pieces, closed[route], ox, oy, m.yaw, car)
    previous = previous_progress[i]
    progress = progress_after(on_center.s / lap_length, start_ndist[i], previous)
    behind = on_center.segment
    if on_center.fraction >= 1.0:
        behind += 1
    ahead = behind + 1
    if ahead > pieces:
        ahead = 0
    nearer = behind
    if on_center.fraction > 0.5 and on_center.fraction < 1.0:
        nearer = ahead

    x_out[i] = px
    y_out[i] = py
    heading_out[i] = wp.degrees(m.yaw)
    distance_from_center[i] = wp.sqrt(on_center.distance2)
    projection_distance[i] = on_center.s
    progress_out[i] = progress
    track_width[i] = wp.sqrt(
        (on_inner.x - on_outer.x) * (on_inner.x - on_outer.x) + (on_inner.y - on_outer.y) * (on_inner.y - on_outer.y)
    )
    closest_waypoints[i, 0] = behind
    closest_waypoints[i, 1] = ahead
    nearest_waypoint[i] = nearer
    is_left_of_center[i] = wp.where((to_inner2 < to_outer2) == (ccw[route] != 0), 1, 0)
    all_wheels_on_track[i] = wp.where(inside == 4, 1, 0)
    is_offtrack[i] = wp.where(inside == 0, 1, 0)

    # Rules.
    step = steps[i] + 1
    steps[i] = step
    before_x = origin_x[i]
    before_y = origin_y[i]
    moved2 = (ox - before_x) * (ox - before_x) + (oy - before_y) * (oy - before_y)
    origin_x[i] = ox
    origin_y[i] = oy
    was = phase[i]
    next_phase = was
    status = int(_IN_PROGRESS)
    done = int(0)
    running[i] = wp.where(was == _RUN, 1, 0)
    if was != _PREPARE and progress >= 100.0:
        # Also in a pause: a car put back just before the finish line has its front point beyond it.
        laps[i] = laps[i] + 1
        done = wp.where(laps[i] >= number_of_laps, 1, 0)
    if was == _PREPARE:
        status = _PREPARING
        next_phase = _RUN
    elif was == _PAUSE:
        status = wp.where(done != 0, _LAP_COMPLETE, _PAUSING)
        pause_left[i] = wp.max(pause_left[i] - _PERIOD, 0.0)
        if pause_left[i] <= 1.0e-4:
            pause_left[i] = 0.0
            next_phase = _RUN
    else:
        still = wp.where(moved2 <= _STILL_DISTANCE2, still_count[i] + 1, 0)
        backwards = wp.where(progress < previous, reverse_count[i] + 1, 0)
        if done != 0:
            status = _LAP_COMPLETE
        elif still >= _STILL_COUNT:
            status = _IMMOBILIZED
        elif inside == 0:
            status = _OFF_TRACK
        elif is_crashed[i] != 0:
            status = _CRASHED
        elif backwards >= reverse_limit:
            status = _REVERSED
        if status != _IN_PROGRESS and status != _LAP_COMPLETE:
            if resets[i] < number_of_resets:
                resets[i] = resets[i] + 1
                still = 0
                backwards = 0
                penalty = wp.where(status == _CRASHED, collision_penalty, off_track_penalty)
                pause_left[i] = wp.where(status == _IMMOBILIZED, 0.0, penalty)
                # From the step before: this one may already be on another stretch of the track. The original forgets
                # the start offset here; races start at 0, so only the sum is right in general.
                back = start_ndist[i] + 0.01 * previous
                from_x = before_x
                from_y = before_y
                stays = int(0)
                if status == _CRASHED:
                    stays = objects[i, crashed_into[i]].moves  # what the car ran into drives away
                    back = start_ndist[i] + 0.01 * progress
                    from_x = ox
                    from_y = oy
                arc = (back - wp.floor(back)) * lap_length
                lane = int(-1)
                obstacle_arc = float(0.0)
                nearest = float(_NEAR)
                for k in range(objects.shape[1]):
                    gap = wp.abs(objects[i, k].distance - arc)
                    if gap < nearest and objects[i, k].moves == 0:
                        nearest = gap
                        obstacle_arc = objects[i, k].distance
                        lane = 1 - objects[i, k].lane
                if lane >= 0:
                    arc = obstacle_arc - _RESET_BEHIND
                    if arc < 0.0 and closed[route] != 0:
                        arc += lap_length
                pose = lane_pose(segments, route, pieces, closed[route], arc, from_x, from_y, lane)
                if stays != 0:
                    pose = wp.vec3(ox, oy, m.yaw)
                pose_x[i] = pose[0]
                pose_y[i] = pose[1]
                pose_yaw[i] = pose[2]
                next_phase = _PAUSE
            else:
                done = 1
        still_count[i] = wp.where(progress >= 100.0, 0, still)
        reverse_count[i] = wp.where(progress >= 100.0, 0, backwards)
    over_time = wp.where(done == 0 and step >= max_steps, 1, 0)
    if over_time != 0:
        status = _TIME_UP
    terminated[i] = done
    truncated[i] = over_time
    if done == 0:
        # Also when time is up: what would come next is worth what the car sees then.
        looks[i] = 1
        if was == _RUN and next_phase == _RUN:
            drives[i] = 1
    if done != 0 or over_time != 0:
        next_phase = _DONE
        active[i] = 0
    status_out[i] = status
    pause_duration[i] = pause_left[i]
    phase[i] = next_phase
    previous_progress[i] = wp.where(progress >= 100.0, 0.0, progress)


def apply_rules(scene: Scene, state: State) -> None:
    """Compute the reward inputs of every active world, apply the race rules and advance the phases.

    What concerns objects must be found out before: `hotlap.sim.object_rules`.
    """
    rules = scene.rules
    wp.launch(
        _apply_rules,
        dim=state.num_worlds,
        inputs=[
            scene.segments,
            scene.num_segments,
            scene.length,
            scene.closed,
            scene.ccw,
            rules.number_of_resets,
            rules.off_track_penalty,
            rules.collision_penalty,
            rules.number_of_laps,
            rules.reverse_count,
            rules.max_steps,
            state.motion,
            state.vehicle,
            state.route,
            state.start_ndist,
            state.objects,
            state.is_crashed,
            state.crashed_into,
            state.active,
            state.phase,
            state.drives,
            state.looks,
            state.steps,
            state.previous_progress,
            state.origin_x,
            state.origin_y,
            state.still_count,
            state.reverse_count,
            state.resets,
            state.laps,
            state.pause_left,
            state.pose_x,
            state.pose_y,
            state.pose_yaw,
        ],
        outputs=[
            state.status,
            state.running,
            state.terminated,
            state.truncated,
            state.x,
            state.y,
            state.heading,
            state.distance_from_center,
            state.projection_distance,
            state.progress,
            state.track_width,
            state.closest_waypoints,
            state.nearest_waypoint,
            state.is_left_of_center,
            state.all_wheels_on_track,
            state.is_offtrack,
            state.pause_duration,
        ],
        device=scene.device,
    )

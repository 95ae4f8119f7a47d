"""Race line: find a short line with gentle bends through the track, then follow it.

The line is calculated once, at the first call, and kept in a global variable for all later ones.
"""

import math

import numpy as np

SHARE_OF_WIDTH = 0.3  # how far the line may leave the centre, as a share of the road's width (0.5 is the border)
REACHES = (8, 4, 2, 1)  # how many waypoints away the neighbours are that a point is lined up with
ROUNDS = 60  # how often for each reach; more make the line smoother

LINE: dict = {}  # track -> its race line


def race_line(waypoints, track_width):
    """Points of the race line, one for every waypoint."""
    center = np.array(waypoints, dtype=float)
    is_loop = np.hypot(*(center[0] - center[-1])) < 0.01
    if is_loop:
        center = center[:-1]  # the first waypoint stands in the list twice

    def neighbors(distance):
        """For every point, the point so many places before (negative) or after it; a loop goes on at its start."""
        places = np.arange(len(center)) + distance
        return places % len(center) if is_loop else np.clip(places, 0, len(center) - 1)

    # The direction across the road at every waypoint.
    along = center[neighbors(1)] - center[neighbors(-1)]
    along /= np.maximum(np.linalg.norm(along, axis=1, keepdims=True), 1e-9)
    across = np.stack([-along[:, 1], along[:, 0]], axis=1)

    # Bend the line like a springy ruler: every point goes to where the curve through its neighbours would have it, but
    # only across the road, and only as far as the road allows. Far neighbours first: they find the large shape.
    limit = SHARE_OF_WIDTH * track_width
    offset = np.zeros(len(center))
    line = center
    for reach in REACHES:
        before2, before, after, after2 = (neighbors(step * reach) for step in (-2, -1, 1, 2))
        for _ in range(ROUNDS):
            smooth = (4 * (line[before] + line[after]) - line[before2] - line[after2]) / 6
            wanted = np.sum((smooth - center) * across, axis=1)
            offset = np.clip(0.5 * offset + 0.5 * wanted, -limit, limit)
            line = center + offset[:, None] * across
    points = line.tolist()
    return points + points[:1] if is_loop else points


def distance_to_segment(x, y, start, end):
    """Distance of the point (x, y) from the straight piece between two others."""
    dx, dy = end[0] - start[0], end[1] - start[1]
    length_squared = dx * dx + dy * dy
    share = 0.0
    if length_squared > 0.0:
        share = min(max(((x - start[0]) * dx + (y - start[1]) * dy) / length_squared, 0.0), 1.0)
    return math.hypot(x - start[0] - share * dx, y - start[1] - share * dy)


def reward_function(params):
    # A car that has left the road, or crashed, gets next to nothing for this step.
    if params["is_offtrack"] or params["is_crashed"]:
        return 1e-3

    # The same track driven the other way round has another first waypoint after the start.
    waypoints = params["waypoints"]
    track = (len(waypoints), tuple(waypoints[0]), tuple(waypoints[1]))
    if track not in LINE:
        LINE[track] = race_line(waypoints, params["track_width"])
    line = LINE[track]

    previous, following = params["closest_waypoints"]
    if following == 0:  # exactly at the end of the lap
        previous, following = 0, 1
    distance = distance_to_segment(params["x"], params["y"], line[previous], line[following])

    # 1.0 on the race line, 0.0 half a road away from it.
    offset = min(distance / (params["track_width"] / 2), 1.0)
    reward = (1.0 - offset) ** 2 + 0.1

    # Cutting a corner may take a wheel over the line: that is a warning before the whole car is out.
    if not params["all_wheels_on_track"]:
        reward *= 0.2

    return float(reward)

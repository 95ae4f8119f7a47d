"""The same in radians."""

import math


def reward_function(params):
    waypoints, closest = params["waypoints"], params["closest_waypoints"]
    x1, y1 = waypoints[closest[0]]
    x2, y2 = waypoints[closest[1]]
    heading = math.radians(params["heading"])
    along = math.cos(heading) * (x2 - x1) + math.sin(heading) * (y2 - y1)
    length = math.hypot(x2 - x1, y2 - y1) or 1.0
    return float(max(1e-3, along / length)) if params["all_wheels_on_track"] else 1e-3

"""Aims at a waypoint further on."""

import math


def reward_function(params):
    waypoints = params["waypoints"]
    target = waypoints[(params["closest_waypoints"][1] + 4) % len(waypoints)]
    wanted = math.degrees(math.atan2(target[1] - params["y"], target[0] - params["x"]))
    error = (wanted - params["heading"] - params["steering_angle"] + 180) % 360 - 180
    return float(max(1e-3, 1.0 - abs(error) / 60)) if not params["is_offtrack"] else 1e-3

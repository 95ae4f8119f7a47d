"""Allowed to leave the middle for the inside."""

import numpy as np


def reward_function(params):
    waypoints = np.array(params["waypoints"])
    i = params["closest_waypoints"][1]
    ahead = waypoints[(i + np.arange(1, 8)) % len(waypoints)]
    middle = ahead.mean(axis=0)
    distance = np.hypot(*(middle - [params["x"], params["y"]]))
    return float(1.0 / (0.5 + distance)) if not params["is_offtrack"] else 1e-3

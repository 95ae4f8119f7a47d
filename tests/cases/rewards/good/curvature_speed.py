"""Fast where the road is straight, slow where it bends."""

import math


def reward_function(params):
    waypoints = params["waypoints"]
    i, n = params["closest_waypoints"][1], len(params["waypoints"])
    a, b, c = (waypoints[(i + k) % n] for k in (0, 3, 6))
    one = math.atan2(b[1] - a[1], b[0] - a[0])
    two = math.atan2(c[1] - b[1], c[0] - b[0])
    turn = abs((two - one + math.pi) % (2 * math.pi) - math.pi)
    wanted = 3.0 if turn < 0.2 else 1.5
    reward = math.exp(-((params["speed"] - wanted) ** 2))
    return float(reward) if params["all_wheels_on_track"] else 1e-3

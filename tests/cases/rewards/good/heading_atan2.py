"""Difference between heading and road."""

import math


def reward_function(params):
    waypoints, closest = params["waypoints"], params["closest_waypoints"]
    before, ahead = waypoints[closest[0]], waypoints[closest[1]]
    road = math.degrees(math.atan2(ahead[1] - before[1], ahead[0] - before[0]))
    difference = abs(road - params["heading"])
    if difference > 180:
        difference = 360 - difference
    reward = 1.0 if difference < 10 else 0.5
    if params["is_offtrack"]:
        reward = 1e-3
    return float(reward)

"""The mean of the last speeds."""

from collections import deque

speeds = deque(maxlen=10)


def reward_function(params):
    if params["steps"] <= 2:
        speeds.clear()
    speeds.append(params["speed"])
    return float(sum(speeds) / len(speeds)) if params["all_wheels_on_track"] else 1e-3

"""The nearest of an array of points."""

import numpy as np


def reward_function(params):
    points = np.array(params["waypoints"])
    distance = np.linalg.norm(points - [params["x"], params["y"]], axis=1).min()
    return float(np.exp(-3 * distance)) if params["all_wheels_on_track"] else 1e-3

"""A sigmoid of the distance."""

import math


def reward_function(params):
    share = params["distance_from_center"] / (params["track_width"] / 2)
    return float(1 / (1 + math.exp(10 * (share - 0.5))))

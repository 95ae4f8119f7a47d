"""A bell around the middle."""

import math


def reward_function(params):
    return math.exp(-(params["distance_from_center"] ** 2) / (2 * 0.2**2)) + 1e-3

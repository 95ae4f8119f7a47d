"""With a batch form beside it."""

import numpy as np


def reward_function(params):
    return params["speed"] * 1.0 if params["all_wheels_on_track"] else 1e-3


def reward_function_batch(params):
    return np.where(params["all_wheels_on_track"], params["speed"], 1e-3)

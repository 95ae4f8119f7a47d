"""In batch form only."""

import numpy as np


def reward_function_batch(params):
    return np.where(params["all_wheels_on_track"], params["speed"], 1e-3)

"""NumPy scalars turned into float."""

import numpy as np


def reward_function(params):
    share = params["distance_from_center"] / params["track_width"]
    return float(np.clip(1.0 - 2.0 * share, 1e-3, 1.0) * params["speed"])

"""Branches that cover everything, without an else."""


def reward_function(params):
    d = params["distance_from_center"] / params["track_width"]
    if d < 0.2:
        reward = 1.0
    elif d < 0.4:
        reward = 0.5
    elif d >= 0.4:
        reward = 1e-3
    return reward

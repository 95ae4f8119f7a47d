"""Ahead of a schedule."""


def reward_function(params):
    expected = params["progress"] / 100 * 200
    reward = 1.0 if params["steps"] % 10 == 0 and expected > params["steps"] else 0.1
    return float(reward) if params["all_wheels_on_track"] else 1e-3

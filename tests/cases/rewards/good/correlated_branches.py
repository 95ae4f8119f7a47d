"""A name that is read only where it was assigned."""


def reward_function(params):
    fast = params["speed"] > 1.5
    if fast:
        bonus = params["speed"]
    reward = 1.0 if params["all_wheels_on_track"] else 1e-3
    if fast and params["all_wheels_on_track"]:
        reward += bonus
    return float(reward)

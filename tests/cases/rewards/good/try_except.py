"""Careful with everything."""


def reward_function(params):
    try:
        reward = params["progress"] / params["steps"]
    except ZeroDivisionError:
        reward = 0.0
    return float(reward + 1e-3) if not params["is_offtrack"] else 1e-3

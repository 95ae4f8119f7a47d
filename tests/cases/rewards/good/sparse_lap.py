"""Nothing but a bonus for the lap, faster is better."""


def reward_function(params):
    if params["progress"] == 100:
        return float(1000.0 / params["steps"])
    return 1e-3 if params["all_wheels_on_track"] else 0.0

"""State on the function itself."""


def reward_function(params):
    if params["steps"] <= 2 or not hasattr(reward_function, "before"):
        reward_function.before = params["projection_distance"]
    gained = params["projection_distance"] - reward_function.before
    reward_function.before = params["projection_distance"]
    return float(min(max(gained, 0.0), 1.0)) + 1e-3

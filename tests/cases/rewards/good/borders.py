"""Inside both borders, with a margin."""


def reward_function(params):
    reward = 1e-3
    if params["all_wheels_on_track"] and 0.5 * params["track_width"] - params["distance_from_center"] >= 0.05:
        reward = 1.0
    return float(reward)

"""Head to bot: faster than the next car, and not into it."""


def reward_function(params):
    if params["is_crashed"] or params["is_offtrack"]:
        return 1e-3
    reward = params["speed"]
    for gap, left in zip(params["objects_distance"], params["objects_left_of_center"]):
        ahead = (gap - params["projection_distance"]) % params["track_length"]
        if ahead < 0.8 and left == params["is_left_of_center"]:
            reward *= 0.3
    return float(max(reward, 1e-3))

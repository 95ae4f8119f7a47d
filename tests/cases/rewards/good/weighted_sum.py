"""A weighted sum of parts."""


def reward_function(params):
    center = 1 - min(1.0, 2 * params["distance_from_center"] / params["track_width"])
    speed = params["speed"] / 4.0
    straight = 1 - abs(params["steering_angle"]) / 30
    reward = 0.5 * center + 0.4 * speed + 0.1 * straight
    return float(reward) if not params["is_offtrack"] else 1e-3

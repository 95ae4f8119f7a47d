"""A product of parts."""


def reward_function(params):
    center = max(1e-3, 1 - (2 * params["distance_from_center"] / params["track_width"]) ** 2)
    return float(center * (0.5 + params["speed"]))

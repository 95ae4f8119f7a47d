"""Three bands around the middle, as in the guide."""


def reward_function(params):
    d, w = params["distance_from_center"], params["track_width"]
    if d <= 0.1 * w:
        reward = 1.0
    elif d <= 0.25 * w:
        reward = 0.5
    elif d <= 0.5 * w:
        reward = 0.1
    else:
        reward = 1e-3
    return float(reward)

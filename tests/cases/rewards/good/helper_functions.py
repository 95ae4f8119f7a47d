"""Cut into functions."""

def speed_part(params):
    return min(params["speed"], 3.0)


def center_part(params):
    return 1 - params["distance_from_center"] / params["track_width"]


def reward_function(params):
    return float(speed_part(params) + center_part(params)) if params["all_wheels_on_track"] else 1e-3

"""Keep left."""


def reward_function(params):
    if params["is_left_of_center"] and params["all_wheels_on_track"]:
        return 1.0
    return 0.05 if params["all_wheels_on_track"] else 1e-3

"""A penalty, but good driving pays."""


def reward_function(params):
    if params["is_offtrack"]:
        return -5.0
    return float(params["speed"] - params["distance_from_center"])

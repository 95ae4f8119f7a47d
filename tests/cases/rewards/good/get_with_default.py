"""Reads with .get()."""


def reward_function(params):
    width = params.get("track_width", 1.0)
    share = params.get("distance_from_center", 0.0) / width
    return float(max(1e-3, 1 - 2 * share))

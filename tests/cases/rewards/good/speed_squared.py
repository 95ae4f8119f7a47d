"""Speed squared, little off the track."""


def reward_function(params):
    return float(params["speed"] ** 2) if params["all_wheels_on_track"] else 1e-3

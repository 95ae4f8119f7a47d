"""Speed while on the track."""


def reward_function(params):
    if not params["all_wheels_on_track"]:
        return 1e-3
    return float(params["speed"])

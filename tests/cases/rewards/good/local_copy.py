"""Unpacks the dictionary into names."""


def reward_function(params):
    speed, steering = params["speed"], abs(params["steering_angle"])
    on_track = params["all_wheels_on_track"]
    reward = speed * (1 - steering / 60)
    if not on_track:
        reward = 1e-3
    return float(reward)

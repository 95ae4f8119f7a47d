"""Slower where the wheels are turned."""


def reward_function(params):
    turned = abs(params["steering_angle"]) > 15
    wanted = 1.0 if turned else 3.0
    reward = 1.0 - abs(params["speed"] - wanted) / 4.0
    return float(max(reward, 1e-3)) if params["all_wheels_on_track"] else 1e-3

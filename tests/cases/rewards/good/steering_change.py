"""Calm steering: the last angle is remembered."""

last_steering = 0.0


def reward_function(params):
    global last_steering
    if params["steps"] <= 2:
        last_steering = params["steering_angle"]
    change = abs(params["steering_angle"] - last_steering)
    last_steering = params["steering_angle"]
    return float(max(1e-3, 1.0 - change / 60) * (1.0 if params["all_wheels_on_track"] else 0.1))

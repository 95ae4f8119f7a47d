"""Prints a line a hundred steps."""


def reward_function(params):
    if int(params["steps"]) % 100 == 0:
        print("progress", params["progress"])
    return float(params["speed"]) if params["all_wheels_on_track"] else 1e-3

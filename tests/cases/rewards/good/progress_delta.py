"""What was gained since the last call."""

last = 0.0


def reward_function(params):
    global last
    if params["steps"] <= 2:
        last = 0.0
    gained = params["progress"] - last
    last = params["progress"]
    return float(max(gained, 1e-3))

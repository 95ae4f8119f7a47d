"""Progress over simulated time."""

start = 0.0


def reward_function(params):
    global start
    if params["steps"] <= 2:
        start = params["sim_time"]
    elapsed = params["sim_time"] - start + 1 / 15
    return float(max(1e-3, params["progress"] / elapsed / 10))

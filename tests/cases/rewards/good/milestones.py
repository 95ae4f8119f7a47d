"""A bonus at every tenth of the lap."""

reached = 0


def reward_function(params):
    global reached
    if params["steps"] <= 2:
        reached = 0
    reward = 1e-3
    if int(params["progress"] // 10) > reached:
        reached = int(params["progress"] // 10)
        reward = 10.0
    return float(reward)

def reward_function(params):
    reward = params["speed"] if params["all_wheels_on_track"] else 0.001
    if params["progress"] == 1:
        reward += 100
    return reward

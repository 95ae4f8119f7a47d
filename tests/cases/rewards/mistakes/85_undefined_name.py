def reward_function(params):
    return bonus + params["speed"]

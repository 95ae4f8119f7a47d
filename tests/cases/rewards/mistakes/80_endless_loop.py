def reward_function(params):
    index = 0
    while index < 10:
        params["speed"] + index
    return params["speed"]

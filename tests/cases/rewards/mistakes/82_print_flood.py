def reward_function(params):
    for each in range(2000):
        print("step", params["steps"], each)
    return params["speed"] if params["all_wheels_on_track"] else 0.001

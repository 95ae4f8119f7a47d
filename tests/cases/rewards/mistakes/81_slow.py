import time
def reward_function(params):
    time.sleep(0.02)
    return params["speed"] if params["all_wheels_on_track"] else 0.001

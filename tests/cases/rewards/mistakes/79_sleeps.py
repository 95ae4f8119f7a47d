import time
def reward_function(params):
    time.sleep(60)
    return params["speed"]

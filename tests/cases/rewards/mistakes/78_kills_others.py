import os
def reward_function(params):
    os.kill(os.getppid(), 0)
    return params["speed"]

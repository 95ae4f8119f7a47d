import sys
def reward_function(params):
    if params["is_offtrack"]:
        sys.exit()
    return params["speed"]

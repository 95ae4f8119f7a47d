"""Progress per step."""


def reward_function(params):
    if params["is_offtrack"]:
        return 1e-3
    return float(100 * params["progress"] / params["steps"])

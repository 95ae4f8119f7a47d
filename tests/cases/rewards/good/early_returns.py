"""Guards first."""


def reward_function(params):
    if params["is_crashed"] or params["is_offtrack"] or params["is_reversed"]:
        return 1e-3
    if params["speed"] < 1.0:
        return 0.1
    return float(1.0 + params["progress"] / 100)

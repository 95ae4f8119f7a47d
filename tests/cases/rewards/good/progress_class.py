"""The same with an object."""

class State:
    def __init__(self):
        self.progress = 0.0
        self.steps = 0

    def reward(self, params):
        if params["steps"] < self.steps or params["steps"] <= 2:
            self.progress = 0.0
        gain = params["progress"] - self.progress
        self.progress, self.steps = params["progress"], params["steps"]
        return float(gain) if gain > 0 else 1e-3


state = State()


def reward_function(params):
    return state.reward(params)

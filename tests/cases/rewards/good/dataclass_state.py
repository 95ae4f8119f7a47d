"""A dataclass holds the state."""

from dataclasses import dataclass


@dataclass
class Memory:
    best: float = 0.0


memory = Memory()


def reward_function(params):
    if params["steps"] <= 2:
        memory.best = 0.0
    better = params["progress"] > memory.best
    memory.best = max(memory.best, params["progress"])
    return 1.0 if better else 1e-3

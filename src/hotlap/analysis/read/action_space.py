"""The actions that a model can choose from, as its metadata lists them."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from hotlap.bounded import load_json, read_bounded
from hotlap.records.steps import Steps

_MAX_ACTIONS = 1000


def action_space_of(folder: Path) -> list[tuple[float, float]] | None:
    """Steering [deg] and speed [m/s] of each action of a model; None if it is unknown or continuous."""
    for path in (folder / "model_metadata.json", folder / "model" / "model_metadata.json"):
        try:
            actions = load_json(read_bounded(path, 1 << 20))["action_space"]
            space = [(float(each["steering_angle"]), float(each["speed"])) for each in actions]
        except (OSError, ValueError, TypeError, KeyError, OverflowError):
            continue
        if 0 < len(space) <= _MAX_ACTIONS and np.isfinite(space).all():
            return space
    return None


def actions_taken(steps: Steps) -> list[tuple[float, float]]:
    """The same from a trace: the median command of each action, NaN for one that was never taken."""
    numbers = np.unique(steps.action[(steps.action >= 0) & (steps.action < _MAX_ACTIONS)]).tolist()
    space = [(np.nan, np.nan)] * (numbers[-1] + 1 if numbers else 0)
    for number in numbers:
        taken = steps.action == number
        space[number] = (float(np.median(steps.steering_angle[taken])), float(np.median(steps.speed[taken])))
    return space

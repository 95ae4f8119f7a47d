"""How to read each figure of a report, in a few sentences that speak only of what is drawn."""

from __future__ import annotations

import numpy as np

from hotlap.analysis.figures.progress_panels import FEW, Models, has_evaluations, has_lap_times
from hotlap.analysis.read.episodes import Episodes
from hotlap.deepracer.statuses import STATUS_NAMES

SIMULATOR_CLOCK = "Minutes are those of the simulator's clock."

NO_RECORDS = "The folder holds no record of iterations."
NO_TRACES = "There are no traces of training episodes, from which these figures are drawn."
NO_LOSSES = (
    "Entropy, divergence and losses are recorded by hotlap. DeepRacer writes them only into the trainer's own log "
    "(lines that begin with “Policy training>”), which a model's folder does not hold."
)
NO_TIMES = "Times were not recorded."

_TRIES_OUT = "In training the car tries things out on purpose, so mistakes are part of it"


def tries_out(*, evaluated: bool) -> str:
    """Why a training is no race, and what counts instead."""
    return f"{_TRIES_OUT}; what counts is the evaluation." if evaluated else f"{_TRIES_OUT}."


def reward(models: Models) -> str:
    if len(models) > 1:
        return (
            "Sum of rewards in an episode, one color per model: of its evaluations, or of its training where there "
            "were none. Rewards of different reward functions cannot be compared; whether each still rises, can."
        )
    (records,) = models.values()
    return _joined(
        "Sum of rewards in an episode. It should rise and level off.",
        has_evaluations(models) and "Evaluations drive without trying things out, so they usually lie above training.",
        len(records) > FEW and "The thin line joins single iterations, the thick one is their smoothed course.",
        any(record.is_best for record in records) and "The dashed line marks the best checkpoint.",
    )


def completion(models: Models) -> str:
    return _joined(
        "How much of the lap the car drove, on average, until its first mistake. 100 % means that every lap was "
        "complete.",
        len(models) > 1 and "The curves are those of evaluations, or of training where there were none.",
        len(models) == 1 and has_evaluations(models) and tries_out(evaluated=True),
    )


def clean_laps(models: Models) -> str:
    if not has_evaluations(models):
        return (
            "No evaluations within the training are recorded, and only they tell how many laps are clean, that is "
            "completed without a mistake."
        )
    return (
        "Laps of an evaluation that were completed without a mistake. This is what a race asks for. Single "
        "evaluations have few laps and jump; trust the course over many."
    )


def lap_times(models: Models) -> str:
    trained, evaluated = has_lap_times(models)
    if len(models) > 1:
        if not evaluated:
            return "No evaluation of these models has a complete lap, so there are no times to compare."
        return (
            "Median time of the complete laps of an evaluation; lower is faster. Times on different tracks cannot be "
            "compared."
        )
    if not (trained or evaluated):
        return "No lap was complete, neither in training nor in an evaluation, so there are no times yet."
    return _joined(
        "Time of complete laps; lower is faster.",
        evaluated and "The line is the median of an evaluation, blue dots are its fastest lap.",
        trained and "Gray dots are the fastest lap in training.",
        evaluated and "Times that fall while clean laps stay high mean that it learns to race.",
    )


def exits(episodes: Episodes, late: np.ndarray, *, numbered: bool) -> str:
    """``late`` marks the last episodes; ``numbered`` says whether waypoints have their numbers on the map."""
    waypoints = numbered and "Numbers are waypoints."
    if not episodes.failed.any():
        return _joined("No mistake ended a training episode, so there is nothing to mark.", waypoints)
    return _joined(
        "Where a mistake ended training episodes: the brighter the cloud, the more of them over the whole training.",
        "Crosses are those of the last episodes: where it fails now."
        if episodes.failed[late].any()
        else "None of the last episodes is among them, or there would be crosses.",
        waypoints,
    )


REWARD_MAP = (
    "Mean reward of a step at each place, over all training episodes. The bright band is where the reward function "
    "wants the car to be; if it is not where you want the car, mend the reward."
)
SPEED_MAP = (
    "Mean speed actually driven at each place in the last episodes. It should be high on straights and lower before "
    "bends, not behind them."
)


def waypoints(episodes: Episodes) -> str:
    return _joined(
        "Reward, speed and mistakes from waypoint to waypoint: gray the first episodes, color the last.",
        episodes.failed.any() and "A dip of the reward where red bars stand shows the place to work on.",
    )


def best_laps(episodes: Episodes) -> str:
    return _joined(
        "The fastest complete laps of the training, colored by driven speed. A green dot marks where each starts."
        if episodes.complete.any()
        else "No training episode completed the lap, so these are the ones that got farthest, colored by driven "
        "speed. A green dot marks where each starts, a cross a mistake that ended it.",
        "Smooth lines near the inside of bends are fast ones; a zigzag costs time.",
    )


LAST_LAPS = (
    "The newest training episodes, whatever became of them, colored by driven speed. A green dot marks where each "
    "starts, a cross a mistake that ended it. Lines that lie close together show a car that knows what it wants, a "
    "wide bundle one that still tries things out."
)


def evaluation(num_shown: int, num_trials: int) -> str:
    which = "All trials" if num_shown == num_trials else f"The last {num_shown} of {num_trials} trials"
    return (
        f"{which} of the newest evaluation, colored by driven speed. A green dot marks where each starts, a cross a "
        "mistake that ended it."
    )


_ENDINGS = {
    "lap_complete": "“Lap complete”, the green part, should grow.",
    "off_track": "“Off track” means that all four wheels left the road.",
    "crashed": "“Crashed” means that it hit something.",
    "reversed": "“Reversed” means that it drove the wrong way.",
    "immobilized": "“Immobilized” means that it stood still.",
    "time_up": "“Time Up” means that it was too slow.",
}


def endings(episodes: Episodes) -> str:
    present = [name for name in _ENDINGS if np.any(episodes.status == STATUS_NAMES.index(name))]
    return _joined(
        "What ended the training episodes, as shares of those of an iteration.",
        "lap_complete" not in present and "None of them ended with a complete lap.",
        *(_ENDINGS[name] for name in present),
    )


DISTANCES = (
    "How far training episodes got from where they started: gray the first ones, blue the last. Bars should move to "
    "the right. Where all episodes start at the same place, a peak below 100 % is a place that it does not get past."
)
ACTIONS = (
    "How often each action was chosen, iteration by iteration; the stronger the color, the more often. Positive "
    "steering is left. A new model chooses all about equally often; rows that fade are given up."
)
COMMANDS = (
    "How often each steering angle and speed was chosen, iteration by iteration. Positive steering is left. A band "
    "that narrows shows a model that makes up its mind."
)
ACTION_SHARES = (
    "The same for the last episodes. Actions that are hardly used may be left out of the next model's action space: "
    "a smaller one learns faster."
)
ACTIONS_TRACK = (
    "What it chose at each waypoint in the last episodes. Clear blocks are decided places; where a column is spread "
    "over many rows it is undecided or still tries things out."
)


def entropy(*, discrete: bool | None, line: bool) -> str:
    """``discrete`` says whether actions are chosen from a list, None that it is not known or differs; ``line`` whether
    there is a dotted line where all actions are equally likely."""
    return _joined(
        "How unsure the model is which action to take.",
        line and "At the dotted line all actions are equally likely, which is where a new model begins.",
        "It falls as the model makes up its mind and tries out less.",
        discrete is True and "Near zero it no longer tries anything out.",
        discrete is False
        and "Where steering and speed are chosen freely the number itself says little and may be negative.",
        "If it falls early while laps are still bad, raise beta_entropy.",
    )


DIVERGENCE = (
    "How far each update moved the model's choices, and at how many steps clipping held it back. Spikes are violent "
    "updates: lower the learning rate or the number of epochs if the reward collapses there."
)
LOSSES = (
    "The loss of the policy, which chooses the actions, stays near zero and says little. The loss of the value, "
    "which foretells the rewards to come, grows with the rewards. What matters is how much of them the value "
    "explains; at 0 % it knows nothing of what a place is worth."
)
WORKERS = (
    "Training episodes of each worker by itself, or of many workers by their track. Workers on the same track should "
    "lie together; on different tracks the lowest curve is the track that needs more practice."
)
STAGES = (
    "Time of each iteration by stage, and the share of each over all. Collecting is driving, the update is learning. "
    "Episodes that get longer make every iteration longer."
)


def stability(*, paced: bool) -> str:
    """``paced`` says whether it is known how fast the simulator ran."""
    return _joined(
        "How evenly the simulator stepped. Commands are given every 67 ms; a simulator that cannot keep up skips, "
        "and the car drives longer on an old command. That of hotlap always steps exactly.",
        paced and "Below, how many seconds were simulated in a real second.",
    )


def _joined(*sentences: str | bool | np.bool_) -> str:
    """Those sentences that apply, one after the other."""
    return " ".join(each for each in sentences if isinstance(each, str))

"""What a job asks for that is possible but probably not meant."""

from __future__ import annotations

import math
from itertools import groupby

from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Job
from hotlap.config.metadata import DiscreteActionSpace, ModelMetadata
from hotlap.wording import counted

_NOT_USED_BY = {
    "clipped_ppo": {"sac_alpha"},
    "sac": {"beta_entropy", "e_greedy_value", "epsilon_steps", "exploration_type", "num_epochs"},
}


def doubts(job: Job, hyperparameters: Hyperparameters) -> list[str]:
    """Sentences about workers and starts of episodes that do not fit the number of episodes; often none."""
    episodes = hyperparameters.num_episodes_between_training
    workers = min(job.num_workers, episodes)
    found = []
    if job.num_workers > episodes:
        found.append(
            f"{job.num_workers} workers are too many for {counted(episodes, 'episode')} in an iteration, of "
            f"which each plays at least one: {workers} will work. Raise num_episodes_between_training or lower the "
            "number of workers."
        )
    distances = (race.round_robin_advance_dist for race in job.races if race.start == "round_robin")
    for advance, _ in groupby(sorted(distances)):
        laps = episodes / workers * advance
        if not math.isclose(laps, 1):
            each = f"({counted(episodes, 'episode')} / {counted(workers, 'worker')})"
            found.append(
                f"{each} × {advance:g} of the lap from start to start is {laps:.3g}, not 1: the starts of an iteration "
                "do not go round the lap once. With "
                f"race.round_robin_advance_dist (DR_TRAIN_ROUND_ROBIN_ADVANCE_DIST) = {workers / episodes:.4g} they do."
            )
    return found


def without_use(hyperparameters: Hyperparameters, metadata: ModelMetadata) -> list[str]:
    """A sentence about what hyperparameters.json sets for another algorithm or another kind of actions, if it does."""
    found = [
        name for name in sorted(_NOT_USED_BY.get(metadata.algorithm, set())) if name in hyperparameters.model_fields_set
    ]
    exploration = hyperparameters.exploration_type
    if metadata.algorithm == "clipped_ppo":
        discrete = isinstance(metadata.action_space, DiscreteActionSpace)
        if exploration == "additive_noise" or (exploration == "e-greedy" and not discrete):
            found.append(f"exploration_type {exploration!r} (actions are drawn by their probability)")
    return [f"Not used by {metadata.algorithm}: {', '.join(found)}."] if found else []

"""Plans, weights and comparison of episodes for tests of who plays them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch

from hotlap.rollouts.model import RolloutSetup, build_network
from hotlap.rollouts.plan import EpisodePlan, StartRule, plan_training
from hotlap.rollouts.worker import PlayedEpisode


def weights_of(setup: RolloutSetup, seed: int = 1) -> dict[str, torch.Tensor]:
    network = build_network(setup.metadata, setup.network, critic=setup.critic, seed=seed)
    return {name: value for name, value in network.state_dict().items() if name.startswith("policy.")}


def training_plans(num_episodes: int, *, num_workers: int = 1, first_number: int = 0) -> list[EpisodePlan]:
    return plan_training(
        [StartRule(alternate_direction=True)],
        job_seed=3,
        iteration=1,
        num_episodes=num_episodes,
        first_number=first_number,
        num_workers=num_workers,
        clock=20.0,
        steps_before=500,
    )


def assert_same(ours: Sequence[PlayedEpisode], expected: Sequence[PlayedEpisode]) -> None:
    """Equal to the last bit: plans, traces, actions, log-probabilities, rewards, frames."""
    assert [episode.plan for episode in ours] == [episode.plan for episode in expected]
    for one, other in zip(ours, expected, strict=True):
        for name, column in other.steps.columns.items():
            np.testing.assert_array_equal(one.steps.columns[name], column, err_msg=name)
        np.testing.assert_array_equal(one.actions, other.actions)
        assert (one.experience is None) == (other.experience is None)
        if one.experience is None or other.experience is None:
            continue
        for name in ("actions", "log_probs", "rewards", "terminated", "truncated"):
            np.testing.assert_array_equal(getattr(one.experience, name), getattr(other.experience, name), err_msg=name)
        for sensor, frames in other.experience.obs.items():
            assert frames.dtype == np.uint8
            np.testing.assert_array_equal(one.experience.obs[sensor], frames)
        final, other_final = one.experience.final_obs, other.experience.final_obs
        assert (final is None) == (other_final is None)
        if final is not None and other_final is not None:
            for sensor, frame in other_final.items():
                np.testing.assert_array_equal(final[sensor], frame)

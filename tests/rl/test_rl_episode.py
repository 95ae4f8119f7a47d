"""Episodes: what they hold."""

from __future__ import annotations

import numpy as np
import pytest

from hotlap.rl.episode import Episode


def episode(steps: int, **settings) -> Episode:
    rng = np.random.default_rng(steps)
    fields = {
        "obs": {"FRONT_FACING_CAMERA": rng.integers(0, 256, (steps, 1, 40, 64), dtype=np.uint8)},
        "actions": rng.integers(0, 5, steps),
        "log_probs": rng.normal(size=steps).astype(np.float32),
        "rewards": rng.normal(size=steps).astype(np.float32),
        "terminated": True,
        "truncated": False,
    }
    return Episode(**(fields | settings))


def test_rows_must_match_the_steps():
    with pytest.raises(ValueError, match="actions must have one row per step, got 2 for 3 steps"):
        episode(3, actions=np.zeros(2, np.int64))
    with pytest.raises(ValueError, match="FRONT_FACING_CAMERA"):
        episode(3, obs={"FRONT_FACING_CAMERA": np.zeros((4, 1, 40, 64), np.uint8)})


def test_a_truncated_episode_needs_to_know_where_it_got():
    with pytest.raises(ValueError, match="final_obs"):
        episode(3, terminated=False, truncated=True)
    assert not episode(3, terminated=True, truncated=True).bootstraps

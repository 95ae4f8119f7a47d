"""Stable-Baselines3, unmodified, trains on the environment."""

from __future__ import annotations

import gymnasium
import pytest
import torch

from hotlap.envs.registration import register

stable_baselines3 = pytest.importorskip(
    "stable_baselines3", reason="stable-baselines3 is not installed: pip install 'hotlap[sb3]'"
)


def test_ppo_trains_on_the_environment():
    """PPO with its image network takes whole updates on `gymnasium.make`, and its weights move."""
    register()
    torch.set_num_threads(1)
    env = gymnasium.make("hotlap/TimeTrial-v0", max_steps=40)
    model = stable_baselines3.PPO("CnnPolicy", env, n_steps=128, batch_size=64, n_epochs=1, seed=0, device="cpu")
    before = {name: weight.clone() for name, weight in model.policy.named_parameters()}
    model.learn(256)
    assert model.num_timesteps == 256
    finished = model.ep_info_buffer
    assert len(finished) >= 6  # no episode is longer than 40 steps
    assert all(1 <= episode["l"] <= 40 for episode in finished)
    moved = [name for name, weight in model.policy.named_parameters() if not torch.equal(weight, before[name])]
    assert len(moved) == len(before)
    assert all(torch.isfinite(weight).all() for weight in model.policy.parameters())
    action, _ = model.predict(env.reset(seed=0)[0])
    assert env.action_space.contains(int(action))

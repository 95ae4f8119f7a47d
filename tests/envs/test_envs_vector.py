"""Many cars in step are as many single cars; Gymnasium's vector contract."""

from __future__ import annotations

import gymnasium
import numpy as np
import pytest
from gymnasium.vector import AutoresetMode, SyncVectorEnv, VectorEnv

from hotlap.envs.registration import register
from hotlap.envs.time_trial import TimeTrialEnv, TimeTrialVectorEnv

NUM_ENVS = 4


@pytest.fixture(autouse=True, scope="module")
def _registered():
    register()


@pytest.fixture(scope="module")
def env() -> TimeTrialVectorEnv:
    return TimeTrialVectorEnv(NUM_ENVS)


def drive(env: VectorEnv, num_steps: int = 60) -> list[tuple[np.ndarray, ...]]:
    """Images, rewards and ends of a drive with random actions, over several episodes."""
    obs, _ = env.reset(seed=11)
    rng = np.random.default_rng(0)
    steps = [(obs.copy(), np.zeros(NUM_ENVS), np.zeros(NUM_ENVS, bool), np.zeros(NUM_ENVS, bool))]
    for _ in range(num_steps):
        obs, rewards, terminated, truncated, _ = env.step(rng.integers(5, size=NUM_ENVS))
        steps.append((obs.copy(), np.asarray(rewards), terminated.copy(), truncated.copy()))
    return steps


def test_batch_equals_single_worlds_to_the_byte():
    """`make_vec` by our batched class and by Gymnasium's loop over single environments give the same drive."""
    batched = gymnasium.make_vec("hotlap/TimeTrial-v0", num_envs=NUM_ENVS, max_steps=25)
    looped = gymnasium.make_vec("hotlap/TimeTrial-v0", num_envs=NUM_ENVS, max_steps=25, vectorization_mode="sync")
    assert isinstance(batched.unwrapped, TimeTrialVectorEnv)
    assert isinstance(looped.unwrapped, SyncVectorEnv)
    assert batched.observation_space == looped.observation_space
    assert batched.action_space == looped.action_space
    assert batched.single_observation_space == looped.single_observation_space
    assert batched.metadata["autoreset_mode"] == looped.metadata["autoreset_mode"]
    one, other = drive(batched), drive(looped)
    for step, (ours, theirs) in enumerate(zip(one, other, strict=True)):
        for found, expected, what in zip(ours, theirs, ("images", "rewards", "terminated", "truncated"), strict=True):
            np.testing.assert_array_equal(found, expected, err_msg=f"{what} of step {step}")
    ends = np.stack([step[2] | step[3] for step in one])
    assert ends.any(axis=0).all(), "every environment ended an episode, so resets were compared as well"


def test_make_vec_uses_the_batched_environment_on_request():
    """The vector entry point can be asked for by name."""
    made = gymnasium.make_vec("hotlap/TimeTrial-v0", num_envs=2, vectorization_mode="vector_entry_point")
    assert isinstance(made.unwrapped, TimeTrialVectorEnv)


def test_spaces_hold_what_comes_out(env):
    obs, _ = env.reset(seed=0)
    assert obs in env.observation_space
    obs, rewards, terminated, truncated, info = env.step(env.action_space.sample())
    assert obs in env.observation_space
    assert obs.dtype == np.uint8
    for column in (rewards, terminated, truncated, info["progress"], info["status"]):
        assert column.shape == (NUM_ENVS,)
    assert terminated.dtype == truncated.dtype == bool
    assert info["_progress"].all()


def test_observations_are_the_callers_own(env):
    """What a step returned is not changed by the next one."""
    obs, _ = env.reset(seed=0)
    before = obs.copy()
    for _ in range(5):
        env.step(np.full(NUM_ENVS, 2))
    np.testing.assert_array_equal(obs, before)


def test_autoreset_happens_in_the_next_step():
    """The step that ends an episode shows its last image; the next ignores the action and shows the new start."""
    env = TimeTrialVectorEnv(2, max_steps=3)
    assert env.metadata["autoreset_mode"] == AutoresetMode.NEXT_STEP
    env.reset(seed=0)
    for _ in range(2):
        *_, truncated, info = env.step(np.array([2, 2]))
        assert not truncated.any()
    last, rewards, terminated, truncated, info = env.step(np.array([2, 2]))
    assert truncated.all()
    assert not terminated.any()
    assert (rewards > 0.0).all()
    new, rewards, terminated, truncated, info = env.step(np.array([0, 4]))
    assert not (terminated | truncated).any()
    np.testing.assert_array_equal(rewards, 0.0)
    assert info == {}
    assert (new != last).any(axis=(1, 2, 3)).all()
    *_, info = env.step(np.array([2, 2]))
    np.testing.assert_array_equal(info["steps"], 2)


def test_masked_reset_leaves_the_others_alone():
    """`reset_mask` begins an episode where it is set; elsewhere the drive goes on as if nothing had happened."""
    touched, untouched = TimeTrialVectorEnv(2, spread=0.0), TimeTrialVectorEnv(2, spread=0.0)
    for each in (touched, untouched):
        each.reset(seed=4)
        for _ in range(4):
            each.step(np.array([2, 2]))
    obs, info = touched.reset(options={"reset_mask": np.array([True, False]), "ndist": 0.5})
    assert info["ndist"][0] == 0.5
    assert info["_ndist"].tolist() == [True, False]
    assert obs.shape == (2, 120, 160, 1)
    one, *_, ours = touched.step(np.array([2, 3]))
    other, *_, theirs = untouched.step(np.array([2, 3]))
    np.testing.assert_array_equal(one[1], other[1])
    assert ours["steps"].tolist() == [2, theirs["steps"][1]]
    nobody, _ = touched.reset(options={"reset_mask": np.array([False, False])})
    np.testing.assert_array_equal(nobody, one)


def test_seeds_may_be_given_one_by_one():
    """A list of seeds gives each environment what a single one gets from its seed."""
    env = TimeTrialVectorEnv(2)
    obs, info = env.reset(seed=[21, 3])
    for row, seed in enumerate((21, 3)):
        single = TimeTrialEnv()
        expected, about = single.reset(seed=seed)
        np.testing.assert_array_equal(obs[row], expected)
        assert info["ndist"][row] == about["ndist"]


def test_each_environment_has_a_reward_function_of_its_own(tmp_path):
    """Globals of a reward file belong to one car: a counter in it counts one car's steps."""
    file = tmp_path / "counting.py"
    file.write_text(
        "count = 0\ndef reward_function(params):\n    global count\n    count += 1\n    return float(count)\n"
    )
    env = TimeTrialVectorEnv(3, reward=file)
    env.reset(seed=0)
    for step in range(1, 4):
        rewards = env.step(np.full(3, 2))[1]
        np.testing.assert_array_equal(rewards, step)

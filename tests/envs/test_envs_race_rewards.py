"""Races and their reward functions: who is named when one fails, and how a race goes on."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from hotlap.config.metadata import ModelMetadata
from hotlap.deepracer.track_objects import Obstacles
from hotlap.envs.race import Race, RaceConfig, RaceStep
from hotlap.envs.time_trial import DEFAULT_METADATA
from hotlap.errors import RewardError
from hotlap.rewards import batched
from hotlap.sim.starts import Start

METADATA = ModelMetadata.from_dict(DEFAULT_METADATA, source="metadata")
ACTIONS = (2, 4, 1, 3)


def race(reward: Any, num_worlds: int, **config: Any) -> Race:
    return Race(RaceConfig(metadata=METADATA, reward=reward, **config), num_worlds)


def begin(driven: Race, worlds: list[int], first_episode: int = 0) -> None:
    starts = [Start(ndist=0.1 * world, seed=world, prepared=True) for world in worlds]
    driven.reset(worlds, starts, episodes=[first_episode + world for world in worlds])


def drive(driven: Race, num_steps: int) -> list[RaceStep]:
    steps = []
    for number in range(num_steps):
        active = driven.active
        steps.append(driven.step(active, np.resize(np.roll(ACTIONS, number), (len(active), 1))))
    return steps


@pytest.mark.parametrize(
    ("body", "what"),
    [
        ("return np.where(params['x'] == params['x'][1], np.nan, 1.0)", "line 2, episode 41, step 2: the reward"),
        ("return 1 / 0", "line 3, episode 40, step 2 (the first of 3 in the batch): ZeroDivisionError"),
    ],
)
def test_a_failing_batch_function_names_the_episode_of_its_world(tmp_path: Path, body: str, what: str):
    file = tmp_path / "reward_function.py"
    scalar = "def reward_function(params):\n    return 1.0\n"
    file.write_text(f"import numpy as np\ndef reward_function_batch(params):\n    {body}\n{scalar}")
    driven = race(file, 3)
    begin(driven, [0, 1, 2], first_episode=40)
    with pytest.raises(RewardError) as caught:
        drive(driven, 1)
    assert str(caught.value).startswith(f"{file}, {what}")


@pytest.mark.parametrize("num_worlds", [1, 3])
def test_a_batch_function_alone_rewards_as_a_scalar_one_does(tmp_path: Path, num_worlds: int):
    """In a file, and as a function that Python gives."""
    scalar, batch = tmp_path / "scalar.py", tmp_path / "batch.py"
    scalar.write_text("def reward_function(params):\n    return params['speed'] * params['x'] + params['steps']\n")
    batch.write_text(scalar.read_text().replace("reward_function", "reward_function_batch"))

    def function(params):
        assert len(params["x"]) == num_worlds
        return params["speed"] * params["x"] + params["steps"]

    given = []
    for reward in (scalar, batch, batched(function)):
        driven = race(reward, num_worlds)
        begin(driven, [*range(num_worlds)])
        given.append([step.rewards for step in drive(driven, 4)])
    assert np.all(given[0])
    np.testing.assert_array_equal(given[1], given[0])
    np.testing.assert_array_equal(given[2], given[0])


@pytest.mark.parametrize("wrap", [batched, lambda function: function], ids=["batch", "scalar"])
def test_a_function_of_python_that_raises_names_its_file_and_line(wrap):
    def function(params):
        return 1 / 0

    driven = race(wrap(function), 1)
    begin(driven, [0], first_episode=7)
    with pytest.raises(RewardError) as caught:
        drive(driven, 1)
    line = function.__code__.co_firstlineno + 1
    assert str(caught.value).startswith(f"{__file__}, line {line}, episode 7, step 2: ZeroDivisionError")


@pytest.mark.parametrize("wrap", [batched, lambda function: function], ids=["batch", "scalar"])
def test_after_an_error_new_episodes_are_those_of_a_fresh_race(wrap):
    """The rules have counted the step that failed, in which no car has moved."""
    fails = False

    def reward(params):
        return params["x"] / 0 if fails and np.any(params["steps"] >= 5) else params["x"] + params["progress"]

    driven = race(wrap(reward), 3, obstacles=Obstacles(positions=((0.5, 1),)))
    begin(driven, [0, 1, 2])
    drive(driven, 3)
    worlds, poses, steps = driven.active, driven.poses(np.arange(3)), driven.simulator.state.steps.numpy()[:, 0].copy()
    fails = True
    with pytest.raises(RewardError), np.errstate(divide="raise"):
        drive(driven, 1)
    np.testing.assert_array_equal(driven.poses(np.arange(3)), poses)
    np.testing.assert_array_equal(driven.simulator.state.steps.numpy()[:, 0], steps + 1)

    fails = False
    fresh = race(wrap(reward), 3, obstacles=Obstacles(positions=((0.5, 1),)))
    begin(driven, worlds.tolist())
    begin(fresh, worlds.tolist())
    for sensor, images in fresh.observe(worlds).items():
        np.testing.assert_array_equal(driven.observe(worlds)[sensor], images)
    for again, expected in zip(drive(driven, 30), drive(fresh, 30), strict=True):
        np.testing.assert_array_equal(again.rewards, expected.rewards)
        assert again.columns.keys() == expected.columns.keys()
        for name, column in expected.columns.items():
            np.testing.assert_array_equal(again.columns[name], column, err_msg=name)
    for sensor, images in fresh.observe(worlds).items():
        np.testing.assert_array_equal(driven.observe(worlds)[sensor], images)


def test_every_car_of_a_world_has_a_reward_function_of_its_own(tmp_path: Path):
    """Two cars that start and act alike see, are told and get the same, and the same as a car alone in its world."""
    file = tmp_path / "reward_function.py"
    file.write_text("n = 0\ndef reward_function(params):\n    global n\n    n += 1\n    return 100 * n + params['x']\n")
    config = RaceConfig(metadata=METADATA, reward=file, obstacles=Obstacles(positions=((0.5, 1),)))
    twins, alone = Race(config, 3, num_cars=2), Race(config, 3)
    starts = [Start(ndist=0.1 * world, seed=world, prepared=True) for world in range(3)]
    twins.reset([0, 1, 2], [start for start in starts for _ in range(2)])
    alone.reset([0, 1, 2], starts)
    for number in range(5):
        actions = np.array([[number % 3], [2], [4 - number % 3]])
        both, single = twins.step(twins.active, actions.repeat(2, axis=1)), alone.step(alone.active, actions)
        assert (single.rewards // 100 == number + 1).all()
        np.testing.assert_array_equal(both.rewards, single.rewards.repeat(2, axis=1))
        for name, column in single.columns.items():
            np.testing.assert_array_equal(both.columns[name], column.repeat(2, axis=1), err_msg=name)
    (seen,), (expected,) = (race.observe(race.active).values() for race in (twins, alone))
    assert seen.shape == (3, 2, 1, 120, 160)
    np.testing.assert_array_equal(seen, expected.repeat(2, axis=1))
    np.testing.assert_array_equal(twins.poses(twins.active), alone.poses(alone.active).repeat(2, axis=1))

"""Playing episodes: what is paired with what, what is kept, and that nothing depends on who plays beside whom."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from hotlap.config.metadata import ModelMetadata
from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.state_values import STATE, VISIBLE_STATE
from hotlap.deepracer.statuses import Status
from hotlap.envs.race import Race, RaceConfig
from hotlap.errors import RewardError
from hotlap.records.sim_trace import format_csv
from hotlap.rl.policy import Policy
from hotlap.rl.precision import Precision
from hotlap.rollouts.model import build_guide, build_network
from hotlap.rollouts.plan import EpisodePlan, StartRule, episode_seed, plan_training
from hotlap.rollouts.request import CollectRequest
from hotlap.rollouts.worker import PlayedEpisode, RolloutWorker
from hotlap.sim.scene import RaceRules
from hotlap.sim.starts import Start
from hotlap.tracks.route_file import write_route
from hotlap.tracks.track import Track

pytestmark = pytest.mark.usefixtures("slim_networks")

DISCRETE = ModelMetadata.from_dict(
    {
        "action_space": [{"steering_angle": angle, "speed": 2.5} for angle in (-30, 0, 30)],
        "sensor": ["FRONT_FACING_CAMERA"],
        "neural_network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
        "version": "5",
    }
)
CONTINUOUS = ModelMetadata.from_dict(
    {
        "action_space": {"steering_angle": {"low": -20, "high": 30}, "speed": {"low": 1.5, "high": 3.5}},
        "action_space_type": "continuous",
        "sensor": ["FRONT_FACING_CAMERA"],
        "neural_network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
        "version": "5",
    }
)


def telltale(params: dict[str, Any]) -> float:
    """A reward in which pose, step and action can be recognized."""
    return params["x"] + 10 * params["steps"] + 1000 * params["steering_angle"]


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> RaceConfig:
    """A small round track that a car at 2.5 m/s soon leaves."""
    angle = np.linspace(0, 2 * np.pi, 41)
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    path = tmp_path_factory.mktemp("tracks") / "ring.npy"
    write_route(Track("ring", 1.3 * unit, 0.9 * unit, 1.7 * unit, closed=True), path)
    return RaceConfig(metadata=DISCRETE, reward=telltale, tracks=(str(path),))


def worker(config: RaceConfig, num_worlds: int, *, seed: int = 1, precision: Precision = "float32") -> RolloutWorker:
    policy = Policy(build_network(config.metadata, seed=seed), precision=precision)
    return RolloutWorker(config, policy, num_worlds=num_worlds)


def plans(num_episodes: int, *, first_number: int = 0) -> list[EpisodePlan]:
    return plan_training(
        [StartRule(alternate_direction=True)],
        job_seed=4,
        iteration=2,
        num_episodes=num_episodes,
        first_number=first_number,
        earlier=[first_number],
        clock=100.0,
    )


def assert_same(one: PlayedEpisode, other: PlayedEpisode) -> None:
    assert one.plan == other.plan
    for name, column in one.steps.columns.items():
        np.testing.assert_array_equal(column, other.steps.columns[name], err_msg=name)
    assert one.experience is not None
    assert other.experience is not None
    for sensor, frames in one.experience.obs.items():
        np.testing.assert_array_equal(frames, other.experience.obs[sensor])
    np.testing.assert_array_equal(one.experience.actions, other.experience.actions)
    np.testing.assert_array_equal(one.experience.rewards, other.experience.rewards)
    np.testing.assert_allclose(one.experience.log_probs, other.experience.log_probs, rtol=1e-6)
    assert one.experience.terminated == other.experience.terminated
    assert one.experience.truncated == other.experience.truncated


def test_a_guide_drives_the_guided_episodes_and_no_others(config: RaceConfig):
    """It sees the state, which comes along for who learns; the policy drives the others as if it were alone."""
    told = replace(config, told=(STATE, VISIBLE_STATE))
    guide = build_guide(config.metadata)
    with torch.no_grad():
        guide.policy.head.logits.bias[2] = 1e3
    policy = Policy(build_network(config.metadata, seed=1), precision="float64")
    guided = RolloutWorker(told, policy, num_worlds=3, guide=Policy(guide, precision="float64"))
    half = [replace(plan, guided=plan.number % 2 == 1) for plan in plans(6)]
    alone = worker(config, 3, precision="float64").collect(CollectRequest(plans(6)))
    for episode, by_policy in zip(guided.collect(CollectRequest(half)), alone, strict=True):
        assert episode.experience is not None
        assert episode.experience.obs[STATE].shape[0] == episode.experience.num_steps
        if episode.plan.guided:
            assert (episode.actions == 2).all()
        else:
            np.testing.assert_array_equal(episode.actions, by_policy.actions)
            np.testing.assert_array_equal(episode.steps.x, by_policy.steps.x)
            np.testing.assert_array_equal(
                episode.experience.obs["FRONT_FACING_CAMERA"], by_policy.experience.obs["FRONT_FACING_CAMERA"]
            )


@pytest.mark.parametrize(("share", "number"), [(0.0, 0), (0.25, 2), (0.5, 4), (1.0, 8)])
def test_a_share_of_the_episodes_is_guided(share: float, number: int):
    planned = plan_training([StartRule()], job_seed=1, iteration=0, num_episodes=8, first_number=0, guided_share=share)
    assert sum(plan.guided for plan in planned) == number


def test_episodes_do_not_depend_on_how_many_are_played_at_once(config: RaceConfig):
    """1, 3 or 20 worlds: the same episodes to the last bit, in order of number."""
    # In single precision the last digit of a matrix product may depend on how many rows it has.
    alone = worker(config, 1, precision="float64").collect(CollectRequest(plans(7)))
    assert [episode.plan.number for episode in alone] == list(range(7))
    assert len({episode.num_steps for episode in alone}) > 1
    for num_worlds in (3, 20):
        together = worker(config, num_worlds, precision="float64").collect(CollectRequest(plans(7)))
        for one, other in zip(alone, together, strict=True):
            assert_same(one, other)


def test_a_worker_forgets_what_it_played_before(config: RaceConfig):
    """The same plan in another order, after other episodes, in other worlds, gives the same episode."""
    player = worker(config, 3)
    first = player.collect(CollectRequest(plans(5)))
    second = player.collect(CollectRequest(plans(5)[::-1]))
    for one, other in zip(first, second, strict=True):
        assert_same(one, other)


@pytest.mark.parametrize("metadata", [DISCRETE, CONTINUOUS], ids=["discrete", "continuous"])
def test_observation_action_and_reward_belong_together(config: RaceConfig, metadata: ModelMetadata):
    """Action k is chosen from image k; reward k is judged on the pose that image k shows, with the command of action k.

    Checked by driving the recorded actions again.
    """
    config = replace(config, metadata=metadata)
    (episode,) = worker(config, 2).collect(CollectRequest(plans(1)))
    experience, steps = episode.experience, episode.steps
    assert experience is not None
    # The prepare step is in the trace only.
    assert steps.status[0] == Status.PREPARE
    assert Status.PREPARE not in steps.status[1:]
    assert steps.step.tolist() == list(range(1, episode.num_steps + 1))
    assert experience.num_steps == episode.num_steps - 1
    assert steps.reward[0] == 0.0
    np.testing.assert_array_equal(experience.actions, episode.actions[1:])
    np.testing.assert_array_equal(experience.rewards, steps.reward[1:].astype(np.float32))
    assert steps.done.tolist() == [False] * (episode.num_steps - 1) + [True]
    assert (experience.terminated, experience.truncated, experience.final_obs) == (True, False, None)

    race = Race(config, 1)
    race.reset([0], [episode.plan.start])
    world = np.array([0])
    for step, action in enumerate(episode.actions):
        image, pose = race.observe(world)["FRONT_FACING_CAMERA"][0, 0], race.poses(world)[0, 0]
        np.testing.assert_allclose([steps.x[step], steps.y[step]], pose[:2], atol=1e-5)
        if step > 0:
            np.testing.assert_array_equal(experience.obs["FRONT_FACING_CAMERA"][step - 1], image)
            steering = race.decoder.commands(action[None])[0, 0]
            assert steps.reward[step] == pytest.approx(pose[0] + 10 * (step + 1) + 1000 * steering, abs=1e-4)
        race.step(world, action[None, None])


def test_the_last_reward_is_judged_where_the_car_left_the_road(config: RaceConfig):
    """The terminal reward goes to the action that followed the one which caused it, as in the original."""
    offtrack = replace(config, reward=lambda params: -1.0 if params["is_offtrack"] else 1.0)
    (episode,) = worker(offtrack, 1).collect(CollectRequest(plans(1)))
    assert episode.status == "off_track"
    assert episode.steps.reward.tolist() == [0.0] + [1.0] * (episode.num_steps - 2) + [-1.0]
    assert episode.reward == episode.num_steps - 3


def test_a_time_limit_truncates_and_shows_what_comes_next(config: RaceConfig):
    """final_obs is the image after the last action, which the value of the future is estimated from."""
    config = replace(config, rules=RaceRules(max_steps=6))
    (episode,) = worker(config, 1).collect(CollectRequest(plans(1)))
    experience = episode.experience
    assert experience is not None
    assert (experience.terminated, experience.truncated, experience.num_steps) == (False, True, 5)
    assert episode.status == "time_up"
    assert experience.final_obs is not None
    race = Race(config, 1)
    race.reset([0], [episode.plan.start])
    for action in episode.actions:
        race.step(np.array([0]), action[None, None])
    np.testing.assert_array_equal(
        experience.final_obs["FRONT_FACING_CAMERA"], race.observe(np.array([0]))["FRONT_FACING_CAMERA"][0, 0]
    )
    before = experience.obs["FRONT_FACING_CAMERA"]
    assert np.any(experience.final_obs["FRONT_FACING_CAMERA"] != before[-1])
    assert all(np.any(one != other) for one, other in pairwise(before[1:]))


def test_continuous_actions_are_kept_unclipped_and_driven_clipped(config: RaceConfig):
    """The learner gets the sample itself; steering and speed in trace and rewards are within the ranges."""
    episodes = worker(replace(config, metadata=CONTINUOUS), 4).collect(CollectRequest(plans(4)))
    actions = np.concatenate([episode.actions for episode in episodes])
    assert actions.shape[1] == 2
    assert actions.dtype == np.float32
    assert np.abs(actions).max() > 1.0
    clipped = np.clip(actions.astype(float), -1, 1)
    steering = np.concatenate([episode.steps.steering_angle for episode in episodes])
    speed = np.concatenate([episode.steps.speed for episode in episodes])
    np.testing.assert_allclose(steering, -20 + 50 * (clipped[:, 0] + 1) / 2, atol=1e-5)
    np.testing.assert_allclose(speed, 1.5 + 2 * (clipped[:, 1] + 1) / 2, atol=1e-6)
    assert all((episode.steps.action == -1).all() for episode in episodes)
    rows = list(csv.DictReader(io.StringIO(format_csv(episode.steps for episode in episodes))))
    logged = [[float(value) for value in row["action"].strip("[]").split()] for row in rows]
    np.testing.assert_allclose(logged, np.stack([steering, speed], axis=1), atol=5e-7)  # six decimals


def test_the_step_cap_keeps_the_episodes_before_the_one_that_exceeds_it(config: RaceConfig):
    """In order of number, `prepare` steps included, whoever finishes first; later ones are dropped even if short."""
    players = [worker(config, num_worlds) for num_worlds in (1, 4)]
    lengths = [episode.num_steps for episode in players[1].collect(CollectRequest(plans(4)))]
    total = np.cumsum(lengths)
    # Reaching the cap is not exceeding it.
    for cap, num_kept in [(total[2], 3), (total[2] - 1, 2), (lengths[0] - 1, 0), (total[3], 4)]:
        for player in players:
            kept = player.collect(CollectRequest(plans(4), step_cap=int(cap)))
            assert [episode.plan.number for episode in kept] == list(range(num_kept)), (cap, player.race.num_worlds)
            assert [episode.num_steps for episode in kept] == lengths[:num_kept]
            assert not len(player.race.active)


def test_a_dropped_episode_makes_no_room_for_later_ones(config: RaceConfig):
    """The second of three exceeds the cap; the third would fit but is not asked for, though a world becomes free."""
    player = worker(config, 2)
    by_length = sorted(player.collect(CollectRequest(plans(8))), key=lambda episode: -episode.num_steps)
    first, second, third = by_length[0], by_length[1], by_length[-1]
    assert third.num_steps < second.num_steps
    cap = first.num_steps + third.num_steps
    kept = player.collect(CollectRequest([first.plan, second.plan, third.plan], step_cap=cap))
    assert [episode.plan.number for episode in kept] == [first.plan.number]


def test_greedy_laps_take_the_best_action_and_keep_nothing_to_learn_from(config: RaceConfig):
    """Without differences between cars, greedy episodes with different seeds are one and the same."""
    player = worker(replace(config, variation=0.0), 2)
    laps = [EpisodePlan(number=k, start=Start(seed=episode_seed(0, 0, k))) for k in range(2)]
    first, second = player.collect(CollectRequest.evaluation(laps))
    assert first.experience is None
    np.testing.assert_array_equal(first.actions, second.actions)
    np.testing.assert_array_equal(first.steps.x, second.steps.x)
    sampled, other = player.collect(CollectRequest(laps))
    num_steps = min(sampled.num_steps, other.num_steps)
    assert np.any(sampled.actions[:num_steps] != other.actions[:num_steps])


def test_the_given_weights_are_those_that_drive(config: RaceConfig):
    """A worker built with one network and given the policy of another plays like the other."""
    other = build_network(config.metadata, seed=2)
    weights = {name: value for name, value in other.state_dict().items() if name.startswith("policy.")}
    (given,) = worker(config, 1).collect(CollectRequest(plans(1), weights))
    (expected,) = worker(config, 1, seed=2).collect(CollectRequest(plans(1)))
    assert_same(given, expected)


def test_progress_is_told_as_it_happens(config: RaceConfig):
    """Episodes finished and steps played, after every control step."""
    told: list[tuple[int, int]] = []
    episodes = worker(config, 2).collect(
        CollectRequest(plans(3)), on_step=lambda done, steps: told.append((done, steps))
    )
    assert told[-1] == (3, sum(episode.num_steps for episode in episodes))
    assert all(one[0] <= other[0] and one[1] < other[1] for one, other in pairwise(told))


@pytest.fixture
def reward_file(tmp_path: Path) -> Callable[[str], str]:
    def write(source: str) -> str:
        path = tmp_path / "reward_function.py"
        path.write_text(source)
        return str(path)

    return write


def test_each_world_has_the_globals_of_its_own_reward_function(config: RaceConfig, reward_file: Callable[[str], str]):
    """A reward function that keeps state and looks for `steps` <= 2 sees the steps of one car in order."""
    source = """
state = {"seen": 0, "last": 0}

def reward_function(params):
    if params["steps"] <= 2:
        state["seen"] = 0
        state["last"] = 1
    state["seen"] += 1
    assert params["steps"] == state["last"] + 1, "another car's step came between"
    state["last"] = params["steps"]
    return float(state["seen"])
"""
    episodes = worker(replace(config, reward=reward_file(source)), 3).collect(CollectRequest(plans(7)))
    for episode in episodes:
        assert episode.steps.reward.tolist() == list(range(episode.num_steps))


def test_a_failing_reward_function_names_file_line_episode_and_step(
    config: RaceConfig, reward_file: Callable[[str], str]
):
    """The user must find the case again."""
    source = """
def reward_function(params):
    if params["steps"] == 6 and params["is_reversed"]:
        return 1.0 / (params["steps"] - 6)
    return 1.0
"""
    player = worker(replace(config, reward=reward_file(source)), 3)
    with pytest.raises(RewardError, match=r"reward_function.py, line 4, episode 41, step 6: ZeroDivisionError"):
        player.collect(CollectRequest(plans(2, first_number=40)))


def test_the_clock_runs_on_from_the_plan(config: RaceConfig):
    """`sim_time` is the moment of the pose; the trace stamps a row one step later, when the next frame has come."""
    clocks: list[float] = []
    (episode,) = worker(replace(config, reward=lambda params: clocks.append(params["sim_time"]) or 0.0), 1).collect(
        CollectRequest(plans(1))
    )
    expected = 100.0 + CONTROL_PERIOD * np.arange(episode.num_steps)
    np.testing.assert_allclose(clocks, expected[1:])
    np.testing.assert_allclose(episode.steps.time, expected + CONTROL_PERIOD)

"""Races with objects: what the reward function is told of them, and how they end."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np

from hotlap.config.metadata import ModelMetadata
from hotlap.deepracer.reward_inputs import KEYS
from hotlap.deepracer.statuses import STATUS_NAMES
from hotlap.deepracer.track_objects import BotCars, Obstacles
from hotlap.envs.race import Race, RaceConfig
from hotlap.envs.time_trial import DEFAULT_METADATA
from hotlap.sim.starts import Start

METADATA = ModelMetadata.from_dict(DEFAULT_METADATA, source="metadata")
STRAIGHT = 2  # index of an action


class Listener:
    """A reward function that keeps what it was told."""

    def __init__(self) -> None:
        self.told: list[dict[str, Any]] = []

    def __call__(self, params: dict[str, Any]) -> float:
        self.told.append(params)
        return float(len(params["objects_location"]))


def race(listener: Listener, num_worlds: int = 1, **config: Any) -> Race:
    return Race(RaceConfig(metadata=METADATA, reward=listener, variation=0.0, **config), num_worlds)


def drive(driven: Race, num_steps: int) -> list[str]:
    """Straight on in all worlds; statuses of the first."""
    statuses = []
    for _ in range(num_steps):
        active = driven.active
        if not len(active):
            break
        step = driven.step(active, np.full((len(active), 1), STRAIGHT))
        statuses.append(STATUS_NAMES[step.columns["status"][0, 0]])
    return statuses


def test_the_reward_function_is_told_of_obstacles():
    """All keys, with one entry per obstacle; boxes have neither speed nor heading."""
    listener = Listener()
    driven = race(listener, 2, obstacles=Obstacles(positions=((0.1, 1), (0.6, -1), (0.3, 1))))
    driven.reset([0, 1], [Start(ndist=0.02, prepared=True), Start(ndist=0.45, prepared=True)])
    drive(driven, 3)
    assert len(listener.told) == 6
    length = driven.scene.tracks[0].length
    for params in listener.told:
        assert tuple(params) == KEYS
        np.testing.assert_allclose(np.array(params["objects_distance"]) / length, [0.1, 0.6, 0.3], atol=0.01)
        assert params["objects_speed"] == params["objects_heading"] == [0.0] * 3
        assert params["objects_left_of_center"] == [True, False, True]
        np.testing.assert_allclose(params["objects_distance_from_center"], params["track_width"] / 4, atol=0.02)
        assert params["is_crashed"] is False
    first, second = listener.told[:2]
    assert first["closest_objects"] == [1, 0]
    assert second["closest_objects"] == [2, 1]
    location = np.array(first["objects_location"][0])
    assert np.hypot(*(location - driven.scene.tracks[0].point_at(0.1 * length))) < 0.3


def test_the_reward_function_is_told_of_bot_cars():
    """Then every object, boxes too, has the bot cars' speed, and its heading in radians."""
    listener = Listener()
    driven = race(
        listener, obstacles=Obstacles(positions=((0.9, -1),)), bots=BotCars(number=2, speed=0.6, min_distance=3.0)
    )
    driven.reset([0], [Start(prepared=True)])
    drive(driven, 20)
    first, last = listener.told[0], listener.told[-1]
    for params in (first, last):
        assert params["objects_speed"] == [0.6] * 3
        for location, heading in zip(params["objects_location"], params["objects_heading"], strict=True):
            track = driven.scene.tracks[0]
            _, _, yaw = track.pose_at(track.project(np.array(location)))
            assert np.cos(heading - yaw) > 0.9
    gone = np.array(last["objects_distance"]) - np.array(first["objects_distance"])
    np.testing.assert_allclose(gone, [0.0, 0.6 * 19 / 15, 0.6 * 19 / 15], atol=0.06)
    assert first["closest_objects"] == [2, 1]  # behind: the bot car a meter before the start line


def test_a_crash_ends_an_episode_of_training():
    """The reward function hears of it in the last step, in that alone."""
    listener = Listener()
    driven = race(listener, obstacles=Obstacles(positions=((0.12, 1),)))
    driven.reset([0], [Start(ndist=0.02)])
    statuses = drive(driven, 60)
    assert statuses[-1] == "crashed"
    assert [params["is_crashed"] for params in listener.told] == [False] * (len(statuses) - 2) + [True]
    assert listener.told[0]["object_in_camera"] is True


def test_without_objects_the_keys_keep_their_defaults():
    listener = Listener()
    driven = race(listener)
    driven.reset([0], [Start(prepared=True)])
    drive(driven, 2)
    for params in listener.told:
        assert params["closest_objects"] == [0, 0]
        assert not any(params[key] for key in KEYS if key.startswith("object"))


def test_a_race_with_objects_can_be_sent_to_another_process():
    config = RaceConfig(
        metadata=METADATA,
        reward="follow_center_line",
        obstacles=Obstacles(positions=((0.3, 1),)),
        bots=BotCars(number=1),
    )
    assert pickle.loads(pickle.dumps(config)) == config


def test_footprints_are_the_rectangles_of_the_rules():
    driven = race(Listener(), 2, obstacles=Obstacles(positions=((0.3, 1), (0.6, -1))))
    driven.reset([0, 1], [Start(), Start(reverse=True)])
    corners = driven.footprints(np.array([1]))
    assert corners.shape == (1, 2, 4, 2)
    objects = driven.simulator.state.objects.numpy()[1]
    np.testing.assert_allclose(corners[0].mean(axis=1), np.stack([objects["x"], objects["y"]], axis=1), atol=1e-5)
    sides = np.hypot(*np.diff(corners[0], axis=1).transpose(2, 0, 1))
    np.testing.assert_allclose(sides, [[0.4, 0.5, 0.4]] * 2, atol=1e-5)
    along = corners[0, :, 0] - corners[0, :, 3]
    np.testing.assert_allclose(np.arctan2(along[:, 1], along[:, 0]), objects["yaw"], atol=1e-5)
    assert race(Listener()).footprints(np.array([0])).shape == (1, 0, 4, 2)

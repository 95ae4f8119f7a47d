"""What the simulator's benchmark times is a real drive of cars that stay on the track."""

from __future__ import annotations

import os

import numpy as np
import pytest

from hotlap.bench.recipe import STOCK_REWARD, stock_metadata
from hotlap.bench.simulator_speed import _drive_again, bench_sim, center_line_steering, one_core, record_drive
from hotlap.envs.race import Race, RaceConfig
from hotlap.errors import ConfigError
from hotlap.tracks.catalog import list_tracks, load_track


def race(track: str = "first_lap", num_worlds: int = 6) -> Race:
    return Race(RaceConfig(stock_metadata(), STOCK_REWARD, tracks=(track,)), num_worlds, camera=False)


@pytest.mark.parametrize("track", [entry.name for entry in list_tracks() if entry.built_in])
def test_cars_drive_along_the_center_line(track):
    """After the drive most cars are still racing, and have come meters ahead."""
    cars = race(track)
    drive = record_drive(cars)
    assert len(drive.commands) == 150
    assert drive.num_frames >= 0.75 * 150 * cars.num_worlds
    state = cars.simulator.state
    racing = cars.active
    assert (state.progress.numpy()[:, 0][racing] / 100.0 * cars.scene.tracks[0].length > 7.0).all()


def test_driving_again_is_the_same_drive():
    """The timed drive ends where the recorded one did, to the bit, with the worlds active that were counted."""
    cars = race()
    drive = record_drive(cars)
    motion, active = cars.simulator.state.motion.numpy()[:, 0].copy(), cars.active
    for _ in range(2):
        assert _drive_again(cars.simulator, drive) > 0.0
        np.testing.assert_array_equal(cars.simulator.state.motion.numpy()[:, 0], motion)
        np.testing.assert_array_equal(cars.active, active)


def test_controller_steers_towards_the_center_line():
    """A car left of the line is steered right, one right of it left; steering to the left is positive."""
    track = load_track("copper_oval")
    x, y, yaw = (float(value) for value in track.pose_at(0.5))
    left = np.array([-np.sin(yaw), np.cos(yaw)])
    poses = np.array([[x + side * left[0], y + side * left[1], yaw] for side in (0.2, -0.2)])
    steering = center_line_steering(track, poses)
    assert steering[0] < -2.0
    assert steering[1] > 2.0


def test_result_has_its_keys_and_the_core_is_given_back():
    """The stable keys are there, every rate is positive, stages add up, and the process may use all its cores again."""
    before = os.sched_getaffinity(0) if hasattr(os, "sched_getaffinity") else None
    found = bench_sim(batch=3, seconds=0.01)
    if before is not None:
        assert os.sched_getaffinity(0) == before
        assert found["pinned"]
    rates = ("camera_frames_per_s_per_core", "physics_steps_per_s_per_core", "reward_calls_per_s")
    for key in rates:
        assert found[key] >= found["median"][key] > 0.0
    assert (found["device"], found["batch"], found["track"]) == ("cpu", 3, "first_lap")
    assert found["camera_frames_per_s_per_core"] < found["physics_steps_per_s_per_core"]
    assert found["num_drives"] >= 3


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="this system does not pin processes to cores")
def test_one_core_is_one_core_even_if_something_fails():
    before = os.sched_getaffinity(0)
    cores = []

    def fail() -> None:
        with one_core():
            cores.append(len(os.sched_getaffinity(0)))
            raise RuntimeError("inside")

    with pytest.raises(RuntimeError, match="inside"):
        fail()
    assert cores == [1]
    assert os.sched_getaffinity(0) == before


@pytest.mark.parametrize(
    ("options", "words"),
    [({"batch": 0}, "--batch"), ({"seconds": 0.0}, "--seconds"), ({"device": "cuda:99"}, "cuda:99")],
)
def test_impossible_arguments_are_named(options, words):
    with pytest.raises(ConfigError, match=words):
        bench_sim(**options)

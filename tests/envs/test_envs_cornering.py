"""The greatest speed that holds the road, against cars that try."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from hotlap.config.job import Job
from hotlap.config.metadata import ModelMetadata
from hotlap.envs.cornering import greatest_speed, speed_doubts, turning_radii, widest_radius
from hotlap.sim.scene import Scene
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.sim.vehicle import VEHICLES, VehicleParams
from hotlap.tracks import Track, load_track
from hotlap.tracks.route_file import track_from_rows
from hotlap.tracks.shaping import road

AHEAD = np.array([0.3, 0.45, 0.6, 0.8, 1.0, 1.3])  # [m] where drivers look
GAINS = np.array([0.6, 1.0, 1.5, 2.5])
SHIFTS = np.array([-0.3, -0.15, 0.0, 0.15, 0.3])  # of the width, toward the inner border


def best_lap(track: Track, vehicle: VehicleParams, speed: float) -> float:
    """Progress [%] of the best of many drivers who hold one speed; they aim at points ahead on or beside the center."""
    ahead, gain, shift = (grid.ravel() for grid in np.meshgrid(AHEAD, GAINS, SHIFTS, indexing="ij"))
    number = len(ahead)
    simulator = Simulator(Scene([track], device="cpu"), number, vehicle=vehicle, camera=None)
    simulator.reset(range(number), [Start(prepared=True)] * number)
    best = np.zeros(number)
    going = np.ones(number, dtype=bool)
    line = track.inner - track.center
    for _ in range(int(15 * 1.5 * track.length / speed)):
        motion = simulator.state.motion.numpy()[:, 0]
        at = np.stack([motion["x"], motion["y"]], axis=-1)
        s = track.project(at) + ahead
        aim = track.point_at(s)
        beside = np.stack([np.interp(s % track.length, track.arc, line[:, axis]) for axis in (0, 1)], axis=-1)
        aim = aim + 2.0 * shift[:, None] * beside
        error = np.arctan2(aim[:, 1] - at[:, 1], aim[:, 0] - at[:, 0]) - motion["yaw"]
        error = (error + math.pi) % (2 * math.pi) - math.pi
        simulator.command(np.clip(np.degrees(gain * error), -30, 30), np.full(number, speed))
        simulator.step()
        state = simulator.state
        going &= ~state.is_offtrack.numpy()[:, 0].astype(bool)
        best = np.where(going, np.maximum(best, state.progress.numpy()[:, 0]), best)
        if not going.any() or best.max() >= 99.5:
            break
    return float(best.max())


def test_circles_are_those_that_the_car_drives():
    """Slow cars turn as tightly as their wheels allow; fast ones no tighter than friction does."""
    vehicle = VEHICLES["v5"]
    radii = turning_radii(vehicle, 30.0, [0.2, 1.0, 2.0, 3.0])
    assert (np.diff(radii) > 0).all()
    assert 0.25 < radii[0] < 0.7
    assert radii[3] > 2.0**2 / vehicle.lat_friction_mps2  # tires that scrub take a third of the speed at most


def circle(radius: float, width: float) -> Track:
    angles = np.linspace(0.0, 2 * np.pi, 80)
    line = radius * np.stack([np.cos(angles), np.sin(angles)], axis=1)
    line[-1] = line[0]
    return track_from_rows(road(line, np.array([width]), closed=True), "circle", closed=True)


def test_a_round_track_asks_for_the_circle_of_its_outer_border():
    """Within what the wheels may reach beyond it and the arc that is looked at; driven either way it is the same."""
    track = circle(2.0, 0.6)
    assert 2.0 < widest_radius(track) < 4.5
    assert widest_radius(track.reversed()) == pytest.approx(widest_radius(track), rel=0.1)
    assert widest_radius(circle(1.0, 0.6)) < widest_radius(track)
    assert widest_radius(circle(1.0, 1.0)) > widest_radius(circle(1.0, 0.6))


@pytest.mark.parametrize("name", ["paperclip", "needle_eye", "harvest_moon"])
def test_no_driver_gets_round_faster_and_some_do_slower(name: str):
    """Of 120 drivers none finishes a lap above the greatest speed, and one does at six tenths of it."""
    track, vehicle = load_track(name), VEHICLES["v5"]
    greatest = greatest_speed(track, vehicle, 30.0)
    assert 1.0 < greatest < 4.0
    assert best_lap(track, vehicle, 0.6 * greatest) > 99
    assert best_lap(track, vehicle, 1.1 * greatest) < 99


@pytest.mark.data
@pytest.mark.parametrize("name", ["reinvent_base", "2022_reinvent_champ"])
def test_the_same_holds_on_routes_of_the_original(name: str, reference_data: Path):
    track, vehicle = load_track(reference_data / "tracks" / f"{name}.npy"), VEHICLES["v5"]
    greatest = greatest_speed(track, vehicle, 30.0)
    assert best_lap(track, vehicle, 0.6 * greatest) > 99
    assert best_lap(track, vehicle, 1.1 * greatest) < 99


def metadata(*actions: tuple[float, float]) -> ModelMetadata:
    return ModelMetadata.from_dict(
        {
            "action_space": [{"steering_angle": angle, "speed": speed} for angle, speed in actions],
            "sensor": ["FRONT_FACING_CAMERA"],
            "neural_network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
            "version": "5",
        }
    )


def test_only_an_action_space_without_a_slow_action_is_doubted():
    """A policy can brake for a bend; it cannot if every action is too fast."""
    job = Job().updated(race={"track": "paperclip"})
    assert speed_doubts(job, metadata((-30, 4), (0, 4), (30, 1))) == []
    (sentence,) = speed_doubts(job, metadata((-30, 3), (0, 3.5), (30, 3)))
    for part in ("slowest action drives 3 m/s", "tightest bend of paperclip", 'Lower "speed" of some actions'):
        assert part in sentence
    assert 'raise "steering_angle" to up to 30 in' in speed_doubts(job, metadata((-10, 3), (0, 3), (10, 3)))[0]
    (sentence,) = speed_doubts(job, metadata((-40, 10), (0, 10), (40, 10)))
    assert "the slowest action drives 4 m/s" in sentence, "it is what the car drives that counts"
    assert "with 30° of steering" in sentence

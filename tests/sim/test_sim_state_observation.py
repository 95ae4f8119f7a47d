"""The state observation agrees with what NumPy computes from the track and the simulator's state."""

from __future__ import annotations

import re

import numpy as np
import pytest

from hotlap.deepracer.state_values import (
    BESIDE,
    DISTANCES_AHEAD,
    NUM_OBJECTS_AHEAD,
    STATE,
    STATE_VALUES,
    VISIBLE,
    VISIBLE_STATE,
)
from hotlap.deepracer.track_objects import BotCars, Obstacles
from hotlap.sensors.kinds import SENSORS, observe
from hotlap.sim.scene import Scene
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.sim.state_observation import observe_state
from hotlap.tracks.catalog import load_track
from hotlap.tracks.track import Track

NUM_WORLDS, NUM_STEPS = 12, 25


def driven(track: str, **objects: object) -> tuple[Simulator, Track]:
    """Worlds in both directions after some steps of a weaving drive."""
    scene = Scene([load_track(track)], **objects)
    simulator = Simulator(scene, NUM_WORLDS, variation=1.0, camera=None)
    starts = [Start(ndist=k / NUM_WORLDS, reverse=k % 2 == 1, seed=k, prepared=True) for k in range(NUM_WORLDS)]
    simulator.reset(range(NUM_WORLDS), starts)
    rng = np.random.default_rng(5)
    for _ in range(NUM_STEPS):
        simulator.command(rng.uniform(-25, 25, (NUM_WORLDS, 1)), rng.uniform(0.5, 2.0, (NUM_WORLDS, 1)))
        simulator.step()
    return simulator, scene.tracks[0]


def told(simulator: Simulator, worlds: list[int]) -> list[dict[str, float]]:
    """The observation in the units of the table, by name."""
    scales = np.array([value.scale for value in STATE_VALUES])
    rows = observe_state(simulator, worlds)[:, 0] * scales
    return [dict(zip((value.name for value in STATE_VALUES), row.tolist(), strict=True)) for row in rows]


def test_names_are_told_apart_and_numbers_are_near_one():
    assert len({value.name for value in STATE_VALUES}) == len(STATE_VALUES)
    simulator, _ = driven("first_lap", obstacles=Obstacles(6), bots=BotCars(2))
    values = observe_state(simulator, range(NUM_WORLDS))
    assert values.shape == (NUM_WORLDS, 1, len(STATE_VALUES))
    assert values.dtype == np.float32
    assert np.abs(values).max() < 6.0
    assert np.mean(np.abs(values) > 1.5) < 0.05


@pytest.mark.parametrize("name", ["first_lap", "river_run"])  # a loop, an open track
def test_car_and_road_agree_with_the_geometry_of_the_track(name: str):
    simulator, track = driven(name)
    worlds = [5, 0, 7, 2]  # in any order
    state = simulator.state
    observed = told(simulator, worlds)
    for world, values in zip(worlds, observed, strict=True):
        motion, car = state.motion.numpy()[world, 0], state.vehicle.numpy()[world, 0]
        route = track.reversed() if world % 2 else track
        cos, sin = np.cos(motion["yaw"]), np.sin(motion["yaw"])
        front = np.array([motion["x"] + cos * car["front_point_ahead"], motion["y"] + sin * car["front_point_ahead"]])
        s = float(route.project(front))
        into_frame = np.array([[cos, sin], [-sin, cos]])

        def direction(at: float, route: Track = route) -> np.ndarray:
            along = route.point_at(at + 0.1) - route.point_at(at - 0.1)
            return along / np.linalg.norm(along)

        here, center = direction(s), route.point_at(s)
        half = 0.5 * float(route.width_at(s))
        left = here[0] * (front[1] - center[1]) - here[1] * (front[0] - center[0])
        expected = {
            "offset": left / half,
            "sin_heading": sin * here[0] - cos * here[1],
            "cos_heading": cos * here[0] + sin * here[1],
            "half_width": half,
            "forward_speed": motion["u"],
            "sideways_speed": motion["w"],
            "yaw_rate": motion["yaw_rate"],
            "wheel_angle": np.degrees(motion["steer"]),
            "rim_speed": motion["rim_speed"],
            "commanded_steering": state.steering.numpy()[world, 0],
            "commanded_speed": state.speed.numpy()[world, 0],
            "steps": state.steps.numpy()[world, 0],
            "against": world % 2,
            "x": front[0],
            "y": front[1],
            "sin_yaw": sin,
            "cos_yaw": cos,
            "sin_lap_2": np.sin(4 * np.pi * s / route.length),
            "cos_lap_3": np.cos(6 * np.pi * s / route.length),
        }
        for distance in DISTANCES_AHEAD:
            ahead, across = into_frame @ (route.point_at(s + distance) - front)
            expected |= {f"road_ahead_{distance:g}": ahead, f"road_left_{distance:g}": across}
            expected[f"road_sin_{distance:g}"] = (into_frame @ direction(s + distance))[1]
        for key, value in expected.items():
            assert values[key] == pytest.approx(value, abs=0.03), (world, key)
        assert not any(values[value.name] for value in STATE_VALUES if value.name.startswith("object_"))
    simulator.apply_rules()
    for world, values in zip(worlds, observed, strict=True):
        assert values["progress"] == pytest.approx(state.progress.numpy()[world, 0], abs=1e-3)


def test_the_visible_state_says_nothing_of_speed_of_what_came_before_or_of_the_place_on_the_track():
    simulator, _ = driven("first_lap", obstacles=Obstacles(2), bots=BotCars(1))
    sensors = {name: SENSORS[name] for name in (STATE, VISIBLE_STATE)}
    visible = observe(sensors, simulator, np.arange(NUM_WORLDS))[VISIBLE_STATE]
    whole = observe_state(simulator, range(NUM_WORLDS))[..., VISIBLE]
    of_objects = [n for n, column in enumerate(VISIBLE) if STATE_VALUES[column].name.startswith("object_")]
    np.testing.assert_array_equal(np.delete(visible, of_objects, axis=-1), np.delete(whole, of_objects, axis=-1))
    assert visible.shape[1:] == (1, *SENSORS[VISIBLE_STATE].shape)
    names = [STATE_VALUES[number].name for number in VISIBLE]
    assert not [
        name for name in names if re.search(r"speed|rate|wheel|commanded|progress|steps|^[xy]$|yaw|lap|against", name)
    ]
    assert {"offset", "sin_heading", "half_width", "object_0_gap"} <= set(names)


def test_the_visible_state_tells_only_of_objects_in_view():
    """Which turn up on the way there and disappear beside the car."""
    simulator, _ = driven("first_lap", obstacles=Obstacles(6))
    numbers = {value.name: (column, value.scale) for column, value in enumerate(STATE_VALUES)}
    sensors, seen = {VISIBLE_STATE: SENSORS[VISIBLE_STATE]}, []
    for _ in range(40):
        simulator.step()
        whole = observe_state(simulator, range(NUM_WORLDS))[:, 0]
        visible = np.zeros_like(whole)
        visible[:, VISIBLE] = observe(sensors, simulator, np.arange(NUM_WORLDS))[VISIBLE_STATE][:, 0]
        for k in range(NUM_OBJECTS_AHEAD):
            names = [name for name in numbers if name.startswith(f"object_{k}_") and not name.endswith("speed")]
            columns = [numbers[name][0] for name in names]
            ahead, left = (whole[:, numbers[f"object_{k}_{axis}"][0]] * 5.0 for axis in ("ahead", "left"))
            in_view = (ahead > 0) & (np.abs(left) < 0.634 * ahead + 0.1)
            np.testing.assert_array_equal(visible[:, columns], np.where(in_view[:, None], whole[:, columns], 0.0))
            seen += in_view[whole[:, columns[0]] == 1.0].tolist()
    assert 0.05 < np.mean(seen) < 0.95


def test_a_standing_car_has_not_been_told_to_drive():
    """What the episode before did is forgotten."""
    simulator, _ = driven("first_lap")
    simulator.reset([3], [Start(seed=1)])
    (values,) = told(simulator, [3])
    assert all(values[name] == 0.0 for name in ("commanded_steering", "commanded_speed", "forward_speed", "steps"))
    assert values["progress"] == pytest.approx(0.0, abs=1.0)  # of the front point


@pytest.mark.parametrize("name", ["first_lap", "river_run"])
def test_the_next_objects_are_told_in_order(name: str):
    """On a loop over the start line; what has been passed is told no more."""
    simulator, track = driven(name, obstacles=Obstacles(4), bots=BotCars(3))
    state, bots = simulator.state, simulator.scene.bots
    num_behind = 0
    for world, values in enumerate(told(simulator, list(range(NUM_WORLDS)))):
        route = track.reversed() if world % 2 else track
        objects = state.objects.numpy()[world]
        front = np.array([values["x"], values["y"]])
        gaps = objects["distance"] - float(route.project(front))
        if route.closed:
            gaps = (gaps + BESIDE) % route.length - BESIDE
        order = [k for k in np.argsort(gaps) if gaps[k] >= -BESIDE]
        num_behind += len(objects) - len(order)
        for place in range(NUM_OBJECTS_AHEAD):
            found = {
                key: values[f"object_{place}_{key}"] for key in ("there", "gap", "offset", "ahead", "left", "speed")
            }
            if place >= len(order):
                assert not any(found.values())
                continue
            item = objects[order[place]]
            across = item["distance_from_center"] * (1 if item["left_of_center"] else -1)
            cos, sin = values["cos_yaw"], values["sin_yaw"]
            dx, dy = item["x"] - front[0], item["y"] - front[1]
            assert found == pytest.approx(
                {
                    "there": 1.0,
                    "gap": gaps[order[place]],
                    "offset": across / (0.5 * float(route.width_at(item["distance"]))),
                    "ahead": cos * dx + sin * dy,
                    "left": cos * dy - sin * dx,
                    "speed": bots.speed if item["moves"] else 0.0,
                },
                abs=0.02,
            )
    assert (num_behind > 0) == (name == "river_run")

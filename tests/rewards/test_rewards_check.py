"""`hotlap reward check`: the sample steps, what it finds, and the shipped functions."""

from __future__ import annotations

import json
import runpy
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from shapely import LineString, Point, Polygon
from typer.testing import CliRunner

from hotlap.cli.reward import app
from hotlap.errors import HotlapError
from hotlap.rewards import RewardParams, load_reward
from hotlap.rewards.check import check_reward
from hotlap.rewards.loader import EXAMPLES_FOLDER, example_names
from hotlap.rewards.params import COLUMNS
from hotlap.rewards.profile import RewardCost
from hotlap.rewards.sample_steps import sample_steps
from hotlap.tracks import Track, load_track

LOOP, OPEN = load_track("first_lap"), load_track("river_run")


def write(folder: Path, body: str, before: str = "") -> Path:
    path = folder / "reward_function.py"
    path.write_text(f"{before}\ndef reward_function(params):\n    {body}\n")
    return path


def problems_of(path: Path) -> list[tuple[str, int | None, str]]:
    return [(problem.level, problem.line, problem.message) for problem in check_reward(path, [LOOP, OPEN]).problems]


def test_the_tracks_of_the_check_are_a_loop_and_an_open_one():
    assert LOOP.closed
    assert not OPEN.closed


@pytest.mark.parametrize("track", [LOOP, OPEN, LOOP.reversed()], ids=["loop", "open", "reversed"])
def test_sample_steps_agree_with_the_geometry_of_the_track(track: Track):
    center = LineString(track.center)
    road = Polygon(track.outer, [track.inner]) if track.closed else Polygon([*track.outer, *track.inner[::-1]])
    for kind, columns in sample_steps(track).items():
        assert set(columns) == set(COLUMNS)
        assert {len(column) for column in columns.values()} == {len(columns["x"])}
        if kind == "reversed direction":
            continue
        for x, y, s, distance in zip(
            columns["x"], columns["y"], columns["projection_distance"], columns["distance_from_center"], strict=True
        ):
            assert center.project(Point(x, y)) == pytest.approx(s, abs=1e-9)
            assert center.distance(Point(x, y)) == pytest.approx(distance, abs=1e-9)
        off, inside = columns["is_offtrack"], columns["all_wheels_on_track"]
        assert not np.any(off & inside)
        if kind in ("off the track", "far off the track"):
            far = [road.distance(Point(x, y)) for x, y in zip(columns["x"][off], columns["y"][off], strict=True)]
            assert off.any()
            assert min(far) > 0.0


def test_sample_steps_hold_the_rare_cases():
    steps = sample_steps(LOOP)
    assert steps["first step"]["steps"].tolist() == [2.0]
    assert steps["lap complete"]["progress"].tolist() == [100.0]
    assert steps["crashed"]["is_crashed"].all()
    assert steps["reversed direction"]["is_reversed"].all()
    assert steps["facing backwards"]["progress"].max() < 0
    assert (steps["slow"]["speed"].min(), steps["fast"]["speed"].max()) == (0.1, 4.0)
    last = len(LOOP.center) - 1
    pairs = {tuple(pair) for name in steps for pair in steps[name]["closest_waypoints"].tolist()}
    assert {(last - 1, last), (last, 0), (0, 1)} <= pairs
    progress = steps["lap"]["progress"]
    assert np.all(np.diff(progress) > 0)
    assert np.all(np.diff(steps["lap"]["steps"]) == 1)
    assert "around the start line" not in sample_steps(OPEN)


@pytest.mark.parametrize("name", example_names())
def test_a_shipped_function_has_no_problem_at_all(name):
    report = check_reward(name, [LOOP, OPEN])
    assert report.problems == []
    assert report.ok
    assert report.calls == report.cost.calls > 500


@pytest.mark.parametrize("name", example_names())
def test_a_shipped_function_rewards_the_middle_of_the_road_most(name):
    ranges = check_reward(name, [LOOP, OPEN]).ranges
    on, border, off = (ranges[kind].mean for kind in ("on the centre line", "near the border", "off the track"))
    assert on > 3 * border > 3 * off > 0


@pytest.mark.parametrize("name", example_names())
def test_a_shipped_function_accepts_what_the_console_calls_it_with(name):
    """Its validator gives waypoints as an array, six objects, and three keys less."""
    for columns in sample_steps(LOOP).values():
        for row in RewardParams([LOOP, LOOP.reversed()]).rows(columns):
            for key in ("objects_distance_from_center", "projection_distance", "sim_time"):
                del row[key]
            row |= {"waypoints": np.array(row["waypoints"]), "closest_objects": [0, 1]}
            assert isinstance(load_reward(name).function(row), float)
            break


def test_straight_wheels_and_a_lap_in_fewer_steps_are_worth_more():
    (row,) = list(RewardParams([LOOP]).rows(sample_steps(LOOP)["first step"]))
    no_zig_zag, per_step = load_reward("no_zig_zag"), load_reward("progress_per_step")
    assert no_zig_zag({**row, "steering_angle": 0.0}) > no_zig_zag({**row, "steering_angle": 30.0})
    half = {**row, "progress": 50.0}
    assert per_step({**half, "steps": 100.0}) > per_step({**half, "steps": 200.0})


def test_speed_is_worth_more_on_a_straight_than_in_a_bend():
    speed = load_reward("speed_on_straights")
    x = np.arange(0.0, 8.0, 0.2)
    straight, bend = np.stack([x, 0 * x], axis=1), np.stack([np.sin(x), 1 - np.cos(x)], axis=1)
    gains = []
    for line in (straight, bend):
        row = {"is_offtrack": False, "is_crashed": False, "all_wheels_on_track": True, "distance_from_center": 0.0}
        row |= {"track_width": 1.0, "waypoints": [tuple(point) for point in line.tolist()], "closest_waypoints": [3, 4]}
        gains.append(speed({**row, "speed": 4.0}) - speed({**row, "speed": 1.0}))
    assert gains[0] > 0 > gains[1]


@pytest.mark.parametrize("track", [LOOP, LOOP.reversed(), OPEN, load_track("needle_eye")])
def test_the_race_line_stays_on_the_road_and_bends_less(track: Track):
    race_line = runpy.run_path(str(EXAMPLES_FOLDER / "race_line.py"))["race_line"]
    width = float(track.width_at(0.0))
    line = np.array(race_line([tuple(point) for point in track.center.tolist()], width))
    assert line.shape == track.center.shape
    assert np.abs(track.locate(line).distance).max() <= 0.3 * width + 1e-9
    assert track.contains(line[1:-1]).all()

    def bending(points: np.ndarray) -> float:
        return float(np.sum(np.diff(points, n=2, axis=0) ** 2))

    assert bending(line) < 0.8 * bending(track.center)


def test_each_failure_is_reported_once_with_its_line(tmp_path: Path):
    path = write(
        tmp_path,
        "if params['is_crashed']:\n        return None\n    if params['is_offtrack']:\n        return 1 / 0\n"
        "    return params['speed']",
    )
    found = problems_of(path)
    assert [(level, line) for level, line, _ in found] == [("error", 6), ("error", None)]
    assert "sample step 'off the track'" in found[0][2]
    assert "returned None" in found[1][2]


def test_a_name_that_is_never_defined_is_found_in_a_branch_no_step_takes(tmp_path: Path):
    path = write(
        tmp_path,
        "if params['x'] == 12345.678:\n        return bonus\n    return 1 / (1 + params['distance_from_center'])",
    )
    assert problems_of(path) == [("error", 4, "the name 'bonus' is not defined anywhere")]


def test_names_defined_in_any_way_are_no_problem(tmp_path: Path):
    source = """\
from math import *
import numpy as np
try:
    first
except NameError:
    pass

class Memory:
    best = 0.0
    twice = lambda self: [self.best for self.best in (1, 2)]

def remember():
    global later
    later = 1.0

"""
    body = (
        "remember()\n    if later:\n        values = [np.sin(a) + pi for a in range(3)]\n"
        "    return float(len(values) + Memory.best - params['distance_from_center'])"
    )
    assert problems_of(write(tmp_path, body, source)) == [("error", 4, "the name 'first' is not defined anywhere")]


@pytest.mark.parametrize(
    ("before", "body", "line", "fragment"),
    [
        ("import os", "return params['speed']", 1, "import of 'os'"),
        ("from os.path import join", "return params['speed']", 1, "import of 'os.path'"),
        ("", "import math\n    return params['speed'] + math.pi", 3, "import inside a function"),
        ("", "open\n    return params['speed']", 3, "use of 'open'"),
        ("", "payload = params['speed']\n    return payload", 3, "the text 'load'"),
        (
            "",
            "return params.get('sped', params['speed'])",
            3,
            "there is no key 'sped' in the inputs. Did you mean 'speed'?",
        ),
        ("", "return 1.0", None, "the reward is 1 at every step"),
        ("", "return float(params['is_offtrack'])", None, "leaving the track is worth 1 on average"),
        ("", "return int(params['speed'] + 1)", None, "is of type int"),
    ],
)
def test_what_is_allowed_but_doubtful_is_a_warning(tmp_path: Path, before, body, line, fragment):
    path = write(tmp_path, body, before)
    found = problems_of(path)
    assert any(level == "warning" and at == line and fragment in message for level, at, message in found), found
    assert check_reward(path, [LOOP]).ok


def test_a_batch_function_that_differs_is_an_error(tmp_path: Path):
    path = write(tmp_path, "return params['speed']")
    path.write_text(path.read_text() + "\ndef reward_function_batch(params):\n    return params['speed'] * 2\n")
    report = check_reward(path, [LOOP])
    assert report.has_batch
    assert not report.ok
    assert "reward_function_batch gives 3.6 where reward_function gives 1.8" in report.problems[-1].message


def test_a_file_that_does_not_load_is_the_only_problem(tmp_path: Path):
    report = check_reward(write(tmp_path, "return ("), [LOOP])
    assert (report.ok, report.calls, [problem.line for problem in report.problems]) == (False, 0, [3])


def test_cost_is_told_in_microseconds():
    cost = RewardCost.of([1000] * 99 + [100000])
    assert (cost.calls, cost.p50_us, cost.max_us) == (100, 1.0, 100.0)
    assert cost.mean_us == pytest.approx(1.99)
    assert 1.0 <= cost.p99_us <= 100.0


def test_the_profile_names_the_functions_and_counts_their_calls(tmp_path: Path):
    before = "def wasteful():\n    return sum(range(2000)) * 1e-6\n"
    report = check_reward(write(tmp_path, "return wasteful() + params['speed']", before), [LOOP], profile=True)
    calls = {spot.place: spot.calls for spot in report.hot_spots}
    assert calls["wasteful (reward_function.py:1)"] == calls["<built-in method builtins.sum>"] == report.calls


def test_the_command_prints_one_json_object_whatever_the_function_prints(tmp_path: Path):
    path = write(tmp_path, "print('custom telemetry')\n    return params['speed']")
    program = "import sys, hotlap.cli.reward as r; sys.argv = ['reward', *sys.argv[1:]]; r.app()"
    done = subprocess.run(
        [sys.executable, "-c", program, "check", str(path), "--json"], capture_output=True, text=True, check=True
    )
    report = json.loads(done.stdout)
    assert report["ok"]
    assert report["calls"] == report["cost"]["calls"]
    assert "custom telemetry" in done.stderr


def test_exit_code_is_two_if_training_would_stop(tmp_path: Path):
    runner = CliRunner()
    assert runner.invoke(app, ["check", "follow_center_line"]).exit_code == 0
    assert runner.invoke(app, ["check", str(write(tmp_path, "return 1 / 0"))]).exit_code == 2
    failed = runner.invoke(app, ["check", str(write(tmp_path, "return ("))])
    assert isinstance(failed.exception, HotlapError)


def test_examples_are_listed_and_printed_as_they_are():
    runner = CliRunner()
    listed = json.loads(runner.invoke(app, ["examples", "--json"]).stdout)["examples"]
    assert list(listed) == example_names()
    assert all(listed.values())
    printed = runner.invoke(app, ["examples", "race_line"]).stdout
    assert printed == (EXAMPLES_FOLDER / "race_line.py").read_text(encoding="utf-8")

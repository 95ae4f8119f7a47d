"""`hotlap reward check`: the sample steps, what it finds, and the shipped functions."""

from __future__ import annotations

import functools
import json
import runpy
import time
from pathlib import Path

import numpy as np
import pytest
from hotlap_process import Hotlap
from sample_steps import sample_steps
from shapely import LineString, Point, Polygon
from tiny_model import write_model
from typer.testing import CliRunner

from hotlap.cli.reward import app
from hotlap.deepracer.reward_inputs import KEYS, OF_OBJECTS
from hotlap.envs import practice
from hotlap.envs.practice import Practice
from hotlap.errors import HotlapError
from hotlap.rewards import RewardParams, load_reward
from hotlap.rewards.check import check_reward
from hotlap.rewards.loader import EXAMPLES_FOLDER, example_names
from hotlap.rewards.params import COLUMNS
from hotlap.rewards.profile import RewardCost
from hotlap.rewards.reading import read
from hotlap.rewards.report import RewardReport
from hotlap.rewards.source_check import CONSOLE
from hotlap.rewards.watched import WHOLE_S, check_watched
from hotlap.tracks import Track, load_track

LOOP, OPEN = load_track("first_lap"), load_track("river_run")
CASES = Path(__file__).parent.parent / "cases" / "rewards"
SHORT_S = 4.0  # for a check of what never ends


@functools.cache
def races(with_objects: bool) -> tuple:
    """What `Practice` drives outside a model folder."""
    return Practice([LOOP, OPEN]).races_for(str(CASES / ("needs_objects.py" if with_objects else "since_last_step.py")))


@functools.cache
def practice_on(tracks: tuple[str, ...]) -> Practice:
    return Practice([load_track(name) for name in tracks])


@pytest.fixture
def commands_here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let commands check in this process, and drive what they check with only once."""
    monkeypatch.setattr("hotlap.cli.reward._practice", practice_on)
    monkeypatch.setattr("hotlap.rewards.watched.check_watched", check_reward)


def check(path: Path | str, *, watched: bool = False, seconds: float = WHOLE_S, **options: bool) -> RewardReport:
    with_objects = Path(path).is_file() and read(Path(path).read_text(errors="replace")).mentions(OF_OBJECTS)
    episodes, routes, needed = races(with_objects)
    if watched:
        return check_watched(path, episodes, routes, needed=needed, end=time.monotonic() + seconds)
    return check_reward(path, episodes, routes, needed=needed, **options)


def write(folder: Path, body: str, before: str = "") -> Path:
    path = folder / "reward_function.py"
    path.write_text(f"{before}\ndef reward_function(params):\n    {body}\n")
    return path


def problems_of(path: Path) -> list[tuple[str, int | None, str]]:
    return [(problem.level, problem.line, problem.message) for problem in check(path).problems]


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
def test_a_shipped_function_has_nothing_to_mend(name):
    report = check(name)
    assert [problem for problem in report.problems if problem.level != "note"] == []
    assert report.verdict == "ok"
    assert report.calls == report.cost.calls > 500


@pytest.mark.parametrize("name", example_names())
def test_a_shipped_function_rewards_the_middle_of_the_road_most(name):
    params, samples = RewardParams([LOOP, LOOP.reversed()]), sample_steps(LOOP)
    on, border, off = (
        np.mean([*map(load_reward(name), params.rows(samples[kind]))])
        for kind in ("on the centre line", "near the border", "off the track")
    )
    assert on > 3 * border > 3 * off
    assert border > 0
    assert off > 0 or name == "progress_per_step"  # which takes away what the road had brought


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


def test_straight_wheels_and_more_progress_in_a_step_are_worth_more():
    (row,) = list(RewardParams([LOOP]).rows(sample_steps(LOOP)["first step"]))
    no_zig_zag, per_step = load_reward("no_zig_zag"), load_reward("progress_per_step")
    assert no_zig_zag({**row, "steering_angle": 0.0}) > no_zig_zag({**row, "steering_angle": 30.0})
    first, little, much = (
        per_step({**row, "steps": steps, "progress": progress})
        for steps, progress in ((2.0, 5.0), (3.0, 6.0), (4.0, 9.0))
    )
    assert (first, much) == (0.0, pytest.approx(3 * little))
    assert per_step({**row, "steps": 2.0, "progress": 1.0}) == 0.0  # the next episode


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
        "if params['speed'] < 0:\n        return None\n    if params['is_offtrack']:\n        return 1 / 0\n"
        "    return params['speed']",
    )
    found = problems_of(path)
    assert [(level, line) for level, line, _ in found] == [("error", 6)]
    assert "episode 'leaving the track', step" in found[0][2]


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
        ("", "return float(params['is_offtrack'])", None, "off the track it pays as much as on it"),
        ("", "return int(params['speed'] + 1)", None, "a reward of type int"),
    ],
)
def test_what_is_allowed_but_doubtful_is_a_warning(tmp_path: Path, before, body, line, fragment):
    path = write(tmp_path, body, before)
    found = problems_of(path)
    expected = "note" if fragment.startswith(("import", "use", "the text", "a reward of type")) else "warning"
    assert any(level == expected and at == line and fragment in message for level, at, message in found), found
    assert check(path).ok


def test_a_batch_function_that_differs_is_an_error(tmp_path: Path):
    path = write(tmp_path, "return params['speed']")
    path.write_text(path.read_text() + "\ndef reward_function_batch(params):\n    return params['speed'] * 2\n")
    report = check(path)
    assert not report.ok
    assert any(
        "reward_function_batch gives 8 where reward_function gives 4" in each.message for each in report.problems
    )


def test_a_batch_function_alone_that_lets_cars_depend_on_each_other_is_an_error(tmp_path: Path):
    path = tmp_path / "reward_function.py"
    path.write_text("def reward_function_batch(params):\n    return params['speed'] - params['speed'].min()\n")
    report = check(path)
    assert any("where it gives the same step alone 0 " in each.message for each in report.problems), report.problems


def test_a_batch_function_alone_is_checked_and_profiled():
    report = check(CASES / "good" / "batch_alone.py", profile=True)
    assert report.verdict == "ok"
    assert any("reward_function_batch" in spot.place for spot in report.hot_spots)
    assert [problem.message for problem in report.problems] == [f"{CONSOLE}a file without reward_function(params)"]


def test_a_file_that_does_not_load_is_the_only_problem(tmp_path: Path):
    report = check(write(tmp_path, "return ("))
    assert (report.ok, report.calls, [problem.line for problem in report.problems]) == (False, 0, [3])


def test_cost_is_told_in_microseconds():
    cost = RewardCost.of([1000] * 99 + [100000])
    assert (cost.calls, cost.p50_us, cost.max_us) == (100, 1.0, 100.0)
    assert cost.mean_us == pytest.approx(1.99)
    assert 1.0 <= cost.p99_us <= 100.0


def test_the_profile_names_the_functions_and_counts_their_calls(tmp_path: Path):
    before = "def wasteful():\n    return sum(range(2000)) * 1e-6\n"
    report = check(write(tmp_path, "return wasteful() + params['speed']", before), profile=True)
    calls = {spot.place: spot.calls for spot in report.hot_spots}
    assert calls["wasteful (reward_function.py:1)"] == calls["<built-in method builtins.sum>"] == report.calls


def test_the_command_prints_one_json_object_whatever_the_function_prints(tmp_path: Path):
    path = write(tmp_path, "print('custom telemetry')\n    return params['speed']")
    report = json.loads(Hotlap(tmp_path).run("reward", "check", path, "--json").stdout)
    assert report["ok"]
    assert report["calls"] == report["cost"]["calls"]
    assert report["num_printed"] > 500
    assert report["printed"][0] == "custom telemetry"


@pytest.mark.usefixtures("commands_here")
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


def test_practice_plays_what_training_and_evaluation_bring():
    """Laps, a car that hardly moves, one that drives backwards, one that leaves, one that is put back."""
    by_name = {episode.name: episode for episode in races(False)[0]["time_trial"]}
    assert by_name["a good lap"].ending == by_name["a weaving lap"].ending == "lap_complete"
    assert by_name["spun round and driving backwards"].ending == "reversed"
    assert by_name["leaving the track"].columns["is_offtrack"].sum() == 1
    assert by_name["an evaluation with resets"].columns["is_offtrack"].sum() > 1
    assert by_name["a lap in the other direction"].columns["is_reversed"].all()
    assert by_name["hardly moving"].columns["progress"].max() < 20
    for episode in by_name.values():
        assert episode.columns["steps"][0] == 2
        assert np.all(np.diff(episode.columns["steps"]) > 0)
    for name in ("object_avoidance", "head_to_bot"):
        endings = {episode.ending for episode in races(True)[0][name]}
        assert {"crashed", "lap_complete"} <= endings


def test_practice_takes_the_actions_of_the_model(tmp_path: Path):
    actions = [{"steering_angle": angle, "speed": 1.37} for angle in (-30, 0, 30)]
    metadata = {"action_space": actions, "sensor": ["FRONT_FACING_CAMERA"], "version": "4"}
    metadata |= {"neural_network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW"}
    (tmp_path / "model_metadata.json").write_text(json.dumps(metadata))
    (tmp_path / "job.toml").write_text('[race]\nrace_type = "object_avoidance"\n')
    path = write(
        tmp_path, "assert params['speed'] == 1.37 and params['objects_location']\n    return params['progress']"
    )
    episodes, routes, needed = Practice([LOOP]).races_for(str(path))
    assert needed == list(episodes) == ["object_avoidance"]
    assert check_reward(path, episodes, routes, needed=needed).works == {"object_avoidance": True}


# Verdict and words of the sentence that helps, by file.
MISTAKES = {
    "01_no_return": ("error", "is a `return` missing?"),
    "02_no_return_branch": ("error", "is a `return` missing?"),
    "04_div_steps": ("error", "ZeroDivisionError"),
    "05_div_steps_inf": ("error", "returned inf"),
    "07_slow_is_better": ("warning", "the slower the car, the higher the reward"),
    "08_waypoint_overflow": ("error", "list index out of range"),
    "10_closest_objects_tt": ("warning", "works for object avoidance and head to bot, but not for a time trial"),
    "11_misspelt_key": ("error", "Did you mean 'all_wheels_on_track'?"),
    "13_return_none_literal": ("error", "returned None"),
    "14_return_str": ("warning", "a reward of type str"),
    "16_return_complex": ("error", "(complex)"),
    "17_return_nan": ("error", "returned NaN"),
    "19_recursion": ("error", "RecursionError"),
    "20_memory": ("error", "emory"),
    "22_os_exit": ("error", "os._exit() ends the process"),
    "23_threads": ("threads", "starts threads that go on after the call"),
    "25_network": ("error", "urlopen"),
    "26_keyboardinterrupt": ("error", "KeyboardInterrupt"),
    "28_mutates_params": ("warning", "changes its inputs ('x', 'speed', 'waypoints'; first in episode"),
    "29_always_positive_sits_still": ("warning", "standing still or crawling pays as much as driving"),
    "31_radians_degrees": ("warning", "'heading' is in degrees (-180 to 180), but sin() takes radians"),
    "32_speed_units": ("warning", "at most 4 m/s"),
    "34_steps_reset_0": ("warning", "write `steps <= 2`"),
    "35_steps_reset_1_none": ("error", "write `steps <= 2`"),
    "37_int": ("warning", "a reward of type int"),
    "38_numpy_scalar": ("ok", "a reward of type float32"),
    "40_array2": ("error", "(ndarray)"),
    "41_tuple": ("error", "(tuple)"),
    "43_tabs_spaces": ("error", "inconsistent use of tabs"),
    "44_no_function": ("error", "defines rewardfunction, but no reward_function"),
    "46_missing_module": ("error", "No module named 'tensorflow'"),
    "47_empty": ("error", "defines no function"),
    "49_local_before_assign": ("error", "UnboundLocalError"),
    "50_local_rare": ("warning", "'bonus' has a value only if line 5 was reached"),
    "52_huge_ok_edge": ("warning", "rewards reach 100000"),
    "53_np_float_removed": ("warning", "write float instead"),
    "55_shapely_array_iface": ("warning", "np.array(geometry.coords)"),
    "56_prev_state_teleport": ("ok", ""),
    "58_zero_reward": ("warning", "the reward is 0 at every step"),
    "59_random": ("warning", "random"),
    "61_params_none_objects": ("warning", "but not for a time trial"),
    "62_async": ("error", "is `async`"),
    "64_class_callable": ("warning", "off the track it pays as much as on it"),
    "65_warnings": ("warning", "off the track it pays as much as on it"),
    "67_fork": ("error", "os.fork() starts a process"),
    "68_bigmem_once": ("error", "needs more memory than there is for it"),
    "70_regex_stdin": ("error", "input() waits for somebody to type"),
    "71_atan2_radians": (
        "warning",
        "'track_direction' comes from atan2() and is in radians (-3.14 to 3.14), but 'heading' is in degrees "
        "(-180 to 180); write math.degrees(math.atan2(...))",
    ),
    "72_arctan2_radians": ("warning", "write np.degrees(np.arctan2(...))"),
    "73_radians_threshold": ("warning", "`abs(road) > 45` is never true: atan2() gives radians"),
    "74_progress_is_one": ("warning", "`params['progress'] == 1` is hardly ever true: 'progress' is in percent"),
    "75_centimeters": ("warning", "`distance > 40` is never true: 'distance_from_center' is in meters"),
    "76_attribute": ("error", 'Write params["speed"].'),
    "77_absent_file": ("error", "where hotlap was started"),
    "78_kills_others": ("error", "os.kill() ends processes"),
    "79_sleeps": ("error", "it waits in line 3: `time.sleep(60)`"),
    "80_endless_loop": ("error", "it hangs in the loop of line 3: `while index < 10:`"),
    "81_slow": ("not finished", "the function is slow: a call takes 2"),
    "82_print_flood": ("flood", "the function prints 2000 lines a call"),
    "83_utf16": ("error", "save it as UTF-8"),
    "84_exits": ("error", "the reward function ends the program (SystemExit) in `sys.exit()`"),
    "85_undefined_name": ("error", "NameError: name 'bonus' is not defined"),
}


ENDANGERING = {
    "19_recursion", "20_memory", "22_os_exit", "23_threads", "25_network", "67_fork", "68_bigmem_once",
    "78_kills_others", "79_sleeps", "80_endless_loop", "81_slow", "82_print_flood",
}  # fmt: skip
"""What would harm or keep the process of the tests if it were let through; tried in one of its own."""


LASTING = {"19_recursion", "79_sleeps", "80_endless_loop", "81_slow", "82_print_flood"}


def test_every_mistake_has_its_verdict():
    assert sorted(MISTAKES) == sorted(file.stem for file in (CASES / "mistakes").glob("*.py"))


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_named_in_time_with_the_sentence_that_helps(name: str):
    level, words = MISTAKES[name]
    seconds = SHORT_S if name in LASTING else WHOLE_S
    report = check(CASES / "mistakes" / f"{name}.py", watched=name in ENDANGERING, seconds=seconds)
    if level not in ("threads", "flood"):  # a machine that allows thousands lets it pass; how fast it prints
        assert report.verdict == level, report.problems
    assert any(words in problem.message for problem in report.problems) or not words, report.problems


@pytest.mark.parametrize("code", ["", "0", "None"])
def test_an_exit_without_a_code_is_told_without_one(tmp_path: Path, code: str):
    """Libraries such as wandb put their own in the place of `sys.exit`, and make 0 of no code."""
    report = check(write(tmp_path, f"raise SystemExit({code})"))
    (problem,) = (each for each in report.problems if each.level == "error")
    assert "ends the program (SystemExit) in" in problem.message


@pytest.mark.parametrize("file", sorted((CASES / "good").glob("*.py")), ids=lambda file: file.stem)
def test_a_good_function_passes_in_silence(file: Path):
    assert [each for each in check(file).problems if each.level != "note"] == []


def test_the_case_that_needs_steps_in_order_passes_and_the_one_that_explodes_is_told_once():
    assert check(CASES / "since_last_step.py").problems == []
    (problem,) = check(CASES / "explodes.py").problems
    assert "step 41: the reward function returned" in problem.message
    assert "the worst returned 5.6" in problem.message


@pytest.mark.parametrize(
    ("case", "words"),
    [
        ("first_step_is_one", "write `steps <= 2`"),
        ("old_key", "today's name for it is 'all_wheels_on_track'"),
        ("twelve_arguments", "on_track is 'all_wheels_on_track'"),
    ],
)
def test_old_forms_are_told_with_todays_word(case: str, words: str):
    report = check(CASES / f"{case}.py")
    assert not report.ok
    assert any(problem.level == "error" and words in problem.message for problem in report.problems)


def test_the_inputs_that_the_line_reads_are_told_apart():
    report = check(CASES / "needs_objects.py")
    assert report.works == {"time_trial": False, "object_avoidance": True, "head_to_bot": True}
    assert report.ok
    problem = report.problems[0]
    # The first by the variable that the line reads.
    assert sorted(problem.reads) == ["closest_objects", "is_left_of_center", "objects_left_of_center"]
    assert problem.inputs["objects_left_of_center"] == []
    assert set(problem.inputs) == set(KEYS)
    assert "Inputs" not in problem.message


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("while True:\n        pass", "line 3"),
        ("import time\n    time.sleep(60)", "line 4"),
        ("import os, signal\n    os.kill(os.getpid(), signal.SIGKILL)", "line 4"),
        ("import ctypes\n    ctypes.string_at(0)", "line 4"),
        ("import re\n    return re.match('(a+)+$', 'a' * 40 + 'b')", "line 4"),
    ],
)
def test_the_check_ends_by_itself_and_names_the_line(tmp_path: Path, body: str, words: str):
    report = check(write(tmp_path, body), watched=True, seconds=SHORT_S)
    assert not report.ok
    assert words in report.problems[0].message


def test_only_negative_rewards_are_doubted(tmp_path: Path):
    report = check(write(tmp_path, "return -params['distance_from_center'] - 0.1"))
    assert any("never above zero" in problem.message for problem in report.problems)


@pytest.mark.parametrize(("body", "what"), [
    ("return params['speed'] - 2.0 if params['all_wheels_on_track'] else 0.5", "leave the track"),
    ("return 9.0 if params['speed'] < 0.5 else 0.1 * params['distance_from_center'] + 0.1", "stand still"),
])  # fmt: skip
def test_a_bad_episode_that_pays_as_much_as_a_good_lap_is_told_with_the_numbers(tmp_path: Path, body, what):
    messages = [problem.message for problem in check(write(tmp_path, body)).problems]
    told = [message for message in messages if "in all, and a good lap of 155 steps pays" in message]
    assert len(told) == 1, messages
    assert f"the car learns to {what}" in told[0]


def test_a_speed_that_the_tightest_bend_forbids_is_told_in_the_folder_of_a_model(tmp_path: Path):
    actions = [{"steering_angle": angle, "speed": 3.9} for angle in (-30, 0, 30)]
    write_model(tmp_path, actions=actions, race={"track": "paperclip"})
    report = json.loads(CliRunner().invoke(app, ["check", str(tmp_path / "reward_function.py"), "--json"]).stdout)
    assert any("tightest bend of paperclip" in problem["message"] for problem in report["problems"])


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ("return params['sped']", "KeyError: there is no key 'sped' in `return params['sped']`. Did you mean 'speed'?"),
        ("return bonus", "NameError: name 'bonus' is not defined in `return bonus`."),
        ("if params['steps'] == 1:\n        seen.append(1)\n    return seen[0]", "The reason may be line 3:"),
    ],
)
def test_one_mistake_is_told_once_with_the_number_of_calls(tmp_path: Path, body: str, words: str):
    report = check(write(tmp_path, body, "seen = []"))
    (problem,) = report.problems
    assert problem.level == "error"
    assert words in problem.message
    assert f"The same happens in {report.calls} of {report.calls} calls." in problem.message
    assert ", step " not in problem.message


def test_a_slow_function_is_asked_what_tells_most_and_never_called_ready(tmp_path: Path):
    """It ends in time, and what was not tried is said."""
    path = write(tmp_path, "time.sleep(0.01)\n    return params['speed']", "import time")
    episodes, routes, _ = races(False)
    begin = time.monotonic()
    report = check_reward(path, episodes, routes, end=begin + 1.2)
    assert time.monotonic() - begin < 2.7
    assert (report.ok, report.complete, report.fails, report.verdict) == (False, False, False, "not finished")
    assert report.num_episodes == len(episodes["time_trial"])
    assert report.num_played + len([name for name in report.not_tried if "whether" not in name]) == report.num_episodes
    assert report.episodes[0].name == "leaving the track"
    assert report.episodes[-1].ending == "not_finished"
    assert "a lap after another" in report.not_tried
    assert RewardReport.from_dict(json.loads(json.dumps(report.to_dict()))) == report


def test_of_several_races_each_comes_to_its_turn(tmp_path: Path):
    path = write(tmp_path, "time.sleep(0.01)\n    params['objects_distance']\n    return 1.0", "import time")
    episodes, routes, _ = races(True)
    report = check_reward(path, episodes, routes, end=time.monotonic() + 2.0)
    assert {each.race_type for each in report.episodes} == {"time_trial", "object_avoidance", "head_to_bot"}
    assert any(name.endswith("(head to bot)") for name in report.not_tried)


def test_what_cannot_be_known_in_the_time_is_said(tmp_path: Path):
    """A second drive that shows which lines are reached takes as long as the first."""
    before = "import time\nfrom collections import Counter\ncalls = Counter()"
    body = (
        "calls['all'] += 1\n    if calls['all'] > 1500:\n        bonus = 1.0\n"
        "    if calls['all'] > 2500:\n        return bonus\n    time.sleep(0.001)\n    return params['speed']"
    )
    episodes, routes, _ = races(False)
    some = {"time_trial": episodes["time_trial"][:8]}
    report = check_reward(write(tmp_path, body, before), some, routes, end=time.monotonic() + 3.0)
    if report.num_played == report.num_episodes:  # not so on a machine that is very busy
        assert report.not_tried == ["whether 'bonus' in line 9 always has a value"]
        assert report.verdict == "not finished"


def test_lines_that_it_prints_are_counted_with_the_place(tmp_path: Path):
    path = write(tmp_path, "for each in range(50):\n        print(each)\n    return params['speed']")
    report = check(path)
    (problem,) = [problem for problem in report.problems if "prints" in problem.message]
    assert (problem.level, problem.line) == ("warning", 4)
    assert "prints 50 lines a call" in problem.message
    assert report.num_printed == 50 * report.calls


@pytest.mark.parametrize(
    ("before", "body", "words"),
    [
        ("import subprocess", "", "imports subprocess (line 1)"),
        ("from urllib.request import urlopen", "", "imports urllib.request (line 1)"),
        ("import os", "os.path.exists('a') and os.remove('a')", "calls os.remove() (line 3)"),
        ("from os import remove", "", "imports os.remove (line 1)"),
        ("", "if params['x'] > 1e6:\n        open('log.txt', 'a')", "opens a file with mode 'a' (line 4)"),
        ("from pathlib import Path", "params['x'] > 1e6 and Path('a').write_text('')", "calls write_text() (line 3)"),
        ("from pathlib import Path", "params['x'] > 1e6 and Path('a').open(mode='wb')", "with mode 'wb' (line 3)"),
    ],
)
def test_what_reaches_beyond_the_function_is_noted(tmp_path: Path, before: str, body: str, words: str):
    report = check(write(tmp_path, f"{body or 'pass'}\n    return params['speed']", before))
    (note,) = [problem for problem in report.problems if "with your rights" in problem.message]
    assert note.level == "note"
    assert words in note.message


def test_reading_a_file_is_not_noted(tmp_path: Path):
    report = check(
        write(tmp_path, "open(__file__).close()\n    open(__file__, 'r').close()\n    return params['speed']")
    )
    assert not [problem for problem in report.problems if "with your rights" in problem.message]


CLEAN = "return params['speed'] if params['all_wheels_on_track'] else 1e-3"


@pytest.mark.usefixtures("commands_here")
@pytest.mark.parametrize(
    ("body", "code", "last"),
    [
        (CLEAN, 0, "ready to train for time trial"),
        ("return params['speed']", 0, "runs, but read the warning above before you train"),
        (
            f"if params['progress'] == 1 or params['speed'] > 9:\n        pass\n    {CLEAN}",
            0,
            "read the 2 warnings above",
        ),
        ("return 1 / 0", 2, "training would stop with this file"),
        (f"time.sleep(0.05)\n    {CLEAN}", 3, "not finished, as the function is slow: "),
    ],
)
def test_the_last_words_are_the_verdict(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, body: str, code: int, last: str
):
    if last.startswith("not finished"):
        monkeypatch.setattr("hotlap.cli.reward.CHECK_S", 1.5)
    done = CliRunner().invoke(app, ["check", str(write(tmp_path, body, "import time"))])
    assert done.exit_code == code, done.output
    *_, line = done.output.splitlines()
    assert last in line
    assert ("ready" in line) == last.startswith("ready")
    if "would stop" in last:
        assert "ZeroDivisionError: division by zero in `return 1 / 0`. The same" in done.output


@pytest.mark.usefixtures("commands_here")
def test_inputs_stand_on_a_line_of_their_own(tmp_path: Path):
    path = write(tmp_path, "speed = params['speed']\n    return 1 / (speed - speed)")
    output = CliRunner().invoke(app, ["check", str(path)]).output
    (at,) = [number for number, line in enumerate(output.splitlines()) if "ZeroDivisionError" in line]
    assert output.splitlines()[at + 1] == "    Inputs that it reads: speed=4."


@pytest.mark.usefixtures("commands_here")
def test_several_files_and_folders_are_checked_and_summed_up(tmp_path: Path):
    runner = CliRunner(env={"COLUMNS": "1000"})
    for name, body in (("anna", CLEAN), ("ben", "return params['sped']"), ("carla", "return params['speed']")):
        (tmp_path / name).mkdir()
        write(tmp_path / name, body)
    (tmp_path / "empty").mkdir()
    (tmp_path / "drfc" / "custom_files").mkdir(parents=True)
    write(tmp_path / "drfc" / "custom_files", CLEAN)
    names = [str(tmp_path / name) for name in ("anna", "ben", "carla", "empty", "absent.py", "drfc")]
    done = runner.invoke(app, ["check", *names])
    assert done.exit_code == 2
    *_, anna, ben, carla, empty, absent, drfc = [line for line in done.output.splitlines() if line.strip()]
    for line, words in (
        (anna, " ready"),
        (ben, " would stop "),
        (carla, " has warnings "),
        (empty, " would stop "),
        (absent, " would stop "),
        (drfc, " ready"),
    ):
        assert words in line
    assert "no key 'sped'" in done.output
    reports = json.loads(runner.invoke(app, ["check", *names, "--json"]).stdout)["reports"]
    assert [report["verdict"] for report in reports] == ["ok", "error", "warning", "error", "error", "ok"]
    assert runner.invoke(app, ["check", names[0]]).exit_code == 0
    assert isinstance(runner.invoke(app, ["check", names[3]]).exception, HotlapError)


def test_a_race_is_driven_once_for_all_files_of_the_same_kind(monkeypatch: pytest.MonkeyPatch):
    driven = []
    real = practice.practice
    monkeypatch.setattr(practice, "practice", lambda *args, **options: driven.append(options) or real(*args, **options))
    lessons = practice.Practice([LOOP])
    first = lessons.races_for(CASES / "since_last_step.py")[0]
    second = lessons.races_for(CASES / "needs_objects.py")[0]
    assert len(driven) == 3
    assert second["time_trial"] is first["time_trial"]
    assert [episode.name for episode in first["time_trial"][:4]] == [
        "leaving the track",
        "a good lap",
        "hardly moving",
        "an evaluation with resets",
    ]


def test_a_car_that_hardly_moves_and_gets_more_than_a_good_lap_is_noted(tmp_path: Path):
    problems = check(write(tmp_path, "return 1.0 if params['all_wheels_on_track'] else 1e-3")).problems
    assert not [problem for problem in problems if "hardly moves gets" in problem.message]  # a warning says it
    problems = check(write(tmp_path, "return 1.0 - params['distance_from_center']")).problems
    (note,) = [problem for problem in problems if "hardly moves gets" in problem.message]
    assert note.level == "note"
    assert "in 200 steps, and a good lap of 155 steps gets" in note.message

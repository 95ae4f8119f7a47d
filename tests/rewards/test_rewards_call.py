"""Loading and calling: what is accepted, what lives how long, and what the function is given."""

from __future__ import annotations

import json
import pickle
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from hotlap.deepracer.reward_inputs import KEYS, OF_OBJECTS
from hotlap.errors import RewardError
from hotlap.rewards import RewardParams, load_reward, load_rewards
from hotlap.rewards.loader import EXAMPLES_FOLDER
from hotlap.rewards.params import COLUMNS, batch_of_one, copy_of
from hotlap.tracks.track import Track

BOOLS = ("all_wheels_on_track", "is_left_of_center", "is_reversed", "is_crashed", "is_offtrack")


def write(folder: Path, source: str, name: str = "reward_function.py") -> Path:
    path = folder / name
    path.write_text(source)
    return path


def square(side: float = 4.0) -> Track:
    corners = np.array([(0, 0), (1, 0), (1, 1), (0, 1), (0, 0)], dtype=float) * side
    inset = np.array([(1, 1), (-1, 1), (-1, -1), (1, -1), (1, 1)]) * 0.5
    return Track("square", corners, corners + inset, corners - inset, closed=True)


def columns_of(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random columns of the right types: what matters here is where each number goes."""
    rng = np.random.default_rng(seed)
    columns = {key: rng.normal(size=count) for key in COLUMNS}
    columns |= {key: rng.random(count) < 0.5 for key in BOOLS}
    columns["closest_waypoints"] = rng.integers(0, 4, (count, 2))
    columns["route"] = rng.integers(0, 2, count)
    return columns


@pytest.mark.parametrize(
    ("expression", "value"),
    [
        ("1.5", 1.5),
        ("2", 2.0),
        ("True", 1.0),
        ("'-3.5'", -3.5),
        ("numpy.float32(0.5)", 0.5),
        ("numpy.int64(3)", 3.0),
        ("numpy.array(4)", 4.0),
        ("numpy.array([5])", 5.0),
        ("numpy.array([[6.0]])", 6.0),
        ("100000", 1e5),
        ("-1e5", -1e5),
    ],
)
def test_whatever_float_accepts_is_a_reward(tmp_path: Path, expression, value):
    path = write(tmp_path, f"import numpy\ndef reward_function(params):\n    return {expression}\n")
    reward = load_reward(path)({})
    assert reward == value
    assert type(reward) is float


def test_globals_live_as_long_as_the_load_and_are_its_own(tmp_path: Path):
    path = write(
        tmp_path, "calls = 0\ndef reward_function(params):\n    global calls\n    calls += 1\n    return calls\n"
    )
    first, second = load_rewards(path, 2)
    assert [first({}), first({}), second({}), first({})] == [1, 2, 1, 3]


def test_a_file_can_define_dataclasses_and_pickle_them(tmp_path: Path):
    source = """\
from __future__ import annotations
import pickle
from dataclasses import dataclass

@dataclass
class Best:
    value: float = 2.0

def reward_function(params):
    return pickle.loads(pickle.dumps(Best())).value
"""
    assert load_reward(write(tmp_path, source))({}) == pickle.loads(pickle.dumps(2.0))


def test_files_beside_it_can_be_imported_and_folders_stay_apart(tmp_path: Path):
    rewards = []
    for number in (1, 2):
        folder = tmp_path / str(number)
        folder.mkdir()
        write(folder, f"VALUE = {number}\n", "shared_helper.py")
        source = "import shared_helper\ndef reward_function(params):\n    return shared_helper.VALUE\n"
        rewards.append(load_reward(write(folder, source)))
    assert [reward({}) for reward in rewards] == [1.0, 2.0]


def test_packages_beside_it_can_be_imported_and_folders_stay_apart(tmp_path: Path):
    """Also what lies within them, which is written for the original's NumPy like the reward file itself."""
    rewards = []
    for number in (1, 2):
        package = tmp_path / str(number) / "racing_lines"
        package.mkdir(parents=True)
        write(package, "from . import base\nfrom .base import VALUE\n", "__init__.py")
        write(package, f"import numpy as np\nVALUE = np.float_({number}) if np.Inf > 1 else 0\n", "base.py")
        source = (
            "import racing_lines.base\ndef reward_function(params):\n"
            "    return racing_lines.VALUE + racing_lines.base.VALUE\n"
        )
        rewards.append(load_reward(write(package.parent, source)))
    assert [reward({}) for reward in rewards] == [2.0, 4.0]


def test_an_import_inside_the_function_finds_the_file_beside_it(tmp_path: Path):
    write(tmp_path, "VALUE = 7\n", "late_helper.py")
    source = "def reward_function(params):\n    import late_helper\n    return late_helper.VALUE\n"
    assert load_reward(write(tmp_path, source))({}) == 7.0


def test_a_file_beside_it_does_not_hide_the_library(tmp_path: Path):
    write(tmp_path, "raise ImportError('hidden')\n", "fractions.py")
    source = "import fractions\ndef reward_function(params):\n    return float(fractions.Fraction(1, 2))\n"
    assert load_reward(write(tmp_path, source))({}) == 0.5


def test_an_encoding_declaration_and_a_byte_order_mark_are_understood(tmp_path: Path):
    path = tmp_path / "reward_function.py"
    path.write_bytes("# coding: latin-1\ndef reward_function(params):\n    return len('é')\n".encode("latin-1"))
    assert load_reward(path)({}) == 1.0
    path.write_bytes(b"\xef\xbb\xbfdef reward_function(params):\n    return 2\n")
    assert load_reward(path)({}) == 2.0


def test_a_shipped_function_loads_by_its_name_from_anywhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.chdir(tmp_path)
    assert load_reward("race_line").path == EXAMPLES_FOLDER / "race_line.py"


def test_rows_have_every_key_with_the_type_of_the_original():
    kinds = {
        **dict.fromkeys(KEYS, float),
        **dict.fromkeys((*BOOLS, "object_in_camera"), bool),
        **dict.fromkeys([key for key in KEYS if key.startswith("objects_")], list),
        **dict.fromkeys(("waypoints", "closest_waypoints", "closest_objects"), list),
    }
    (row,) = RewardParams([square(), square()]).rows(columns_of(1))
    assert tuple(row) == KEYS
    assert {key: type(value) for key, value in row.items()} == kinds
    assert all(
        type(point) is tuple and [type(number) for number in point] == [float, float] for point in row["waypoints"]
    )
    assert [type(index) for index in row["closest_waypoints"]] == [int, int]
    assert row["closest_objects"] == [0, 0]
    json.dumps(row)


def object_columns_of(count: int, num_objects: int, seed: int = 0) -> dict[str, np.ndarray]:
    """Random columns about objects of the right types."""
    rng = np.random.default_rng(seed)
    columns = {key: rng.normal(size=(count, num_objects)) for key in OF_OBJECTS}
    columns["objects_location"] = rng.normal(size=(count, num_objects, 2))
    columns["objects_left_of_center"] = rng.random((count, num_objects)) < 0.5
    columns["object_in_camera"] = rng.random(count) < 0.5
    columns["closest_objects"] = rng.integers(0, num_objects, (count, 2))
    return columns


def test_rows_with_objects_have_the_types_of_the_original_and_each_world_its_own():
    columns = columns_of(4) | object_columns_of(4, 3)
    rows = list(RewardParams([square(), square()]).rows(columns))
    for index, row in enumerate(rows):
        assert tuple(row) == KEYS
        for key in OF_OBJECTS:
            assert row[key] == columns[key][index].tolist(), key
        assert type(row["object_in_camera"]) is bool
        assert [type(each) for each in row["closest_objects"]] == [int, int]
        assert [[type(number) for number in each] for each in row["objects_location"]] == [[float, float]] * 3
        assert [type(each) for each in row["objects_left_of_center"]] == [bool] * 3
        for key in ("objects_speed", "objects_heading", "objects_distance", "objects_distance_from_center"):
            assert [type(each) for each in row[key]] == [float] * 3, key
        json.dumps(row)
    rows[0]["objects_location"][0][0] = 99.0
    assert rows[1]["objects_location"][0][0] != 99.0


def test_a_copy_of_a_row_is_equal_and_shares_nothing_that_can_be_changed():
    (row,) = RewardParams([square(), square()]).rows(columns_of(1) | object_columns_of(1, 3))
    copy = copy_of(row)
    assert copy == row
    assert list(map(type, copy.values())) == list(map(type, row.values()))
    copy["waypoints"].clear()
    copy["objects_location"][0][0] = 99.0
    copy["objects_speed"][0] = 99.0
    assert row["waypoints"]
    assert row["objects_location"][0][0] != 99.0
    assert row["objects_speed"][0] != 99.0


def test_batches_with_objects_have_an_axis_of_objects():
    columns = columns_of(6) | object_columns_of(6, 2)
    for rows, values in RewardParams([square(), square()]).batches(columns):
        assert tuple(values) == KEYS
        for key in OF_OBJECTS:
            np.testing.assert_array_equal(values[key], columns[key][rows])


def test_rows_carry_each_world_its_own_values():
    tracks = [square(4.0), square(6.0).reversed()]
    columns = columns_of(9)
    for index, row in enumerate(RewardParams(tracks).rows(columns)):
        for key in set(COLUMNS) - {"closest_waypoints", "route"}:
            assert row[key] == columns[key][index]
        assert row["closest_waypoints"] == columns["closest_waypoints"][index].tolist()
        track = tracks[columns["route"][index]]
        assert row["waypoints"] == [tuple(point) for point in track.center.tolist()]
        assert row["waypoints"][0] == row["waypoints"][-1]
        assert row["track_length"] == track.length


def test_a_function_may_do_with_its_inputs_what_it_likes():
    params, columns = RewardParams([square(), square()]), columns_of(3)
    for row in params.rows(columns):
        row["waypoints"].clear()
        for key in KEYS:
            if isinstance(row[key], list):
                row[key].append(None)
            row[key] = None
    for row in params.rows(columns):
        assert len(row["waypoints"]) == 5
        assert row["objects_speed"] == []
        assert len(row["closest_waypoints"]) == 2


def test_columns_of_other_number_types_become_the_same_types():
    columns = columns_of(2)
    columns |= {key: columns[key].astype(np.int32) for key in BOOLS}
    columns["steps"] = np.array([2, 3], dtype=np.int32)
    columns["x"] = np.array([0.1, 0.2], dtype=np.float32)
    row = next(RewardParams([square(), square()]).rows(columns))
    assert {type(row[key]) for key in BOOLS} == {bool}
    assert row["steps"] == 2.0
    assert type(row["steps"]) is float
    assert row["x"] == float(np.float32(0.1))


def test_a_new_input_is_a_row_of_the_table():
    """Whoever computes it gives its column; it is in what single calls and batches are given."""
    program = """
import numpy as np
from hotlap.deepracer import reward_inputs
reward_inputs.REWARD_INPUTS["yaw_rate"] = reward_inputs.RewardInput("float", "rad/s")
reward_inputs.KEYS = tuple(reward_inputs.REWARD_INPUTS)
from hotlap.rewards.params import COLUMNS, RewardParams, batch_of_one
from hotlap.tracks import load_track
columns = {key: np.zeros(3) for key in COLUMNS}
columns |= {"closest_waypoints": np.zeros((3, 2)), "route": np.zeros(3, dtype=int)}
params = RewardParams([load_track("first_lap")])
columns["yaw_rate"] = np.arange(3.0)
rows = list(params.rows(columns))
((_, batch),) = params.batches(columns)
print([row["yaw_rate"] for row in rows], batch["yaw_rate"], batch_of_one(rows[2])["yaw_rate"])
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[0.0, 1.0, 2.0] [0. 1. 2.] [2.]\n"


BATCH = """\
def reward_function(params):
    return params["speed"] * params["track_length"] + params["is_crashed"] + params["closest_waypoints"][1]

def reward_function_batch(params):
    assert params["waypoints"].shape[1] == 2
    return params["speed"] * params["track_length"] + params["is_crashed"] + params["closest_waypoints"][:, 1]
"""


def test_a_batch_gives_what_single_calls_give(tmp_path: Path):
    reward = load_reward(write(tmp_path, BATCH))
    params, columns = RewardParams([square(4.0), square(6.0)]), columns_of(11)
    single = [reward(row) for row in params.rows(columns)]
    np.testing.assert_allclose(reward.call_batch(params, columns, range(11)), single, rtol=1e-14)


def test_a_batch_of_one_is_what_a_batch_gives_that_world():
    for more in ({}, object_columns_of(4, 3)):
        columns = columns_of(4) | more
        params = RewardParams([square(4.0), square(6.0)])
        for index, row in enumerate(params.rows(columns)):
            ((_, expected),) = params.batches({key: column[[index]] for key, column in columns.items()})
            found = batch_of_one(row)
            assert tuple(found) == KEYS
            for key in KEYS:
                np.testing.assert_array_equal(found[key], expected[key])
                one, other = np.asarray(found[key]), np.asarray(expected[key])
                assert (one.shape, one.dtype) == (other.shape, other.dtype), key


def test_a_batch_function_alone_is_asked_about_single_steps_too(tmp_path: Path):
    reward = load_reward(write(tmp_path, BATCH[BATCH.index("def reward_function_batch") :]))
    params, columns = RewardParams([square(4.0), square(6.0)]), columns_of(11)
    single = [reward(row) for row in params.rows(columns)]
    assert {type(value) for value in single} == {float}
    np.testing.assert_array_equal(reward.call_batch(params, columns, range(11)), single)


@pytest.mark.parametrize(
    ("body", "line", "fragment"),
    [
        ("return params['x'] * float('nan')", 1, "the reward function returned NaN"),
        ("return 1.0", 1, "returned 1 (float); expected an array of shape (1,)"),
        ("return params['speeds']", 2, "there is no key 'speeds'"),
    ],
)
def test_a_batch_function_that_fails_at_a_single_step_names_it(tmp_path: Path, body, line, fragment):
    path = write(tmp_path, f"def reward_function_batch(params):\n    {body}\n")
    row = next(RewardParams([square(), square()]).rows(columns_of(1)))
    for where, said in (((7, 12.0), "episode 7, step 12"), (None, "step 3")):
        with pytest.raises(RewardError) as caught:
            load_reward(path)(row | {"steps": 3.0}, where)
        assert str(caught.value).startswith(f"{path}, line {line}, {said}: ")
        assert fragment in str(caught.value)


BATCH_LINE = 4
NAN_IN_THE_THIRD = "return np.where(params['steps'] == 14, np.nan, 1.0)"


@pytest.mark.parametrize(
    ("body", "place", "fragment"),
    [
        (NAN_IN_THE_THIRD, f"line {BATCH_LINE}, episode 32, step 14", "the reward function returned NaN"),
        ("return np.arange(5) * -5e4", f"line {BATCH_LINE}, episode 33, step 15", "returned -150000; expected a fin"),
        ("return 1.0", f"line {BATCH_LINE}, episode 30, step 12 (the first of 5 in the batch)", "returned 1 (float)"),
        ("return np.ones(4)", f"line {BATCH_LINE}, episode 30, step 12 (the first of 5 in the batch)", "shape (4,); "),
        ("pass", f"line {BATCH_LINE}, episode 30, step 12 (the first of 5 in the batch)", "is a `return` missing?"),
        ("return ['a'] * 5", f"line {BATCH_LINE}, episode 30, step 12 (the first of 5 in the batch)", "(list); exp"),
        (
            "return params['speeds']",
            f"line {BATCH_LINE + 1}, episode 30, step 12 (the first of 5 in the batch)",
            "KeyError: there is no key 'speeds' in `return params['speeds']`. Did you mean 'speed'?",
        ),
    ],
)
def test_a_failing_batch_names_line_episode_step_and_inputs(tmp_path: Path, body, place, fragment):
    """In the words of a single call: of the world whose reward is wrong, or of the batch."""
    scalar = "import numpy as np\ndef reward_function(params):\n    return 1.0\n"
    path = write(tmp_path, f"{scalar}def reward_function_batch(params):\n    {body}\n")
    columns = columns_of(5) | {"steps": np.arange(12.0, 17.0), "route": np.zeros(5, dtype=int)}
    with pytest.raises(RewardError) as caught:
        load_reward(path).call_batch(RewardParams([square()]), columns, [*np.arange(30, 35)])
    first, second = str(caught.value).split("\n")
    assert first.startswith(f"{path}, {place}: ")
    assert fragment in first
    step = float(place.rpartition("step ")[2]) if "batch" not in place else None
    shown = "steps=array of shape (5,)" if step is None else f"steps={step:g}, "
    assert shown in second
    assert step is None or f"x={columns['x'][int(step) - 12]:.5g}, " in second

"""Every bad reward function gets a one-paragraph error that names file, line, and what was expected."""

from __future__ import annotations

import pickle
from pathlib import Path
from typing import Any

import pytest

from hotlap.errors import RewardError
from hotlap.rewards import load_reward

SIGNATURE_2018 = (
    "def reward_function(on_track, x, y, distance_from_center, car_orientation, progress, steps,\n"
    "                    throttle, steering, track_width, waypoints, closest_waypoint):\n    return 1.0\n"
)

DO_NOT_LOAD = {
    "empty file": ("", "must define `def reward_function(params):`"),
    "another name": ("def reward(params):\n    return 1.0\n", "defines reward, but no reward_function"),
    "no colon": ("def reward_function(params)\n    return 1.0\n", "line 1: this is not valid Python"),
    "indentation": ("def reward_function(params):\nreturn 1.0\n", "line 2: this is not valid Python"),
    "mixed tabs": ("def reward_function(params):\n    a = 1\n\treturn a\n", "line 3: this is not valid Python"),
    "null byte": ("x = 1\0\n", "not valid Python"),
    "missing package": (
        "import math\nimport numpyy\n",
        "line 2: loading the reward function failed: ModuleNotFoundError",
    ),
    "raises while loading": ("x = 1\ny = x / 0\n", "line 2: loading the reward function failed: ZeroDivisionError"),
    "leaves while loading": (
        "import sys\nsys.exit(3)\n",
        "line 2: loading the reward function failed: the reward function ends the program (SystemExit: 3)",
    ),
    "UTF-16": ("import math\n".encode("utf-16"), "saved as UTF-16, which Python does not read; save it as UTF-8"),
    "UTF-16 without a mark": ("import math\n".encode("utf-16-le"), "saved as UTF-16"),
    "Latin 1": ("x = 1\n\ny = 'f\xfcr'\n".encode("latin-1"), "line 3: the file is not saved as UTF-8"),
    "Latin 1 at the top": ("y = 'f\xfcr'\n".encode("latin-1"), "the file is not saved as UTF-8"),
    "no argument": (
        "def reward_function():\n    return 1.0\n",
        "line 1: reward_function() must take exactly one argument",
    ),
    "two arguments": (
        "x = 0\n\ndef reward_function(a, b):\n    return 1.0\n",
        "line 3: reward_function(a, b) must take",
    ),
    "keyword only": ("def reward_function(*, params):\n    return 1.0\n", "exactly one argument"),
    "arguments of 2018": (SIGNATURE_2018, "line 1: reward_function has the 12 arguments of 2018"),
    "not a function": ("reward_function = 3\n", "reward_function is a int"),
    "async": ("async def reward_function(params):\n    return 1.0\n", "is `async`"),
    "generator": ("def reward_function(params):\n    yield 1.0\n", "uses `yield`"),
    "batch of two": (
        "def reward_function(params):\n    return 1.0\ndef reward_function_batch(a, b):\n    return a\n",
        "line 3: reward_function_batch(a, b) must take",
    ),
}

DO_NOT_RUN = {
    "unknown key": ("return params['speeds']", "line 3, episode 7, step 12: KeyError: there is no key 'speeds'"),
    "nearest key": ("return params['distance_to_center']", "Did you mean 'distance_from_center'?"),
    "division": ("return 1 / params['zero']", "ZeroDivisionError: division by zero in `return 1 / params['zero']`"),
    "undefined name": ("return wrong", "NameError: name 'wrong' is not defined"),
    "own exception": ("raise RuntimeError('no\\nway')", "RuntimeError: no way"),
    "exit": ("exit()", "the reward function ends the program (SystemExit) in `exit()`"),
    "attribute": ("return params.speed", 'Write params["speed"].'),
    "absent file": ("return open('line.csv').read()", "reads 'line.csv', and there is no such file"),
    "absent file, where": ("return open('line.csv').read()", "os.path.join(os.path.dirname(__file__), 'line.csv')"),
    "memory": ("return bytearray(1 << 60)", "needs more memory than there is for it (MemoryError)"),
    "recursion": ("return reward_function(params)", "calls itself again and again (RecursionError"),
    "nothing": ("pass", "returned None (is a `return` missing?)"),
    "text": ("return 'fast'", "returned 'fast' (str)"),
    "list": ("return [1.0]", "returned [1] (list)"),
    "dictionary": ("return params", "(dict)"),
    "complex": ("return 1j", "returned 1j (complex)"),
    "array of two": ("import numpy\n    return numpy.ones(2)", "(ndarray)"),
    "nan": ("return float('nan')", "returned NaN"),
    "infinite": ("return float('inf')", "returned inf"),
    "minus infinite": ("return -float('inf')", "returned -inf"),
    "text of nan": ("return 'nan'", "returned NaN"),
    "too large": ("return 100000.1", "from -100000 to 100000"),
    "too small": ("return -100001", "returned -100001"),
    "too large for a float": ("return 10 ** 400", "(int)"),
}


@pytest.mark.parametrize(("source", "fragment"), DO_NOT_LOAD.values(), ids=DO_NOT_LOAD.keys())
def test_a_file_that_cannot_be_used_is_refused_when_it_is_loaded(tmp_path: Path, source, fragment):
    path = tmp_path / "reward_function.py"
    path.write_bytes(source if isinstance(source, bytes) else source.encode())
    with pytest.raises(RewardError) as caught:
        load_reward(path)
    message = str(caught.value)
    assert message.startswith(str(path))
    assert fragment in message
    assert "\n" not in message


@pytest.mark.parametrize(("body", "fragment"), DO_NOT_RUN.values(), ids=DO_NOT_RUN.keys())
def test_a_failing_call_names_line_episode_step_and_inputs(tmp_path: Path, body, fragment):
    path = tmp_path / "reward_function.py"
    path.write_text(f"\ndef reward_function(params):\n    {body}\n")
    reward = load_reward(path)
    params: dict[str, Any] = {"speed": 1.2345678, "zero": 0, "waypoints": [(0.0, float(i)) for i in range(100)]}
    inputs = dict(params)
    with pytest.raises(RewardError) as caught:
        reward(params, (7, 12))
    message = str(caught.value)
    assert message.startswith(f"{path}, line ")
    assert ", episode 7, step 12: " in message
    assert fragment in message
    first, second = message.split("\n")
    assert second.startswith("    Inputs: ")
    assert "speed=1.2346" in second
    assert "waypoints" not in second
    assert caught.value.call is not None
    assert first.endswith(caught.value.call.what)
    assert caught.value.call.inputs == inputs


@pytest.mark.parametrize(
    ("body", "begin"),
    [
        ("return params['waypoints'][100]", "waypoints=[(0, 0), … 100 in all …, (0, 99)], steps=12, speed=3.5."),
        ("z = params['zero'] * 2\n    return 1 / z", "zero=0, steps=12, speed=3.5."),
        ("x, z = 0, params['zero']\n    if 1 / z > 3:\n        pass", "zero=0, steps=12, speed=3.5."),
        ("w = params['waypoints']\n    w[0][0]\n    return 1 / 0", "steps=12, speed=3.5."),
    ],
)
def test_the_inputs_that_the_line_reads_come_first(tmp_path: Path, body: str, begin: str):
    """Also by variables that were given them; the others only as far as they tell where the car is."""
    path = tmp_path / "reward_function.py"
    path.write_text(f"def reward_function(params):\n    {body}\n")
    with pytest.raises(RewardError) as caught:
        load_reward(path)(
            {"zero": 0, "waypoints": [(0.0, float(i)) for i in range(100)], "sim_time": 3.0, "speed": 3.5, "steps": 12}
        )
    assert str(caught.value).partition("Inputs: ")[2] == begin


def test_an_error_travels_whatever_the_function_puts_into_its_inputs(tmp_path: Path):
    """Workers send it to the trainer."""
    path = tmp_path / "reward_function.py"
    path.write_text("def reward_function(params):\n    params['f'] = lambda: 0\n    return 1 / 0\n")
    with pytest.raises(RewardError) as caught:
        load_reward(path)({"speed": 1.0})
    copy = pickle.loads(pickle.dumps(caught.value))
    assert (type(copy), str(copy)) == (RewardError, str(caught.value))


def test_no_file_a_folder_and_an_unknown_name_are_refused(tmp_path: Path):
    with pytest.raises(RewardError, match="no such file"):
        load_reward(tmp_path / "reward_function.py")
    with pytest.raises(RewardError, match="this is a folder"):
        load_reward(tmp_path)
    with pytest.raises(RewardError, match="Did you mean 'race_line'\\?"):
        load_reward("raceline")


def test_the_line_is_that_of_the_users_file_when_a_library_raises(tmp_path: Path):
    path = tmp_path / "reward_function.py"
    path.write_text("import json\n\n\ndef reward_function(params):\n    return json.loads('{')\n")
    with pytest.raises(RewardError, match=rf"^{path}, line 5, step 3: JSONDecodeError.* in `return json.loads"):
        load_reward(path)({"steps": 3.0})


def test_the_line_is_that_of_the_sibling_that_raises(tmp_path: Path):
    (tmp_path / "my_helper.py").write_text("def share(params):\n    return 1 / 0\n")
    path = tmp_path / "reward_function.py"
    path.write_text("import my_helper\n\n\ndef reward_function(params):\n    return my_helper.share(params)\n")
    with pytest.raises(RewardError, match=rf"^{tmp_path / 'my_helper.py'}, line 2"):
        load_reward(path)({})


def test_an_error_quotes_the_file_as_it_was_loaded(tmp_path: Path):
    """Someone edits the file while a run goes on; the line in the error is still the one that failed."""
    path = tmp_path / "reward_function.py"
    path.write_text("def reward_function(params):\n    return 1 / 0\n")
    reward = load_reward(path)
    path.write_text("# new\n# new\n# new\n")
    with pytest.raises(RewardError, match="line 2: ZeroDivisionError: division by zero in `return 1 / 0`"):
        reward({})

"""Names of NumPy 1.x, SciPy 1.13 and Shapely 1.x: there for reward functions, and for nobody else."""

from __future__ import annotations

import subprocess
import sys
import types
from pathlib import Path

import numpy as np
import pytest
import scipy.integrate

from hotlap.rewards import load_reward
from hotlap.rewards.old_names import OLD_NAMES, user_builtins

CASES = Path(__file__).parent.parent / "cases" / "rewards"
ROW = {"waypoints": [(0.0, 0.0), (2.0, 0.0)], "closest_waypoints": [0, 1], "x": 1.0, "y": 0.5, "speed": 2.0}

pytestmark = pytest.mark.filterwarnings("ignore:.*hotlap understands both")


@pytest.mark.parametrize(
    ("file", "value"),
    [
        ("np2_removed_names.py", 1 / (0.1 + np.hypot(1.0, 0.5))),
        ("np_in1d_product.py", 2.0),
        ("np_trapz.py", 1.0),
        ("scipy_removed_names.py", 1.0),
        ("mistakes/53_np_float_removed.py", 1.5),
        ("mistakes/55_shapely_array_iface.py", 21.0),
    ],
)
def test_what_ran_in_the_originals_python_runs_here(file: str, value: float):
    assert load_reward(CASES / file)(dict(ROW)) == pytest.approx(value)


@pytest.mark.parametrize(("module", "name"), [(module, name) for module, names in OLD_NAMES.items() for name in names])
def test_every_old_name_has_a_meaning(module: str, name: str):
    namespace = {"__builtins__": user_builtins()}
    exec(f"from {module} import {name} as found", namespace)
    assert "found" in namespace


def test_nobody_else_sees_the_old_names(tmp_path: Path):
    path = tmp_path / "reward_function.py"
    path.write_text("import numpy as np\ndef reward_function(params):\n    return np.product([2.0, np.float_(3)])\n")
    assert load_reward(path)(dict(ROW)) == 6.0
    assert not hasattr(np, "product")
    assert not hasattr(np, "float_")
    assert not hasattr(scipy.integrate, "trapz")


def test_every_form_of_import_finds_them_in_the_file_and_beside_it(tmp_path: Path):
    (tmp_path / "old_helper.py").write_text("import numpy\nBEST = numpy.Inf\n")
    path = tmp_path / "reward_function.py"
    path.write_text(
        "from numpy import *\nimport numpy as np, scipy.integrate\nimport scipy.integrate as si, numpy.linalg\n"
        "from scipy import integrate, sqrt\nfrom scipy.interpolate import interp2d\nimport old_helper, pickle, types\n"
        "assert old_helper.BEST == inf and isinstance(np, types.ModuleType) and float is np.float\n"
        "assert isinstance(np.zeros(2), ndarray) and len(pickle.loads(pickle.dumps(array([1, 2])))) == 2\n"
        "assert pickle.loads(pickle.dumps(np.mean))([2, 4]) == 3 and np.linalg.norm([3, 4]) == 5\n"
        "grid = interp2d([0, 1], [0, 1], [[0, 1], [1, 2]])\n"
        "def reward_function(params):\n"
        "    areas = si.simps([0, 1, 2]) + scipy.integrate.trapz([0, 1]) + integrate.cumtrapz([0, 1])[0]\n"
        "    return areas + product([1, 2]) + sqrt(4) + grid(0.5, 0.5)[0]\n"
    )
    assert load_reward(path)(dict(ROW)) == pytest.approx(2 + 0.5 + 0.5 + 2 + 2 + 1)


def test_a_loop_over_a_collection_of_geometries_goes_over_its_parts(tmp_path: Path):
    path = tmp_path / "reward_function.py"
    path.write_text(
        "from shapely.geometry import MultiPoint\n\ndef reward_function(params):\n"
        "    return sum(part.x for part in MultiPoint([(1, 0), (2, 0)]))\n"
    )
    with pytest.warns(UserWarning, match=r"write geometry\.geoms; hotlap understands both"):
        assert load_reward(path)(dict(ROW)) == 3.0


def test_each_name_is_told_once_with_todays_word(tmp_path: Path):
    path = tmp_path / "reward_function.py"
    path.write_text(
        "import numpy as np\n\ndef reward_function(params):\n    return float(np.trapz([np.float_(0), np.float_(1)]))\n"
    )
    program = (
        "from hotlap.rewards.loader import load_rewards\nimport sys\n"
        "print([reward({}) for reward in load_rewards(sys.argv[1], 3)])\n"
        "assert not {'numpy.f2py', 'numpy.testing'} & sys.modules.keys(), 'it takes long to load these'"
    )
    done = subprocess.run([sys.executable, "-c", program, str(path)], capture_output=True, text=True, check=True)
    assert done.stdout == "[0.5, 0.5, 0.5]\n"
    assert done.stderr.count("np.trapz is gone from today's numpy; write np.trapezoid instead") == 1
    assert done.stderr.count("np.float_ is gone from today's numpy; write np.float64 instead") == 1
    assert f"{path}:4" in done.stderr


def test_names_that_are_there_cost_what_they_cost_in_the_real_module():
    """They are attributes of a plain module, so the interpreter's fast path applies."""
    namespace = {"__builtins__": user_builtins()}
    exec("import numpy as np", namespace)
    copy = namespace["np"]
    assert type(copy) is types.ModuleType
    assert copy is not np
    assert copy.random is vars(copy)["random"] is np.random  # loaded when it is asked for
    assert all(vars(copy)[name] is vars(np)[name] for name in ("mean", "sqrt", "zeros", "linalg", "float64"))

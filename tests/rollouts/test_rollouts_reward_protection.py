"""What a reward function does to its worker ends the job with file and line: in this process and on Ray workers."""

from __future__ import annotations

import dataclasses
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import pytest
from played_episodes import training_plans, weights_of
from tiny_model import ROUND_AND_ROUND, write_model

from hotlap.errors import RewardStopped
from hotlap.rollouts.fleet import Fleet, InProcessFleet
from hotlap.rollouts.model import RolloutSetup, rollout_setup
from hotlap.rollouts.ray_fleet import RayFleet
from hotlap.rollouts.request import CollectRequest

SWALLOWING = """
while True:
    try:
        time.sleep(0.01)
    except:
        pass
"""
DEEDS = {
    "while True:\n    pass": "not returned",
    "time.sleep(1000)": "not returned",
    SWALLOWING: "not returned",
    "os._exit(1)": "ends the process",
    "os.fork()": "starts a process",
    "raise KeyboardInterrupt": "KeyboardInterrupt",
    "bytearray(1 << 60)": "MemoryError",
}


def setup_of(folder: Path, deed: str) -> RolloutSetup:
    """Of a function that does it from its fifth step on."""
    body = textwrap.indent(deed.strip(), "        ")
    reward = f"import os, time\ndef reward_function(params):\n    if params['steps'] > 4:\n{body}\n    return 1.0\n"
    model = write_model(folder, reward=reward, actions=ROUND_AND_ROUND, built_in_network=True)
    setup = rollout_setup(model, model.job.updated(training={"workers": 2}))
    return dataclasses.replace(setup, reward_limit_s=1.0)


def assert_ends_with_the_line(fleet: Fleet, setup: RolloutSetup, said: str) -> None:
    """Within less than what two workers would take one after the other, were the limit the usual one."""
    begun = time.monotonic()
    try:
        with pytest.raises(Exception, match=rf"reward_function.py, line \d+, episode \d+, step 5: .*{said}") as raised:
            fleet.start(CollectRequest(training_plans(4), weights_of(setup))).result()
    finally:
        fleet.close()
    assert type(raised.value).__name__ in ("RewardStopped", "RewardError")
    assert time.monotonic() - begun < 60


@pytest.mark.parametrize("deed", [deed for deed in DEEDS if deed != SWALLOWING])  # this ends the process
def test_in_this_process(tmp_path: Path, deed: str):
    """One worker: the error comes, and the process goes on."""
    setup = setup_of(tmp_path, deed)
    assert_ends_with_the_line(InProcessFleet(setup), setup, DEEDS[deed])


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("deed", DEEDS)
def test_on_two_workers(tmp_path: Path, deed: str):
    """The first that is stopped ends the batch, also where Python cannot interrupt it."""
    setup = setup_of(tmp_path, deed)
    assert_ends_with_the_line(RayFleet(setup, 2), setup, DEEDS[deed])


@pytest.mark.usefixtures("ray_cluster")
def test_a_loop_on_two_workers_costs_its_limit_once(tmp_path: Path):
    """No second worker tries it for as long."""
    setup = setup_of(tmp_path, "while True:\n    pass")
    fleet = RayFleet(setup, 2)
    try:
        with pytest.raises(RewardStopped, match="not returned after 1 s"):
            fleet.start(CollectRequest(training_plans(4), weights_of(setup))).result()
    finally:
        fleet.close()


IN_A_PROCESS = """
import sys
from pathlib import Path
sys.path[:0] = sys.argv[2:]
import test_rollouts_reward_protection as here
from hotlap.errors import HotlapError

def main():
    setup = here.setup_of(Path(sys.argv[1]) / "model", (Path(sys.argv[1]) / "deed").read_text())
    fleet = here.RayFleet(setup, 2, timeout_s=15)
    import ray
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    try:
        for _ in range(2):
            fleet.start(here.CollectRequest(here.training_plans(4), here.weights_of(setup))).result()
    except HotlapError as error:
        print("HotlapError:", error)
    print("largest log:", max(path.stat().st_size for path in logs.glob("worker*")))
    fleet.close()

main()
"""


def said_on_two_workers(folder: Path, deed: str) -> str:
    """What comes to the terminal of a process that lets two workers play."""
    (folder / "deed").write_text(deed)
    places = [str(Path(__file__).parent), str(Path(__file__).parents[1])]
    ended = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, str(folder), *places],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=300,
    )
    assert ended.returncode == 0, ended.stdout
    return ended.stdout


@pytest.mark.slow
def test_what_it_writes_on_two_workers_is_cut(tmp_path: Path):
    """On the terminal and in Ray's files: a hundred lines of each worker, whatever writes them."""
    deed = """
for k in range(1000):
    print("printed")
    sys.stderr.write("written\\n")
    logging.warning("logged")
"""
    said = said_on_two_workers(tmp_path, f"import logging, sys\n{deed}")
    assert "HotlapError" not in said
    assert 2 <= said.count("has written 100 lines") <= 2
    assert 180 <= sum(said.count(word) for word in ("printed", "written\n", "logged")) <= 200
    assert int(said.partition("largest log: ")[2].split()[0]) < 100_000


@pytest.mark.slow
def test_compiled_code_that_keeps_the_lock_of_a_worker_is_shown_with_its_line(tmp_path: Path):
    """The fleet ends it, after Python's own stack came to the terminal."""
    said = said_on_two_workers(tmp_path, "sum(range(10**12))")
    assert "HotlapError" in said
    assert 'reward_function.py", line 4 in reward_function' in said

"""What a reward function does to its worker ends the job with file and line: in this process and on Ray workers."""

from __future__ import annotations

import dataclasses
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
    body = textwrap.indent(deed.strip(), "        ")
    reward = f"import os, time\ndef reward_function(params):\n    if params['steps'] > 4:\n{body}\n    return 1.0\n"
    model = write_model(folder, reward=reward, actions=ROUND_AND_ROUND)
    setup = rollout_setup(model, model.job.updated(training={"workers": 2}))
    return dataclasses.replace(setup, reward_limit_s=2.0)


def assert_ends_with_the_line(fleet: Fleet, setup: RolloutSetup, said: str) -> None:
    """Within less than what two workers would take one after the other, were the limit the usual one."""
    begun = time.monotonic()
    try:
        with pytest.raises(Exception, match=rf"reward_function.py, line \d+, episode \d+, step 5: .*{said}") as raised:
            fleet.start(weights_of(setup), training_plans(4), explore=True).result()
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
        with pytest.raises(RewardStopped, match="not returned after 2 s"):
            fleet.start(weights_of(setup), training_plans(4), explore=True).result()
    finally:
        fleet.close()

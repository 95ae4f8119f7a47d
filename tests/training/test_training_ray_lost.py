"""Trainings whose Ray processes are killed or stopped: one sentence, and the same result as undisturbed."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import uuid
from contextlib import closing
from pathlib import Path

import psutil
import pytest
from hotlap_process import WAIT_S, Hotlap, end, wait_for
from tiny_model import write_model
from trained_folder import curve, episodes, weights

from hotlap.config.model_folder import ModelFolder
from hotlap.deploy.ray_node import RayNode, set_token
from hotlap.training.trainer import Trainer

pytest.importorskip("ray")
pytestmark = pytest.mark.timeout(600)

NUM_ITERATIONS = 6
START_S = 300  # for Ray, a trainer and two workers to load and play on a machine that has other work
# Waits in the middle of an episode as long as it is told to.
WAITING = """
import pathlib
import time

HERE = pathlib.Path(__file__).parent


def reward_function(params):
    while params["steps"] > 4 and (HERE / "wait").exists():
        (HERE / "waiting").touch()
        time.sleep(0.01)
    return 1.0 - params["distance_from_center"] / params["track_width"]
"""


def model_in(folder: Path, workers: int = 2) -> ModelFolder:
    return write_model(
        folder,
        reward=WAITING,
        hyperparameters={"num_episodes_between_training": 4},
        training={"workers": workers, "precision": "float32", "max_iterations": NUM_ITERATIONS},
    )


def assert_undisturbed(model: ModelFolder, folder: Path) -> None:
    """The same weights, curve and episodes as from a training with one worker."""
    alone = model_in(folder, workers=1)
    with Trainer(alone) as trainer:
        trainer.run()
    assert weights(model.path) == weights(alone.path)
    assert curve(model.path) == curve(alone.path)
    assert episodes(model.path) == episodes(alone.path)


def gone(processes: list[psutil.Process]) -> bool:
    return not [each for each in processes if each.is_running() and each.status() != psutil.STATUS_ZOMBIE]


@pytest.mark.parametrize(
    ("name", "what", "said"),
    [
        ("raylet", signal.SIGKILL, r"Ray has ended \(raylet, process \d+\)\. It is started again with new workers\. "),
        pytest.param("gcs_server", signal.SIGKILL, r"Ray has ended \(gcs_server, proc", marks=pytest.mark.slow),
        pytest.param("raylet", signal.SIGSTOP, r"was stopped \(raylet, process \d+\)", marks=pytest.mark.slow),
        pytest.param("gcs_server", signal.SIGSTOP, r"was stopped \(gcs_server, process", marks=pytest.mark.slow),
        pytest.param("ray::Rollout", signal.SIGSTOP, r"was stopped \(ray::Rollout", marks=pytest.mark.slow),
    ],
)
def test_a_process_of_ray_that_is_lost_costs_nothing(tmp_path: Path, name: str, what: signal.Signals, said: str):
    """In the middle of an iteration: one sentence, nothing of Ray's own words, nothing left, the same result."""
    model = model_in(tmp_path / "model")
    wait = model.path / "wait"
    with Hotlap(tmp_path).fork("train", model.path) as process:
        wait_for(lambda: len(curve(model.path)) >= 1, "an iteration", limit_s=START_S)
        wait.touch()
        wait_for((model.path / "waiting").exists, "an episode")
        children = psutil.Process(process.pid).children(recursive=True)
        lost = next(each for each in children if each.name().startswith(name))
        lost.send_signal(what)
        if what == signal.SIGSTOP:
            wait_for(lambda: lost.status() != psutil.STATUS_STOPPED, "the process to be told to go on")
        wait.unlink()
        output = end(process)
    assert process.returncode == 0, output
    assert len(re.findall(said, output)) == 1, output
    assert not re.search(r"state-dump|Raylet is terminated|Traceback|worker \d .* died", output), output
    wait_for(lambda: gone(children), "the end of all processes")
    assert_undisturbed(model, tmp_path / "alone")


PLAYED = """
import signal, sys, threading, time
import psutil
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import TrainingError
from hotlap.rollouts.model import rollout_setup
from hotlap.rollouts.ray_fleet import RayFleet

model = ModelFolder(sys.argv[1])
fleet = RayFleet(rollout_setup(model, model.job), 2, on_message=print)
"""
CLOSED = """
children = psutil.Process().children(recursive=True)
for child in children:
    child.send_signal(signal.SIGSTOP)
fleet.close()
for child in children:
    if child.is_running() and child.status() != psutil.STATUS_ZOMBIE:
        print("left:", child)
print("closed")
"""
KILLED = """
def kill():
    while True:
        for child in psutil.Process().children():
            if child.name() == "raylet":
                child.kill()
        time.sleep(0.1)

threading.Thread(target=kill, daemon=True).start()
try:
    while True:
        fleet.advance(0.1)
except TrainingError as error:
    print("said:", error)
fleet.close()
print("closed")
"""


def run(program: str, model: ModelFolder) -> str:
    done = subprocess.run(
        [sys.executable, "-c", program, str(model.path)], capture_output=True, text=True, timeout=3 * WAIT_S
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "state-dump" not in done.stdout + done.stderr
    return done.stdout


@pytest.mark.slow
def test_a_fleet_whose_processes_are_all_stopped_can_be_closed(tmp_path: Path):
    """And nothing of it is left."""
    assert run(PLAYED + CLOSED, model_in(tmp_path)).splitlines()[-1:] == ["closed"]


@pytest.mark.slow
def test_ray_that_ends_again_and_again_is_an_error(tmp_path: Path):
    """One sentence that says how to go on, not a restart without end."""
    output = run(PLAYED + KILLED, model_in(tmp_path))
    # It may be killed before it has begun, too.
    ended = r"Ray has ended \(raylet, process \d+\), 4 times in a row"
    assert re.search(rf"said: ({ended}|cannot start Ray on this machine)[^\n]* --resume", output), output
    assert 1 <= output.count("It is started again") <= 3


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="a machine has one loopback address elsewhere")
def test_a_cluster_that_comes_again_is_joined_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Its head is killed with all that runs on it, and another one started at its address."""
    token: dict[str, str] = {}
    set_token(uuid.uuid4().hex, token)  # where the user has a token in ~/.ray, a head asks for one in any case
    for variable, value in token.items():
        monkeypatch.setenv(variable, value)
    with socket.socket() as probe:
        probe.bind(("127.0.0.6", 0))
        port = probe.getsockname()[1]
    model = model_in(tmp_path / "model")
    wait = model.path / "wait"
    with closing(RayNode(ip="127.0.0.6", num_cpus=2, port=port)) as head:
        head.wait_until_up()
        node = psutil.Process(head._process.pid)
        with Hotlap(tmp_path).start("train", model.path, "--cluster", f"127.0.0.6:{port}") as process:
            wait_for(lambda: len(curve(model.path)) >= 1, "an iteration", limit_s=START_S)
            wait.touch()
            wait_for((model.path / "waiting").exists, "an episode")
            for each in [node, *node.children(recursive=True)]:
                os.kill(each.pid, signal.SIGKILL)
            wait.unlink()
            with closing(RayNode(ip="127.0.0.6", num_cpus=2, port=port)):
                output = end(process)
    assert process.returncode == 0, output
    assert output.count("It is joined again with new workers.") == 1, output
    assert_undisturbed(model, tmp_path / "alone")

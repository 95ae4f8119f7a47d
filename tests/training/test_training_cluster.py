"""Training across a Ray cluster of several nodes, each with processes and an address of its own on this machine."""

from __future__ import annotations

import re
import signal
import socket
import sys
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import psutil
import pytest
from hotlap_process import WAIT_S, Hotlap, end, wait_for
from tiny_model import write_model
from trained_folder import curve, played, weights

from hotlap.config.model_folder import ModelFolder
from hotlap.deploy.ray_node import RayNode, set_token
from hotlap.training.trainer import Trainer

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(900),
    pytest.mark.skipif(sys.platform != "linux", reason="a machine has one loopback address elsewhere"),
]

HEAD = "127.0.0.2"

# Tells on which node and in which process it is called, and waits in the middle of an episode as long as it is told
# to, or in compiled code that keeps Python's lock.
TELLING = """
import ctypes
import os
import pathlib
import time

import ray

HERE = pathlib.Path(__file__).parent
ADDRESS = ray.util.get_node_ip_address()


def reward_function(params):
    if params["steps"] > 4:
        (HERE / f"played-on-{ADDRESS}").touch()
        (HERE / f"process-{os.getpid()}").touch()
        if (HERE / "hold").exists():
            ctypes.PyDLL(None).sleep(1000)
        while (HERE / "wait").exists():
            (HERE / f"waiting-on-{ADDRESS}").touch()
            time.sleep(0.01)
    return 1.0 - params["distance_from_center"] / params["track_width"]
"""


class Nodes:
    """A cluster whose head plays nothing; every other node has one processor."""

    def __init__(self) -> None:
        with socket.socket() as probe:
            probe.bind((HEAD, 0))
            port = probe.getsockname()[1]
        self.stack = ExitStack()
        self.address = f"{HEAD}:{port}"
        self.stack.enter_context(closing(RayNode(ip=HEAD, num_cpus=0, port=port))).wait_until_up()

    def add(self, ip: str) -> None:
        """Add a node and wait until it takes part: two that start at once on one machine are in each other's way."""
        self.stack.enter_context(closing(RayNode(ip=ip, num_cpus=1, head=self.address)))
        wait_for(lambda: any(each.name().startswith("ray::") for each in self.processes(ip)), f"node {ip}")

    @staticmethod
    def processes(ip: str) -> list[psutil.Process]:
        """All processes of a node."""
        alive = [each for each in psutil.Process().children() if each.status() != psutil.STATUS_ZOMBIE]
        (node,) = [each for each in alive if f"--node-ip-address={ip}" in each.cmdline()]
        return [node, *node.children(recursive=True)]

    def kill(self, ip: str) -> None:
        """Take a node away like a power failure."""
        for process in self.processes(ip):
            process.kill()


@pytest.fixture(scope="module")
def nodes() -> Iterator[Nodes]:
    pytest.importorskip("ray")
    with pytest.MonkeyPatch.context() as patch:
        # What a session of Ray in this process has set to stay on 127.0.0.1 forbids a second node.
        patch.delenv("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", raising=False)
        for name in ("RAY_AUTH_TOKEN", "RAY_AUTH_MODE", "RAY_USAGE_STATS_ENABLED"):
            patch.delenv(name, raising=False)
        token: dict[str, str] = {}
        set_token(uuid.uuid4().hex, token)
        for name, value in token.items():
            patch.setenv(name, value)
        nodes = Nodes()
        with nodes.stack:
            nodes.add("127.0.0.3")
            nodes.add("127.0.0.4")
            yield nodes


def model_in(folder: Path, *, workers: int, iterations: int = 0) -> ModelFolder:
    return write_model(
        folder,
        reward=TELLING,
        hyperparameters={"num_episodes_between_training": 4},
        training={"workers": workers, "precision": "float32", "max_iterations": iterations},
        built_in_network=True,
    )


def test_a_node_lost_in_the_middle_of_an_iteration_costs_nothing(nodes: Nodes, tmp_path: Path):
    """Two nodes play; one dies with all its processes; the other plays its episodes, until a new node joins.

    What is learned is to the byte what is learned without a cluster.
    """
    hotlap = Hotlap(tmp_path)
    model = model_in(tmp_path / "model", workers=2)
    wait = model.path / "wait"
    wait.touch()
    with hotlap.start("train", model.path, "--cluster", nodes.address) as process:
        for ip in ("127.0.0.3", "127.0.0.4"):
            wait_for((model.path / f"waiting-on-{ip}").exists, f"an episode on {ip}")
        nodes.kill("127.0.0.4")
        wait.unlink()
        wait_for(lambda: len(curve(model.path)) >= 2, "iterations on one node")
        nodes.add("127.0.0.5")
        wait_for((model.path / "played-on-127.0.0.5").exists, "an episode on the new node")
        process.send_signal(signal.SIGINT)
        output = end(process)
    assert process.returncode == 0, output
    lost = r"on 127\.0\.0\.4\) (cannot be reached|was lost with its machine)\. Planned again: episode \d, \d\."
    assert re.search(lost, output)
    assert "on 127.0.0.5) joined." in output

    lines = curve(model.path)
    alone = model_in(tmp_path / "alone", workers=1, iterations=len(lines))
    with Trainer(alone) as trainer:
        trainer.run()
    assert weights(model.path) == weights(alone.path)
    assert lines == curve(alone.path)
    assert played(model.path, 2) == played(alone.path, 1)


@pytest.mark.parametrize("what", ["wait", "hold"])
def test_a_killed_trainer_leaves_no_worker_behind(nodes: Nodes, tmp_path: Path, what: str):
    """Its worker ends, in whatever code it is; the cluster and another training on it do not."""
    hotlap = Hotlap(tmp_path)
    victim, other = (model_in(tmp_path / name, workers=1) for name in ("victim", "other"))
    (victim.path / what).touch()
    with hotlap.start("train", other.path, "--cluster", nodes.address) as survivor:
        with hotlap.start("train", victim.path, "--cluster", nodes.address) as process:
            worker = psutil.Process(wait_for(lambda: processes_of(victim), "an episode of the victim")[0])
            process.kill()
            process.wait()
        worker.wait(timeout=WAIT_S)
        num_lines = len(curve(other.path))
        wait_for(lambda: len(curve(other.path)) > num_lines + 1, "the other training to go on")
        survivor.send_signal(signal.SIGINT)
        output = end(survivor)
    assert survivor.returncode == 0, output
    assert "Planned again" not in output


def processes_of(model: ModelFolder) -> list[int]:
    """Process ids of the workers that play for a model."""
    return [int(path.name.partition("-")[2]) for path in model.path.glob("process-*")]

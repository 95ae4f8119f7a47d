"""Training jobs with one host or two, each a process with its own address and its own ``/opt/ml``."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import tarfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import psutil
import pytest
from hotlap_process import Forked, fork
from tiny_model import write_model

from hotlap.config.model_folder import ModelFolder
from hotlap.deploy.sagemaker import main
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.folder import Folder

WAIT_S = 240  # after so long something hangs
MARK = "HOTLAP_TEST_JOB"  # a variable by which the processes of a test are known
ADDRESSES = {"algo-1": "127.0.0.2", "algo-2": "127.0.0.3"}

# Leaves the address of every node that it is called on.
MARKING = """
from pathlib import Path
import ray
Path({folder!r}, ray.util.get_node_ip_address()).touch()

def reward_function(params):
    return 1.0
"""
FAILING = """
def reward_function(params):
    return 1.0 / (params["steps"] - params["steps"])
"""
# Takes its time, and swallows the first interrupt.
SLOW = """
import time
from pathlib import Path

Path({begun!r}).touch()
swallowed = False

def reward_function(params):
    global swallowed
    try:
        time.sleep(0.5)
    except:
        if swallowed:
            raise
        swallowed = True
    return 1.0
"""


class TrainingJob:
    """Starts the hosts of a job and keeps what they print."""

    def __init__(self, folder: Path, hosts: list[str]) -> None:
        self.folder, self.hosts = folder, hosts
        self.ports = free_ports(2)
        self.processes: dict[str, Forked | subprocess.Popen[bytes]] = {}

    def base(self, host: str) -> Path:
        return self.folder / host

    def log(self, host: str) -> str:
        return (self.folder / f"{host}.log").read_text()

    def failure(self, host: str) -> str:
        return (self.base(host) / "output" / "failure").read_text()

    def write(self, hyperparameters: dict[str, str] | None = None, **model: Any) -> None:
        """What SageMaker puts into the containers."""
        for host in self.hosts:
            config = self.base(host) / "input" / "config"
            config.mkdir(parents=True, exist_ok=True)
            resources = {"current_host": host, "hosts": self.hosts, "network_interface_name": "lo"}
            (config / "resourceconfig.json").write_text(json.dumps(resources))
            (config / "hyperparameters.json").write_text(json.dumps(hyperparameters or {}))
            (config / "inputdataconfig.json").write_text(json.dumps({"training": {"TrainingInputMode": "File"}}))
            write_model(self.base(host) / "input" / "data" / "training", **model)

    def start(self, host: str, *, as_command: bool = False) -> Forked | subprocess.Popen[bytes]:
        """Start what the container runs on a host; ``as_command``: as a container does, which takes some seconds."""
        meeting, ray = map(str, self.ports)
        words = ["--base", str(self.base(host)), "--port", meeting, "--ray-port", ray]
        for name in self.hosts:
            words += ["--address", f"{name}={ADDRESSES[name]}"]
        environment = os.environ | {
            MARK: str(self.folder),
            "SM_NUM_CPUS": "1",
            "OMP_NUM_THREADS": "1",
            "RAY_DEFAULT_OBJECT_STORE_MAX_MEMORY_BYTES": str(256 << 20),
        }
        log = self.folder / f"{host}.log"
        log.touch()
        if as_command:
            command = [sys.executable, "-m", "hotlap.deploy.sagemaker", *words]
            with log.open("wb") as output:
                process = subprocess.Popen(command, stdout=output, stderr=subprocess.STDOUT, env=environment)
            self.processes[host] = process
        else:
            self.processes[host] = fork(main, words, folder=self.folder, environment=environment, output=log)
        return self.processes[host]

    def wait(self, host: str) -> int:
        """The exit code of a host."""
        return self.processes[host].wait(WAIT_S)

    def wait_for(self, host: str, text: str) -> None:
        """Wait until a host has printed something."""
        until(lambda: text in self.log(host) or self.processes[host].poll() is not None)
        assert text in self.log(host), self.log(host)

    def kill(self, host: str) -> None:
        """End a host as its container's end does, with all that it has started."""
        process = psutil.Process(self.processes[host].pid)
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):  # it may end with the one before
                each.kill()

    def close(self) -> None:
        """Kill what still runs; nothing may stay that a host has started, however it ended."""
        for process in self.processes.values():
            process.kill()
            process.wait(WAIT_S)
        until(lambda: not self._descendants())
        left = self._descendants()
        for process in left:
            process.kill()
        assert not left, f"left behind: {left}"

    def _descendants(self) -> list[psutil.Process]:
        """Every process that a host has started, and they in turn."""
        found = []
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                if process.environ().get(MARK) == str(self.folder) and process.status() != psutil.STATUS_ZOMBIE:
                    found.append(process)
        return found


def free_ports(number: int) -> list[int]:
    """Ports on which nobody listens, at any address."""
    servers = [socket.create_server(("", 0)) for _ in range(number)]
    ports = [server.getsockname()[1] for server in servers]
    for server in servers:
        server.close()
    return ports


def until(condition: Callable[[], object]) -> None:
    for _ in range(10 * WAIT_S):
        if condition():
            return
        time.sleep(0.1)


@pytest.fixture
def two_hosts(tmp_path) -> Iterator[TrainingJob]:
    pytest.importorskip("ray", reason="several hosts need hotlap[cluster]")
    job = TrainingJob(tmp_path, ["algo-1", "algo-2"])
    yield job
    job.close()


@pytest.fixture
def one_host(tmp_path) -> Iterator[TrainingJob]:
    job = TrainingJob(tmp_path, ["algo-1"])
    yield job
    job.close()


def test_two_hosts_train_together(two_hosts, tmp_path):
    """The first leads, the second plays too and leaves when training ends; the leader delivers, both succeed."""
    marks = tmp_path / "marks"
    marks.mkdir()
    # Of the networks that cars drive with the one of the fewest weights, once for action and value.
    network = {"neural_network": "DEEP_CONVOLUTIONAL_NETWORK_DEEP"}
    training = {"shared_encoder": True}
    two_hosts.write(
        {"lr": "0.0005"},
        reward=MARKING.format(folder=str(marks)),
        metadata=network,
        training=training,
        built_in_network=True,
    )
    two_hosts.start("algo-2")  # containers start in any order
    two_hosts.start("algo-1")
    assert two_hosts.wait("algo-1") == 0, two_hosts.log("algo-1")
    assert two_hosts.wait("algo-2") == 0, two_hosts.log("algo-2")
    assert {mark.name for mark in marks.iterdir()} == set(ADDRESSES.values())
    base = two_hosts.base("algo-1")
    delivered = ModelFolder(base / "model")
    assert delivered.hyperparameters.lr == 0.0005
    assert delivered.job.training.cluster is None  # the job's own affair
    assert last_iteration(delivered.path) == 3
    with tarfile.open(delivered.path / "carfile.tar.gz") as archive:
        assert archive.getnames() == ["agent/model.pb", "model_metadata.json"]
    assert list((base / "output" / "data").rglob("2-iteration.csv"))
    assert not (base / "output" / "failure").exists()
    assert (
        two_hosts.base("algo-2") / "checkpoints" / "reward_function.py"
    ).exists()  # where its siblings are looked for
    assert not (two_hosts.base("algo-2") / "model").exists()  # SageMaker would mix it with the leader's


def test_a_leader_that_dies_ends_the_others(two_hosts):
    """They do not wait for a minute as Ray does, and say why."""
    two_hosts.write()
    two_hosts.start("algo-1")
    two_hosts.start("algo-2")
    two_hosts.wait_for("algo-2", "joins the cluster")
    two_hosts.kill("algo-1")
    assert two_hosts.wait("algo-2") != 0
    assert "leading host algo-1 is gone" in two_hosts.failure("algo-2")


def test_a_wrong_setting_ends_all_hosts_before_training(two_hosts):
    """With the reason on the leader, and no host left waiting."""
    two_hosts.write({"training.max_iterations": "soon"})
    for host in two_hosts.hosts:
        two_hosts.start(host)
    assert two_hosts.wait("algo-1") == 2
    assert two_hosts.wait("algo-2") != 0
    assert "training.max_iterations should be a valid integer, got 'soon'" in two_hosts.failure("algo-1")


@pytest.mark.slow
def test_a_reward_function_that_fails_everywhere_ends_all_hosts(two_hosts):
    """The failure is its own error, as on one host."""
    two_hosts.write(reward=FAILING)
    for host in two_hosts.hosts:
        two_hosts.start(host)
    assert two_hosts.wait("algo-1") == 2
    assert two_hosts.wait("algo-2") != 0
    assert "reward_function.py, line 3" in two_hosts.failure("algo-1")
    assert "ZeroDivisionError" in two_hosts.failure("algo-1")


@pytest.mark.slow
def test_hosts_that_are_all_told_to_end_finish_the_iteration_together(two_hosts):
    """SageMaker sends SIGTERM to every container; the leader still needs the other's workers."""
    two_hosts.write({"training.max_iterations": "0"})
    for host in two_hosts.hosts:
        two_hosts.start(host)
    two_hosts.wait_for("algo-1", "hotlap: iteration=2 ")
    for process in two_hosts.processes.values():
        process.send_signal(signal.SIGTERM)
    assert two_hosts.wait("algo-1") == 0, two_hosts.log("algo-1")
    assert two_hosts.wait("algo-2") == 0, two_hosts.log("algo-2")
    assert "training ended: stopped" in two_hosts.log("algo-1")
    assert CheckpointStore(Folder(two_hosts.base("algo-1") / "model")).list()


def test_a_leader_that_waits_for_its_hosts_can_be_ended(two_hosts):
    """Nothing is delivered, and that is not a success."""
    two_hosts.write()
    leader = two_hosts.start("algo-1")
    until(lambda: _listens(two_hosts.ports[0]) or leader.poll() is not None)
    leader.send_signal(signal.SIGTERM)
    assert two_hosts.wait("algo-1") == 128 + signal.SIGTERM, two_hosts.log("algo-1")
    assert not (two_hosts.base("algo-1") / "model").exists()


def test_a_failure_on_one_host_says_why(one_host):
    """File and line where SageMaker looks for the reason, and an exit code that is not zero."""
    one_host.write(reward=FAILING)
    one_host.start("algo-1", as_command=True)
    assert one_host.wait("algo-1") == 2
    assert "reward_function.py, line 3" in one_host.failure("algo-1")
    assert "ZeroDivisionError" in one_host.failure("algo-1")
    (line,) = [line for line in one_host.log("algo-1").splitlines() if "simapp_exception" in line]
    said = json.loads(line)["simapp_exception"]
    assert (said["message"], said["errorCode"]) == (one_host.failure("algo-1"), "400")


def test_a_job_whose_iteration_takes_too_long_delivers_what_it_has(one_host, tmp_path):
    """Whether the time is up or a second signal comes: the iteration is given up, and that is no failure."""
    begun = tmp_path / "begun"
    one_host.write(reward=SLOW.format(begun=str(begun)))
    process = one_host.start("algo-1")
    until(lambda: begun.exists() or process.poll() is not None)
    until(CheckpointStore(Folder(one_host.base("algo-1") / "checkpoints")).list)  # of what it begins with
    process.send_signal(signal.SIGTERM)
    one_host.wait_for("algo-1", "the training ends after this iteration")
    for _ in range(3):  # one is enough; impatience does no harm
        process.send_signal(signal.SIGTERM)
    assert one_host.wait("algo-1") == 0, one_host.log("algo-1")
    assert "stopped before the iteration was finished" in one_host.log("algo-1")
    assert last_iteration(one_host.base("algo-1") / "model") == 0


def test_a_job_that_is_ended_delivers_and_goes_on_when_it_is_started_again(one_host):
    """As after the interruption of a spot instance: SIGTERM, and a new container with the same checkpoints."""
    one_host.write({"training.max_iterations": "0"})
    process = one_host.start("algo-1")
    one_host.wait_for("algo-1", "hotlap: iteration=2 ")
    process.send_signal(signal.SIGTERM)
    assert one_host.wait("algo-1") == 0, one_host.log("algo-1")
    assert "training ended: stopped" in one_host.log("algo-1")
    assert re.search(r"^Training>.*Total reward=(.*?),.*Training iteration=1$", one_host.log("algo-1"), re.MULTILINE)
    assert "SIM_TRACE_LOG" not in one_host.log("algo-1")
    finished = last_iteration(one_host.base("algo-1") / "model")
    one_host.write({"training.max_iterations": str(finished + 1)})
    one_host.start("algo-1")
    assert one_host.wait("algo-1") == 0, one_host.log("algo-1")
    assert f"{finished} iterations done before" in one_host.log("algo-1")
    assert last_iteration(one_host.base("algo-1") / "model") == finished + 1


def last_iteration(folder: Path) -> int:
    """Iterations that the last checkpoint of a model has behind it."""
    return CheckpointStore(Folder(folder)).load("last").name.number


def _listens(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex((ADDRESSES["algo-1"], port)) == 0

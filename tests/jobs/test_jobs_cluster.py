"""Trainings on a Ray cluster: a head with its own ports and folders, started and ended here."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from hotlap_process import WAIT_S, Hotlap, end, wait_for
from tiny_model import write_model

from hotlap.errors import ConfigError, TrainingError
from hotlap.jobs.cluster import Cluster
from hotlap.jobs.record import ClusterJob
from hotlap.jobs.registry import JobRegistry
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.events import ProgressLog
from hotlap.records.folder import Folder

# The helper is what its own folder brings along.
SLOW = """
import time
import helper
def reward_function(params):
    time.sleep(0.01)
    return helper.VALUE
"""


@dataclass
class Head:
    """A cluster of one node on loopback."""

    address: str
    state: Path
    """Where its own list of jobs lies."""


@pytest.fixture(scope="module")
def head(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Head]:
    pytest.importorskip("ray")
    state = tmp_path_factory.mktemp("head")
    gcs, dashboard, agent, agent_grpc = free_ports(4)
    environment = os.environ | {
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "HOTLAP_STATE": str(state),
        "OMP_NUM_THREADS": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER": "0",  # 127.0.0.1 and nothing else, despite its name
        "RAY_AUTH_MODE": "disabled",
    }
    options = {
        "node-ip-address": "127.0.0.1",
        "port": gcs,
        "include-dashboard": "true",
        "dashboard-host": "127.0.0.1",
        "dashboard-port": dashboard,
        "dashboard-agent-listen-port": agent,
        "dashboard-agent-grpc-port": agent_grpc,
        "num-cpus": 2,
        "object-store-memory": 256 << 20,
    }
    # Not in pytest's folder: Ray puts sockets there, whose paths may have 107 characters.
    with tempfile.TemporaryDirectory(prefix="ray", ignore_cleanup_errors=True) as temporary:
        words = [f"--{name}={value}" for name, value in options.items()]
        command = [sys.executable, "-m", "ray.scripts.scripts", "start", "--head", "--block", f"--temp-dir={temporary}"]
        with (state / "ray.log").open("wb") as log:
            process = subprocess.Popen([*command, *words], env=environment, stdout=log, stderr=log)
        address = f"http://127.0.0.1:{dashboard}"
        try:
            wait_for(lambda: answers(address, process), "the head")
            yield Head(address, state)
        finally:
            process.terminate()  # it ends the processes of its node
            process.wait(WAIT_S)


def free_ports(count: int) -> list[int]:
    """Ports outside of those that Ray gives to its workers."""
    found: list[int] = []
    sockets = []
    for port in range(20000 + os.getpid() % 10000, 40000):
        try:
            sockets.append(socket.create_server(("127.0.0.1", port)))
            found.append(port)
        except OSError:
            continue
        if len(found) == count:
            break
    for each in sockets:
        each.close()
    return found


def answers(address: str, process: subprocess.Popen[bytes]) -> bool:
    assert process.poll() is None, "the head ended"
    try:
        with urllib.request.urlopen(f"{address}/api/version", timeout=5):
            return True
    except OSError:
        return False


@pytest.fixture
def hotlap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Hotlap:
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    return Hotlap(tmp_path)


@pytest.mark.slow
def test_a_job_is_submitted_listed_followed_and_stopped(head, hotlap):
    """As a background job is: it trains where the user said, with what the user's folder holds and no more."""
    folder = write_model(hotlap.folder / "model", reward=SLOW, training={"max_iterations": 0}).path
    (folder / "helper.py").write_text("VALUE = 1.0\n")
    (folder / "model").mkdir()
    (folder / "model" / "0_Step-0.ckpt.data").write_bytes(b"of an earlier training")
    output = hotlap.folder / "shared" / "out"
    done = hotlap.run("train", "model", "--submit", head.address, "--output", output, "--seed", "4", "--workers", "2")
    assert f"Job 1 trains {output} on {head.address}" in done.stderr
    wait_for(lambda: num_iterations(output), "an iteration")
    listed = hotlap.run("jobs").stdout
    assert "running" in listed
    assert str(output) in listed
    assert [job.state for job in JobRegistry(head.state / "jobs").jobs()] == ["running"]
    with hotlap.start("logs", "1", "-f") as follower:
        stopped = hotlap.run("stop", "model")
        followed = end(follower)
    assert "Job 1 has ended" in stopped.stderr
    assert "Training ended: it was told to stop." in followed
    assert "Training ended: it was told to stop." in hotlap.run("logs", output).stdout
    (job,) = hotlap.jobs()
    assert job.state == "finished"
    assert not (output / "model" / "0_Step-0.ckpt.data").exists()
    finished = num_iterations(output)
    checkpoint = CheckpointStore(Folder(output)).load("last").state
    assert checkpoint is not None
    assert (checkpoint.iteration, checkpoint.seed) == (finished, 4)

    hotlap.run("train", "model", "--submit", head.address, "--output", output, "--resume")
    wait_for(lambda: num_iterations(output) > finished, "an iteration of the resumed training")
    hotlap.run("stop", "2", "--now")
    assert hotlap.jobs()[1].state == "finished"
    assert CheckpointStore(Folder(output)).load("last").state.iteration >= finished


@pytest.mark.slow
def test_a_job_that_cannot_begin_says_so_here(head, hotlap):
    """What only the cluster can find out is told in the terminal that asked."""
    write_model(hotlap.folder / "model", reward="reward = 1")
    failed = hotlap.run("train", "model", "--submit", head.address, "--output", hotlap.folder / "out", code=2)
    assert "defines no function" in " ".join(failed.stderr.split())
    assert hotlap.jobs() == []


@pytest.mark.slow
def test_another_address_in_the_environment_does_not_count(head, monkeypatch):
    """Ray's client would go there."""
    monkeypatch.setenv("RAY_AUTH_MODE", "disabled")
    monkeypatch.setenv("RAY_ADDRESS", "http://127.0.0.1:9")
    assert Cluster(head.address.removeprefix("http://")).address == head.address
    assert os.environ["RAY_ADDRESS"] == "http://127.0.0.1:9"


def test_a_cluster_that_does_not_answer_hides_no_job(hotlap):
    """It is named once, however many jobs it has; the rest is listed."""
    pytest.importorskip("ray")
    registry = JobRegistry(hotlap.folder / "state" / "jobs")
    (port,) = free_ports(1)
    for number in ("a", "b"):
        place = ClusterJob(f"http://127.0.0.1:{port}", f"raysubmit_{number}", "/out")
        registry.add(hotlap.folder, process=None, cluster=place)
    registry.add(hotlap.folder, state="finished")
    listed = hotlap.run("jobs")
    assert [line.split()[1] for line in listed.stdout.splitlines()[1:]] == ["unknown", "unknown", "finished"]
    assert " ".join(listed.stderr.split()).count(f"http://127.0.0.1:{port} does not answer") == 1


def test_what_takes_no_jobs_is_told():
    """An address that cannot be one, nobody there, and somebody else there."""
    pytest.importorskip("ray")
    for address in ("ray://head:10001", "http://", "http://head:port"):
        with pytest.raises(ConfigError, match="is no address of a cluster"):
            Cluster(address)
    (port,) = free_ports(1)
    with pytest.raises(TrainingError, match="does not answer"):
        Cluster(f"127.0.0.1:{port}")
    with subprocess.Popen([sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]) as server:
        try:
            wait_for(lambda: not refuses(port), "the server")
            with pytest.raises(TrainingError, match=r"does not answer as one that takes jobs.*ray start --head"):
                Cluster(f"127.0.0.1:{port}")
        finally:
            server.kill()


def refuses(port: int) -> bool:
    try:
        socket.create_connection(("127.0.0.1", port)).close()
    except OSError:
        return True
    return False


def test_a_submitted_job_needs_a_place_for_its_results(hotlap):
    """And nothing that contradicts it; nobody is asked before."""
    write_model(hotlap.folder / "model")
    for options in ([], ["--output", "out", "--detach"], ["--output", "out", "--cluster", "auto"]):
        refused = hotlap.run("train", "model", "--submit", "http://127.0.0.1:9", *options, code=2)
        assert "goes with --output PLACE" in " ".join(refused.stderr.split())


def num_iterations(folder: Path) -> int:
    return len(ProgressLog(Folder(folder)).read())

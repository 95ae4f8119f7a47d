"""Connecting to Ray: what it must leave alone, and clusters that are not there."""

from __future__ import annotations

import signal
import subprocess
import sys

import pytest

pytest.importorskip("ray")


def test_ray_does_not_take_over_the_end_of_the_process(ray_cluster: None):
    """Whoever trains decides what SIGTERM does; Ray would leave at once, in the middle of a checkpoint."""
    handler = signal.getsignal(signal.SIGTERM)
    assert not getattr(handler, "__module__", "").startswith("ray")


def test_clusters_that_are_not_there_are_errors_within_seconds():
    """Each names the address, the reason and the way out. In a process that has not joined a cluster yet."""
    program = """
import sys
from hotlap.errors import TrainingError
from hotlap.rollouts.ray_session import connect
for address in sys.argv[1:]:
    try:
        connect(address, num_workers=1, store_bytes=0)
    except TrainingError as error:
        print(error)
"""
    addresses = ["127.0.0.1:1", "nowhere.invalid:6379", "nonsense", "ray://127.0.0.1:10001"]
    done = subprocess.run(
        [sys.executable, "-c", program, *addresses], capture_output=True, text=True, check=True, timeout=60
    )
    lines = done.stdout.splitlines()
    for line, address in zip(lines, addresses, strict=True):
        assert line.startswith(f"cannot join the Ray cluster at {address}: ")
    assert "Connection refused" in lines[0]
    assert "this is no address" in lines[2]
    assert all("`ray start --head` printed" in line for line in lines)

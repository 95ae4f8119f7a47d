"""The hosts of a job meet at the leader; all know when to join, and how it ended."""

from __future__ import annotations

import socket
import struct
from threading import Thread

import pytest

from hotlap.deploy.meeting import Meeting, Visit
from hotlap.errors import TrainingError

LEADER, SECRET = "127.0.0.2", "of this job"


@pytest.fixture
def address() -> tuple[str, int]:
    """Where nobody listens yet."""
    with socket.create_server((LEADER, 0)) as server:
        return server.getsockname()


def visit(address: tuple[str, int], host: str, *, secret: str = SECRET, timeout_s: float = 20.0) -> Visit:
    return Visit(address, host=host, num_cpus=4, secret=secret, timeout_s=timeout_s)


def test_hosts_are_invited_whether_they_come_early_or_late(address):
    """The leader waits for all that belong to the job, and counts their processors."""
    meeting = Meeting(address, SECRET, lambda _: None)
    early = visit(address, "algo-2")
    assert meeting.wait_for(["algo-2"], 20) == []
    assert early.wait(0.1) is None
    meeting.invite("10.0.0.1:6379")
    late = visit(address, "algo-3")
    assert meeting.wait_for(["algo-2", "algo-3"], 20) == []
    assert meeting.num_cpus == 8
    assert early.wait(20) == late.wait(20) == {"cluster": "10.0.0.1:6379"}
    assert meeting.wait_for(["algo-3", "algo-4"], 0.1) == ["algo-4"]


def test_a_host_may_be_there_before_the_leader(address):
    """Containers of a job start in any order."""
    visits = []
    thread = Thread(target=lambda: visits.append(visit(address, "algo-2")))
    thread.start()
    thread.join(0.7)  # its first attempt fails
    meeting = Meeting(address, SECRET, lambda _: None)
    meeting.invite("x:1")
    thread.join(20)
    assert visits[0].wait(20) == {"cluster": "x:1"}


def test_all_learn_how_it_ended_and_the_leader_waits_until_they_are_gone(address):
    """Also a host that comes only then: a job that failed at once must not leave it waiting."""
    said: list[str] = []
    meeting = Meeting(address, SECRET, said.append)
    here = visit(address, "algo-2")
    assert meeting.wait_for(["algo-2"], 20) == []
    end = Thread(target=meeting.end, args=("failed", ["algo-2", "algo-3"], 20))
    end.start()
    assert here.wait(20) == {"end": "failed"}
    here.close()
    late = visit(address, "algo-3")
    assert late.wait(20) == {"end": "failed"}
    assert end.is_alive()
    late.close()
    end.join(10)
    assert not end.is_alive()
    assert not any("gone" in line for line in said)


def test_a_leader_that_dies_is_missed(address):
    """Its connections end with its process."""
    with socket.create_server(address) as server:
        there = visit(address, "algo-2")
        connection, _ = server.accept()
        connection.close()
        with pytest.raises(ConnectionError):
            there.wait(20)


def test_a_host_that_dies_is_missed_and_may_come_back(address):
    """The leader goes on with the others and says so; whoever comes again under the name takes its place."""
    said: list[str] = []
    meeting = Meeting(address, SECRET, said.append)
    dies = socket.create_connection(address)
    dies.sendall(b'{"host": "algo-2", "cpus": 2, "secret": "of this job"}\n')
    assert meeting.wait_for(["algo-2"], 20) == []
    # A reset, as the kernel sends it for a process that was killed.
    dies.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    dies.close()
    meeting.invite("x:1")
    again = visit(address, "algo-2")
    assert again.wait(20) == {"cluster": "x:1"}
    meeting.end("done", ["algo-2"], 0.1)
    assert meeting.num_cpus == 4
    assert said[0] == "algo-2 is here with 2 processors."


@pytest.mark.parametrize(
    "greeting", [b"", b"\n", b"GET / HTTP/1.1\r\n", b"[1]\n", b'{"secret": "of this job"}\n', b"x" * 9000]
)
def test_strangers_learn_nothing(address, greeting):
    """Whoever does not say the right thing is cut off; the hosts of the job do not notice."""
    meeting = Meeting(address, SECRET, lambda _: None)
    meeting.invite("x:1")
    with socket.create_connection(address, timeout=20) as stranger:
        stranger.sendall(greeting)
        try:
            stranger.shutdown(socket.SHUT_WR)
            assert stranger.recv(100) == b""
        except OSError:  # cut off before: what was sent beyond the limit was never read
            assert len(greeting) > 4096
    with pytest.raises(ConnectionError):
        visit(address, "algo-2", secret="of another job").wait(20)
    assert meeting.num_cpus == 0
    assert visit(address, "algo-2").wait(20) == {"cluster": "x:1"}


def test_no_leader_and_no_port_are_explained(address):
    with pytest.raises(TrainingError, match=r"algo-2 did not reach the leading host 127\.0\.0\.2.*log of that host"):
        visit(address, "algo-2", timeout_s=0)
    with socket.create_server(address), pytest.raises(TrainingError, match=r"cannot be used.*--port"):
        Meeting(address, SECRET, lambda _: None)

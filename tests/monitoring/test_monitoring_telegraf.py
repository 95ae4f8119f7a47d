"""Influx line protocol over UDP, byte for byte as the original sends it."""

from __future__ import annotations

import socket
from pathlib import Path

import pytest
from news import beginning, episode, news_of

from hotlap.monitoring.sink import News
from hotlap.monitoring.telegraf import TelegrafSink
from hotlap.records.metrics import TrialMetrics


@pytest.fixture
def receiver() -> socket.socket:
    """A socket that Telegraf could have."""
    found = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    found.bind(("127.0.0.1", 0))
    found.settimeout(60)
    return found


def sink(receiver: socket.socket, folder: Path) -> TelegrafSink:
    sink = TelegrafSink("localhost", receiver.getsockname()[1])
    sink.begin(beginning(folder))
    return sink


def test_each_episode_is_a_packet_with_a_point(receiver: socket.socket, tmp_path: Path):
    """Whole numbers as in the metrics files, names in order, blanks escaped; evaluations differ by their phase."""
    sink(receiver, tmp_path).send(news_of(0))
    packets = [receiver.recv(2048).decode() for _ in range(3)]
    assert packets == [
        r"dr_training_episodes,model=my\ model,phase=training,status=Off\ track,worker=0 "
        "elapsed_time=2267i,progress=31i,reward=28i\n",
        r"dr_training_episodes,model=my\ model,phase=training,status=Off\ track,worker=0 "
        "elapsed_time=2267i,progress=31i,reward=28i\n",
        r"dr_training_episodes,model=my\ model,phase=evaluation,status=Lap\ complete,worker=0 "
        "elapsed_time=2267i,progress=31i,reward=28i\n",
    ]


def test_workers_are_told_apart(receiver: socket.socket, tmp_path: Path):
    sink(receiver, tmp_path).send([News(0.0, episode(1, worker=3, status="crashed"))])
    assert b",status=Crashed,worker=3 " in receiver.recv(2048)


def test_each_trial_of_an_evaluation_is_a_packet_too(receiver: socket.socket, tmp_path: Path):
    """Its time holds the penalties; its resets are counted."""
    trial = TrialMetrics(
        start_time=0.0,
        end_time=14.8664,
        progress=100.0,
        status="lap_complete",
        trial=1,
        off_track_count=2,
        crash_count=1,
    )
    sink(receiver, tmp_path).send([News(0.0, trial)])
    assert receiver.recv(2048).decode() == (
        r"dr_eval_episodes,model=my\ model,status=Lap\ complete,worker=0 "
        "elapsed_time=14866i,progress=100i,reset_count=3i\n"
    )


def test_nobody_needs_to_listen(receiver: socket.socket, tmp_path: Path):
    """Packets to a port where nobody listens are lost, and that is all."""
    lonely = sink(receiver, tmp_path)
    receiver.close()
    for number in range(3):
        lonely.send(news_of(number))
    lonely.end()


def test_a_machine_that_does_not_exist_is_an_error_of_the_sink(tmp_path: Path):
    """Which is told once and tried again; see the courier."""
    sink = TelegrafSink("no-such-machine.invalid", 8092)
    sink.begin(beginning(tmp_path))
    with pytest.raises(OSError, match=r"[Nn]ame|nodename|host"):
        sink.send(news_of(0))

"""What stands between a training and a server: nothing waits, nothing is told twice, and what was told is in order."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest
from news import beginning, iteration

from hotlap.monitoring import courier
from hotlap.monitoring.courier import Courier
from hotlap.monitoring.discretion import plain
from hotlap.monitoring.sink import Beginning, News, Sink, only
from hotlap.records.events import IterationRecord


class Diary(Sink):
    """A sink that notes iterations while it is open, and raises while it is not."""

    name = "Diary"

    def __init__(self, *, is_open: bool = True) -> None:
        self.open = threading.Event()
        self.refused = threading.Event()
        self.noted: list[int] = []
        self.ends = 0
        if is_open:
            self.open.set()

    def begin(self, training: Beginning) -> None:
        self.model = training.model

    def send(self, news: list[News]) -> None:
        if not self.open.is_set():
            self.refused.set()
            raise ConnectionError("closed")
        self.noted += [record.iteration for _, record in only(IterationRecord, news)]

    def end(self) -> None:
        self.ends += 1


class Standstill(Diary):
    """A sink that does not return while it is closed."""

    def send(self, news: list[News]) -> None:
        self.refused.set()
        self.open.wait()
        super().send(news)


@pytest.fixture(autouse=True)
def _impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(courier, "FIRST_PAUSE_S", 0.01)


def finish(courier: Courier, seconds: float = 60.0) -> None:
    courier.end(time.monotonic() + seconds)
    courier.join()


def test_everything_arrives_once_and_in_order(tmp_path: Path):
    told: list[str] = []
    diary = Diary()
    courier = Courier(diary, beginning(tmp_path), told.append)
    for number in range(1000):
        courier.put([News(0.0, iteration(number))])
    finish(courier)
    assert diary.noted == list(range(1000))
    assert (diary.model, diary.ends, told) == ("my model", 1, [])


def test_a_server_that_comes_back_has_missed_nothing(tmp_path: Path):
    """One line when it is gone, one when it is back, however often it was tried in between."""
    told: list[str] = []
    diary = Diary(is_open=False)
    courier = Courier(diary, beginning(tmp_path), told.append)
    for number in range(10):
        courier.put([News(0.0, iteration(number))])
        diary.refused.wait()
        diary.refused.clear()
    diary.open.set()
    finish(courier)
    assert diary.noted == list(range(10))
    assert told == [
        "Diary takes nothing: ConnectionError: closed. It is tried again; nothing waits for it.",
        "Diary takes what it is told again.",
    ]


def test_who_stands_still_holds_nobody_up_and_holds_little(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The newest news are kept, the oldest are counted as lost."""
    monkeypatch.setattr(courier, "MAX_WAITING", 50)
    told: list[str] = []
    diary = Standstill(is_open=False)
    slow = Courier(diary, beginning(tmp_path), told.append)
    slow.put([News(0.0, iteration(0))])
    diary.refused.wait()
    for number in range(1, 1000):
        slow.put([News(0.0, iteration(number))])
    diary.open.set()
    finish(slow)
    assert diary.noted == [0, *range(951, 1000)]
    assert told == ["Diary was not told everything: 950 reports are lost. The model's files have all."]


@pytest.mark.parametrize("kind", [Diary, Standstill])
def test_the_end_waits_for_no_server_for_ever(tmp_path: Path, kind: type[Diary]):
    """Neither for one that refuses nor for one that stands still."""
    told: list[str] = []
    diary = kind(is_open=False)
    courier = Courier(diary, beginning(tmp_path), told.append)
    courier.put([News(0.0, iteration(0))])
    diary.refused.wait()
    finish(courier, 0.2)
    diary.open.set()
    assert told[-1] == "Diary was not told everything: 1 reports are lost. The model's files have all."
    assert diary.ends == 0


def test_errors_are_told_without_secrets(monkeypatch: pytest.MonkeyPatch):
    """Neither those of the environment nor those in addresses; and not at any length."""
    monkeypatch.setenv("WANDB_API_KEY", "0123456789abcdef")
    monkeypatch.setenv("HOME_TOWN", "Springfield")
    error = OSError("http://me:pass@host/x refused\nkey 0123456789abcdef in Springfield.")
    assert plain(error) == "OSError: http://…@host/x refused key … in Springfield"
    assert len(plain(OSError("x" * 5000))) < 250
    assert plain(KeyboardInterrupt()) == "KeyboardInterrupt"

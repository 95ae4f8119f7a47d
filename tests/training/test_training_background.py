"""What is done beside the training: one thing at a time, and no error is lost."""

from __future__ import annotations

import threading

import pytest

from hotlap.training.background import Background


def test_things_are_done_one_after_the_other():
    background = Background()
    release, done = threading.Event(), []

    def first() -> None:
        release.wait(10)
        done.append("first")

    background.start(first)
    assert background.busy
    assert not done
    threading.Timer(0.05, release.set).start()
    background.start(lambda: done.append("second"))  # waits for the first
    assert done[0] == "first"
    background.wait()
    assert done == ["first", "second"]
    assert not background.busy


def test_an_error_comes_to_whoever_waits_and_only_once():
    background = Background()
    background.start(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        background.wait()
    background.wait()
    background.start(lambda: 1 // 0)
    with pytest.raises(ZeroDivisionError):
        background.start(lambda: None)

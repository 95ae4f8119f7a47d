"""What runs now: the call of a reward function, and the threads that it has started."""

from __future__ import annotations

import sys
import threading
from dataclasses import dataclass
from pathlib import Path
from types import FrameType

Call = tuple[object, str, int]
"""Where the run stands, the folder of the user's files, and the thread that calls, as of `threading.get_ident`."""


class Stopped(BaseException):
    """The function was stopped, or did what it must not; not an `Exception`, so that fewer functions swallow it."""


class Running:
    """What a reward function sets around each call, which must cost next to nothing."""

    __slots__ = ("active", "armed", "call", "errors", "output")

    def __init__(self) -> None:
        self.active = False
        self.call: Call = (None, "", 0)
        """The latest."""
        self.armed = False
        """Whether the processor's clock runs out if the watchdog does not wind it; see `hotlap.rewards.guard`."""
        self.output: object = None
        """The `sys.stdout` whose lines are counted."""
        self.errors: object = None
        """The `sys.stderr` whose lines are counted."""


running = Running()


@dataclass
class UserThread:
    """A thread that the function started."""

    thread: threading.Thread
    call: Call
    """The one that started it."""
    where: str
    told: bool = False
    """Whether it was named as one that stays."""


user_threads: list[UserThread] = []


def in_user_code() -> bool:
    """Whether this thread runs a reward function, or was started by one."""
    thread = threading.get_ident()
    return (running.active and thread == running.call[2]) or any(thread == each.thread.ident for each in user_threads)


def place(thread: int | None = None) -> str:
    """The innermost line of the user's files that a thread (this one) is in, as ``FILE, line 7``."""
    folder = running.call[1]
    frame: FrameType | None = sys._getframe() if thread is None else sys._current_frames().get(thread)
    while frame is not None:
        if str(Path(frame.f_code.co_filename).parent) == folder:
            return f"{frame.f_code.co_filename}, line {frame.f_lineno}"
        frame = frame.f_back
    return folder

"""Protection of a process from the reward function that it calls.

A user's function may loop for ever, end the process, start others, fill the memory, or print without end. While it runs
(`running`, and only then) the ways to end or copy a process raise `Stopped` instead, and what it prints is counted. A
thread of ours, the watchdog, looks ten times a second whether the call has changed; it ends one that takes longer than
`limit_s`, or that fills the memory, with `Stopped` in the thread that called. Who called makes a `RewardError` of it.

In the main thread a signal brings the exception, which also ends a sleep, a read, or a regular expression. On Windows,
and in other threads, it comes when the function next executes a line of Python. What swallows it gets it again; who
does not stop within `GRACE_S` ends the process, with the same sentence on standard error. Compiled code that keeps
Python's lock outside the main thread is beyond a process's own reach: the fleet ends such a worker. Growth of memory is
seen on Linux only; elsewhere Python's MemoryError remains.

One call at a time is watched. Calls in several threads at once are allowed, but only the latest is protected.
"""

from __future__ import annotations

import _thread
import atexit
import builtins
import contextlib
import ctypes
import dis
import functools
import multiprocessing.process
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

LIMIT_S: Final = 30.0
GRACE_S: Final = 5.0  # from the first exception until the process is ended
MAX_LINES: Final = 100
MAX_LINE: Final = 1000  # characters
EXIT_CODE: Final = 2  # of a process that has to be ended, as of every command after an error of the user's
_POLL_S: Final = 0.1
_LEAST_LEFT: Final = 0.08  # of all memory; a call that grows while less is left is ended
_SIGNAL: Final = getattr(signal, "SIGVTALRM", None)

_exit = os._exit
_print = builtins.print


class Stopped(BaseException):
    """The function was stopped, or did what it must not; not an `Exception`, so that fewer functions swallow it."""


class Running:
    """What runs now. A reward function sets these around each call, which must cost next to nothing."""

    __slots__ = ("active", "folder", "number", "thread", "where")

    def __init__(self) -> None:
        self.active = False
        self.number = 0
        """Counts calls."""
        self.thread = 0
        """The one that calls, as of `threading.get_ident`."""
        self.folder = ""
        """Where the user's files lie."""
        self.where: object = None
        """Where the run stands, for errors."""


running = Running()


class _Watch:
    """The settings and the memory of the process's only watchdog."""

    def __init__(self) -> None:
        self.limit_s = LIMIT_S
        self.max_lines = MAX_LINES
        self.installed = 0  # process that the watchdog runs in: a child made by fork has none
        self.signals = False  # whether exceptions come to the main thread by a signal
        self.number = -1  # the call seen last
        self.since = 0.0  # when it was first seen
        self.memory = 0  # of the process then
        self.stopping = -1  # the call that is being stopped
        self.why = ""
        self.sentence: str | None = None
        self.lines = 0  # printed
        self.threads: list[tuple[threading.Thread, int, str]] = []


_watch = _Watch()


def configure(*, limit_s: float = LIMIT_S, max_lines: int = MAX_LINES) -> None:
    """Begin a job in this process: set the limits and count from zero.

    Args:
        limit_s: Longest time that a call, or the loading of the file, may take [s].
        max_lines: How many lines the function may print.
    """
    _watch.limit_s, _watch.max_lines, _watch.lines = limit_s, max_lines, 0
    install()


def install() -> None:
    """Protect this process from now on; the first reward function that is loaded does so. Cheap when done before."""
    if _watch.installed != os.getpid():
        first = not _watch.installed
        _watch.installed = os.getpid()
        if first:
            _replace_functions()
        threading.Thread(target=_look_after, name="reward watchdog", daemon=True).start()
    if _SIGNAL is None or _watch.signals or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(_SIGNAL) is signal.SIG_DFL:
        signal.signal(_SIGNAL, _on_signal)
        # Python's lock may be kept from the watchdog; the processor's clock ticks nevertheless.
        signal.setitimer(signal.ITIMER_VIRTUAL, 1.0, 1.0)
        # Python takes its handlers away when it ends; a tick after that would end the process with an error.
        atexit.register(_end_ticks)
        _watch.signals = True


@contextlib.contextmanager
def protected(path: Path, where: object = None) -> Iterator[None]:
    """Within this a user's file runs, such as when it is loaded."""
    install()
    outer = running.active, running.folder, running.where, running.thread
    running.folder, running.where, running.thread = str(path.parent), where, threading.get_ident()
    running.number += 1
    running.active = True
    try:
        yield
    finally:
        running.active, running.folder, running.where, running.thread = outer


def overdue() -> str | None:
    """What the call that is being stopped at the moment does, as a sentence with file and line; None: none is."""
    return _watch.sentence if running.active and _watch.stopping == running.number else None


def explained(error: Stopped) -> str:
    """What the function did, to follow file, line and step."""
    return str(error) or _watch.why  # those that are raised from outside bear no text


def is_interrupt(error: BaseException, folder: Path) -> bool:
    """Whether an exception is somebody's Ctrl-C, and not a ``raise KeyboardInterrupt`` of the files in ``folder``."""
    if not isinstance(error, KeyboardInterrupt):
        return False
    step = error.__traceback__
    while step is not None and step.tb_next is not None:
        step = step.tb_next
    if step is None or Path(step.tb_frame.f_code.co_filename).parent != folder:
        return True
    code = step.tb_frame.f_code.co_code
    return not (code[step.tb_lasti] == dis.opmap["RAISE_VARARGS"] and code[step.tb_lasti + 1] > 0)


# What the function calls


def _in_user_code() -> bool:
    if not running.active:
        return False
    thread = threading.get_ident()
    return thread == running.thread or any(thread == each.ident for each, _, _ in _watch.threads)


def _stop(what: str) -> NoReturn:
    raise Stopped(what)


def _always(*_: object, **__: object) -> bool:
    return True


def _replace_functions() -> None:
    """Put ours in the place of what a reward function must not call; for everybody else they do as before."""

    def refuse(module: Any, name: str, what: str, applies: Callable[..., bool] = _always) -> None:
        original = getattr(module, name, None)
        if original is None:
            return

        @functools.wraps(original)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if _in_user_code() and applies(*args, **kwargs):
                _stop(what)
            return original(*args, **kwargs)

        setattr(module, name, guarded)

    ends = "ends the process that calls it"
    copies = "starts a process; a reward function runs in the worker's own"

    def is_own(pid: int, *_: Any) -> bool:
        group = os.getpgrp() if hasattr(os, "getpgrp") else 0
        return pid in (0, -1, os.getpid(), group, -group)

    for name in ("_exit", "abort"):
        refuse(os, name, f"os.{name}() {ends}")
    refuse(os, "kill", f"os.kill() {ends}", is_own)
    refuse(os, "killpg", f"os.killpg() {ends}", is_own)
    refuse(signal, "raise_signal", f"signal.raise_signal() {ends}")
    refuse(_thread, "interrupt_main", f"_thread.interrupt_main() {ends}")
    for name in ("fork", "forkpty", "posix_spawn", "posix_spawnp"):
        refuse(os, name, f"os.{name}() {copies}")
    for name in ("execv", "execve"):  # the others call these
        refuse(os, name, f"os.{name}() puts another program in the place of the process that calls it")
    refuse(multiprocessing.process.BaseProcess, "start", f"multiprocessing {copies}")
    refuse(builtins, "input", "input() waits for somebody to type, and there is nobody")

    begin = threading.Thread.start

    @functools.wraps(begin)
    def start(self: threading.Thread) -> None:
        if _in_user_code():
            self.daemon = True  # it never keeps the process from ending
            _watch.threads.append((self, running.number, place()))
        begin(self)

    threading.Thread.start = start  # type: ignore[method-assign]
    builtins.print = _counted_print


@functools.wraps(_print)
def _counted_print(
    *values: Any, sep: str | None = None, end: str | None = None, file: Any = None, **flush: Any
) -> None:
    if not running.active or not (file is None or file in (sys.stdout, sys.stderr)) or not _in_user_code():
        _print(*values, sep=sep, end=end, file=file, **flush)
        return
    if _watch.lines > _watch.max_lines:
        return
    text = (" " if sep is None else sep).join(map(str, values))
    lines = text.split("\n")
    for k, line in enumerate(lines):
        _watch.lines += 1
        if _watch.lines > _watch.max_lines:
            _print(
                f"[The reward function has printed {_watch.max_lines} lines here, the last at {place()}; what it "
                "prints from now on is not shown.]",
                file=file,
            )
            return
        line_end = end if k == len(lines) - 1 else "\n"
        _print(line if len(line) <= MAX_LINE else line[:MAX_LINE] + "…", end=line_end, file=file, **flush)


# The watchdog


def place(thread: int | None = None) -> str:
    """The innermost line of the user's files that a thread (this one) is in, as ``FILE, line 7``."""
    frame: FrameType | None = sys._getframe() if thread is None else sys._current_frames().get(thread)
    while frame is not None:
        if str(Path(frame.f_code.co_filename).parent) == running.folder:
            return f"{frame.f_code.co_filename}, line {frame.f_lineno}"
        frame = frame.f_back
    return running.folder


def _look_after() -> None:
    process = os.getpid()
    while process == os.getpid():
        time.sleep(_POLL_S)
        _name_threads_that_stay()
        if running.active:
            _look_at(running.number)
        else:
            _watch.number = -1


def _look_at(number: int) -> None:
    """End the call that runs if it has to be."""
    now = time.monotonic()
    if number != _watch.number:
        _watch.number, _watch.since, _watch.memory = number, now, _own_memory()
        return
    seconds = now - _watch.since
    if _watch.stopping != number:
        why = _reason(seconds)
        if why is None:
            return
        _begin_to_stop(number, why)
        _watch.since = now - _watch.limit_s  # from here on it has its grace
    elif seconds > _watch.limit_s + GRACE_S:
        os.write(2, f"\nhotlap: {_watch.sentence} It does not let itself be stopped: the process ends.\n".encode())
        _exit(EXIT_CODE)
    _raise_in(running.thread)


def _reason(seconds: float) -> str | None:
    if seconds > _watch.limit_s:
        return _too_long()
    used = _own_memory()
    grown = used - _watch.memory
    if grown > 1 << 26:  # less is the business of nobody
        left, total = _memory_left()
        if left < max(_LEAST_LEFT * total, grown * 0.1):
            return (
                f"the reward function has filled the memory: {grown / 2**30:.1f} GiB in one call, and "
                f"{left / 2**30:.1f} GiB are left"
            )
    return None


def _too_long() -> str:
    return (
        f"the reward function has not returned after {_watch.limit_s:g} s; expected an answer within milliseconds; "
        "look for a loop that does not end"
    )


def _begin_to_stop(number: int, why: str) -> None:
    where = running.where
    step = f", episode {where[0]}, step {int(where[1])}" if isinstance(where, tuple) else f", {where}" if where else ""
    _watch.why = why
    _watch.sentence = f"{place(running.thread)}{step}: {why}."
    _watch.stopping = number


def _end_ticks() -> None:
    signal.setitimer(signal.ITIMER_VIRTUAL, 0.0)
    assert _SIGNAL is not None
    signal.signal(_SIGNAL, signal.SIG_IGN)


def _raise_in(thread: int) -> None:
    """Raise `Stopped` in a thread."""
    if _watch.signals and thread == threading.main_thread().ident:
        assert _SIGNAL is not None
        signal.pthread_kill(thread, _SIGNAL)
    else:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Stopped))


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    """In the main thread: by the watchdog, or by the clock of the processor while the watchdog cannot run."""
    if not running.active or running.thread != threading.get_ident():
        return
    if _watch.stopping != running.number:
        if _watch.number != running.number:
            _watch.number, _watch.since, _watch.memory = running.number, time.monotonic(), _own_memory()
        if time.monotonic() - _watch.since <= _watch.limit_s:
            return
        _begin_to_stop(running.number, _too_long())
    raise Stopped(_watch.why)


def _name_threads_that_stay() -> None:
    for entry in list(_watch.threads):
        thread, number, where = entry
        if not thread.is_alive() and thread.ident is not None:
            _watch.threads.remove(entry)
        elif not running.active or running.number > number + 1:
            _watch.threads.remove(entry)
            if futures := sys.modules.get("concurrent.futures.thread"):
                futures._threads_queues.pop(thread, None)  # at exit it would be waited for
            os.write(
                2,
                f"hotlap: {where}: the reward function has started a thread that goes on after the call. It slows the "
                "training down; end it in the same call.\n".encode(),
            )


def _own_memory() -> int:
    """Resident memory of this process [bytes]; 0 where it is not told."""
    try:
        with open("/proc/self/statm", "rb") as file:
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE")
    except (OSError, ValueError, IndexError):
        return 0


def _memory_left() -> tuple[int, int]:
    """Memory that is left to this process and that there is in all [bytes]: of the machine, or of its container."""
    left, total = sys.maxsize, 0
    with contextlib.suppress(OSError, ValueError, KeyError), open("/proc/meminfo", encoding="ascii") as file:
        kib = {line.partition(":")[0]: int(line.split()[1]) for line in file}
        left, total = kib["MemAvailable"] << 10, kib["MemTotal"] << 10
    for limit_file, used_file in (
        ("/sys/fs/cgroup/memory.max", "/sys/fs/cgroup/memory.current"),
        ("/sys/fs/cgroup/memory/memory.limit_in_bytes", "/sys/fs/cgroup/memory/memory.usage_in_bytes"),
    ):
        with contextlib.suppress(OSError, ValueError):  # "max": there is no limit
            limit = int(Path(limit_file).read_text())
            if limit < total:
                total, left = limit, min(left, limit - int(Path(used_file).read_text()))
    return left, total

"""Protection of a process from the reward function that it calls.

A user's function may loop for ever, end the process, copy it, fill the memory, or print without end. While it runs
(`running`, and only then) the ways to end or copy a process raise `Stopped` instead, and the lines are counted that it
writes to standard output and error, in whatever way. A thread of ours, the watchdog, looks ten times a second whether
the call has changed; it ends one that takes longer than `limit_s`, or that fills the memory, with `Stopped` in the
thread that called. Who called makes a `RewardError` of it.

In the main thread a signal brings the exception, which also ends a sleep, a read, or a regular expression. On Windows,
and in other threads, it comes when the function next executes a line of Python. What swallows it gets it again; who
does not stop within `GRACE_S` ends the process, with the same sentence on standard error. Compiled code that keeps
Python's lock, such as ``sum(range(10**12))``, keeps the watchdog from running too: by the processor's clock the stacks
of all threads are written to standard error, and the process ends, or its fleet ends it.

One call at a time is watched. Calls in several threads at once are allowed, but only the latest is protected.
"""

from __future__ import annotations

import _thread
import atexit
import builtins
import contextlib
import ctypes
import dis
import faulthandler
import functools
import multiprocessing.process
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any, Final, NoReturn

import psutil

from hotlap.resources import memory_left
from hotlap.rewards.printed_lines import MAX_LINES, printed_lines
from hotlap.rewards.running import Call, Stopped, UserThread, in_user_code, place, running, user_threads

LIMIT_S: Final = 30.0
GRACE_S: Final = 5.0  # from the first exception until the process is ended
EXIT_CODE: Final = 2  # of a process that has to be ended, as of every command after an error of the user's
MAX_THREADS: Final = 40  # that one function may leave running; a pool of Python's has at most 32
_POLL_S: Final = 0.1
_LEAST_LEFT: Final = 0.08  # of all memory; a call that grows while less is left is ended …
_KEPT: Final = 0.25  # … or one of a process that has grown by so much of it, though little in each call
_SIGNAL: Final = getattr(signal, "SIGVTALRM", None)
_STUCK_SIGNAL: Final = getattr(signal, "SIGPROF", None)

_TOO_LONG: Final = "the reward function has not returned"

_exit = os._exit


class _Watch:
    """The settings and the memory of the process's only watchdog."""

    def __init__(self) -> None:
        self.limit_s = LIMIT_S
        self.most = sys.maxsize  # memory that the process may have
        self.installed = 0  # process that the watchdog runs in: a child made by fork has none
        self.signals = False  # whether exceptions come to the main thread by a signal
        self.call: object = None  # the one seen last
        self.since = 0.0  # when it was first seen
        self.memory = 0  # of the process then
        self.first_memory = 0  # and when it was first protected
        self.full = ""  # why no further call may begin
        self.stopping: object = None  # the call that is being stopped
        self.why = ""
        self.sentence: str | None = None
        self.wound: object = None  # the latest call when the clock was wound
        self.winds = False  # whether the processor's clock is ours
        self.ends_stuck = True  # whether a process ends that compiled code keeps
        self.job: object = None


_watch = _Watch()


def configure(
    *,
    limit_s: float = LIMIT_S,
    max_lines: int = MAX_LINES,
    memory: int | None = None,
    job: object = None,
    ends_stuck: bool | None = None,
) -> None:
    """Set the limits of what is called in this process from now on.

    Args:
        limit_s: Longest time that a call, or the loading of the file, may take [s].
        max_lines: How many lines a job may write.
        memory: How much the process may grow from now on [bytes]; None: as far as the machine allows.
        job: The count begins anew when this is not equal to what it was.
        ends_stuck: Whether a process ends that compiled code keeps, as when nobody else would end it; None: as it was.
    """
    _watch.limit_s, printed_lines.limit = limit_s, max_lines
    _count_growth_from_now()
    _watch.most = sys.maxsize if memory is None else _own_memory() + memory
    if ends_stuck is not None:
        _watch.ends_stuck = ends_stuck
    if job != _watch.job:
        _watch.job = job
        printed_lines.forget()
    _disarm()
    install()


def _count_growth_from_now() -> None:
    """A job begins, or its file is loaded: what the process holds already is not the function's."""
    _watch.first_memory, _watch.full = _own_memory(), ""


def install() -> None:
    """Protect this process from now on; the first reward function that is loaded does so. Cheap when done before."""
    if _watch.installed != os.getpid():
        first = not _watch.installed
        _watch.installed = os.getpid()
        if first:
            _replace_functions()
            atexit.register(_stop_clocks)
        _disarm()
        threading.Thread(target=_look_after, name="reward watchdog", daemon=True).start()
    if _SIGNAL is None or _watch.signals or threading.current_thread() is not threading.main_thread():
        return
    if signal.getsignal(_SIGNAL) is signal.SIG_DFL:
        signal.signal(_SIGNAL, _on_signal)
        # Python's lock may be kept from the watchdog; the processor's clock ticks nevertheless.
        signal.setitimer(signal.ITIMER_VIRTUAL, 1.0, 1.0)
        _watch.signals = True


def is_full() -> bool:
    """Whether the process has grown beyond what `configure` has set."""
    return _watch.most < sys.maxsize and _own_memory() > _watch.most


def prepare() -> None:
    """Before a call, unless ``running`` says that it is done: count what the streams of now write, wind the clock.

    Raises:
        Stopped: If calls have filled the memory.
    """
    if _watch.full:
        _stop(_watch.full)
    running.output, running.errors = sys.stdout, sys.stderr
    for stream in (sys.stdout, sys.stderr):
        if stream is not None:
            printed_lines.count(stream)
    # The handler runs in spite of Python's lock. Where somebody else, such as a profiler, has one, it is left alone.
    if not running.armed and _STUCK_SIGNAL is not None and signal.getsignal(_STUCK_SIGNAL) is signal.SIG_DFL:
        faulthandler.unregister(_STUCK_SIGNAL)
        faulthandler.register(_STUCK_SIGNAL, file=2, chain=_watch.ends_stuck)
        signal.setitimer(signal.ITIMER_PROF, _watch.limit_s + GRACE_S)
        _watch.winds = True
    running.armed = True


@contextlib.contextmanager
def protected(path: Path, where: object = None) -> Iterator[None]:
    """Within this a user's file runs, such as when it is loaded."""
    install()
    _count_growth_from_now()
    prepare()
    outer = running.active, running.call
    running.call = where, str(path.parent), threading.get_ident()
    running.active = True
    try:
        yield
    finally:
        running.active, running.call = outer


def overdue() -> str | None:
    """What the call that is being stopped at the moment does, as a sentence with file and line; None: none is."""
    return _watch.sentence if running.active and _watch.stopping is running.call else None


def explained(error: Stopped) -> str:
    """What the function did, to follow file, line and step."""
    return str(error) or _watch.why  # those that are raised from outside bear no text


def is_too_long(error: BaseException) -> bool:
    """Whether it stopped a call that did not return."""
    return isinstance(error, Stopped) and explained(error).startswith(_TOO_LONG)


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


def _stop(what: str) -> NoReturn:
    raise Stopped(what)


def _replace_functions() -> None:
    """Put ours in the place of what a reward function must not call; for everybody else they do as before."""

    def refuse(module: Any, name: str, what: str) -> None:
        original = getattr(module, name, None)
        if original is None:
            return

        @functools.wraps(original)
        def guarded(*args: Any, **kwargs: Any) -> Any:
            if in_user_code():
                _stop(what)
            return original(*args, **kwargs)

        setattr(module, name, guarded)

    ends = "ends the process that calls it"
    copies = "starts a process; a reward function runs in the worker's own"

    for name in ("_exit", "abort"):
        refuse(os, name, f"os.{name}() {ends}")
    for name in ("kill", "killpg"):
        refuse(os, name, f"os.{name}() ends processes; a reward function must leave them alone")
    for name in ("raise_signal", "pthread_kill"):
        refuse(signal, name, f"signal.{name}() {ends}")
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
        if in_user_code():
            left = sum(each.thread.is_alive() for each in user_threads)
            if left >= MAX_THREADS:
                _stop(
                    f"starts a thread, but {left} that it started before still run; end each in the call that starts it"
                )
            self.daemon = True  # it never keeps the process from ending
            user_threads.append(UserThread(self, running.call, place()))
        begin(self)

    threading.Thread.start = start  # type: ignore[method-assign]


# The watchdog


def _look_after() -> None:
    process = os.getpid()
    while process == os.getpid():
        time.sleep(_POLL_S)
        with contextlib.suppress(MemoryError):  # what looks after the memory survives the want of it
            _name_threads_that_stay()
            _wind_clock()
            _notice_growth()
            if running.active:
                _look_at(running.call)
            else:
                _watch.call = None


def _wind_clock() -> None:
    """Who cannot do so for as long as a call may take is kept from it by compiled code; nobody is while none calls."""
    if not _watch.winds or not running.armed:
        return
    idle = not running.active and running.call is _watch.wound
    _watch.wound = running.call
    signal.setitimer(signal.ITIMER_PROF, 0 if idle else _watch.limit_s + GRACE_S)
    running.armed = not idle


def _disarm() -> None:
    """Let the next call be prepared, and no clock run until then: it would end a process that does other work."""
    if _watch.winds:
        signal.setitimer(signal.ITIMER_PROF, 0)
    running.armed = False


def _stop_clocks() -> None:
    """Before Python ends: it gives the signals back to the system, which would end the process."""
    if _watch.signals:
        assert _SIGNAL is not None
        signal.setitimer(signal.ITIMER_VIRTUAL, 0)
        signal.signal(_SIGNAL, signal.SIG_IGN)  # a last tick may be under way
    if _watch.winds:
        _watch.winds = False
        signal.setitimer(signal.ITIMER_PROF, 0)


def _look_at(call: Call) -> None:
    """End the call that runs if it has to be."""
    now = time.monotonic()
    if call is not _watch.call:
        _watch.call, _watch.since, _watch.memory = call, now, _own_memory()
        return
    seconds = now - _watch.since
    if _watch.stopping is not call:
        why = _reason(seconds)
        if why is None:
            return
        _begin_to_stop(call, why)
        _watch.since = now - _watch.limit_s  # from here on it has its grace
    elif seconds > _watch.limit_s + GRACE_S:
        os.write(2, f"\nhotlap: {_watch.sentence} It does not let itself be stopped: the process ends.\n".encode())
        _exit(EXIT_CODE)
    _raise_in(call[2])


def _reason(seconds: float) -> str | None:
    if seconds > _watch.limit_s:
        return _too_long()
    used = _own_memory()
    if used > _watch.most:
        return f"the reward function has filled the memory: the process has {used / 2**30:.1f} GiB"
    grown = used - _watch.memory
    if grown > 1 << 26:  # less is the business of nobody
        left, total = memory_left()
        if left < max(_LEAST_LEFT * total, grown * 0.1):
            return (
                f"the reward function has filled the memory: {grown / 2**30:.1f} GiB in one call, and "
                f"{left / 2**30:.1f} GiB are left"
            )
    return None


def _notice_growth() -> None:
    """Let no further call begin where many calls, each of which takes too little time to be seen, fill the memory."""
    if _watch.full or not running.armed:
        return
    grown = _own_memory() - _watch.first_memory
    if grown < 1 << 28:
        return
    left, total = memory_left()
    if grown > _KEPT * total and left < _LEAST_LEFT * total:
        _watch.full = (
            f"the memory is full: the process has grown by {grown / 2**30:.1f} GiB, and {left / 2**30:.1f} GiB are "
            "left; look for what the reward function keeps from call to call, such as a list that grows"
        )
        _disarm()


def _too_long() -> str:
    return f"{_TOO_LONG} after {_watch.limit_s:g} s; expected an answer within milliseconds"


def _begin_to_stop(call: Call, why: str) -> None:
    where, _, thread = call
    step = f", episode {where[0]}, step {int(where[1])}" if isinstance(where, tuple) else f", {where}" if where else ""
    _watch.why = why
    _watch.sentence = f"{place(thread)}{step}: {why}."
    _watch.stopping = call


def _raise_in(thread: int) -> None:
    """Raise `Stopped` in a thread."""
    if _watch.signals and thread == threading.main_thread().ident:
        assert _SIGNAL is not None
        signal.pthread_kill(thread, _SIGNAL)
    else:
        ctypes.pythonapi.PyThreadState_SetAsyncExc(ctypes.c_ulong(thread), ctypes.py_object(Stopped))


def _on_signal(_number: int, _frame: FrameType | None) -> None:
    """In the main thread: by the watchdog, or by the clock of the processor while the watchdog cannot run."""
    call = running.call
    if not running.active or call[2] != threading.get_ident():
        return
    if _watch.stopping is not call:
        if _watch.call is not call:
            _watch.call, _watch.since, _watch.memory = call, time.monotonic(), _own_memory()
        if time.monotonic() - _watch.since <= _watch.limit_s:
            return
        _begin_to_stop(call, _too_long())
    raise Stopped(_watch.why)


def _name_threads_that_stay() -> None:
    for each in list(user_threads):
        if not each.thread.is_alive() and each.thread.ident is not None:
            user_threads.remove(each)
        elif not each.told and (not running.active or running.call is not each.call):
            told = any(other.told and other.where == each.where for other in user_threads)
            each.told = True
            if futures := sys.modules.get("concurrent.futures.thread"):
                futures._threads_queues.pop(each.thread, None)  # at exit it would be waited for
            if told:  # the same line has left one before
                continue
            os.write(
                2,
                f"hotlap: {each.where}: the reward function has started a thread that goes on after the call. It slows "
                "the training down; end it in the same call.\n".encode(),
            )


def _own_memory() -> int:
    """Resident memory of this process [bytes]."""
    return int(_process(os.getpid()).memory_info().rss)


@functools.cache
def _process(pid: int) -> psutil.Process:
    """By its number, as a child made by fork has another; making it takes three times as long as asking it."""
    return psutil.Process(pid)

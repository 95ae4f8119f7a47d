"""Check a reward function in a process of its own, which is ended in time whatever the function does."""

from __future__ import annotations

import contextlib
import faulthandler
import json
import os
import pickle
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from hotlap.rewards import guard
from hotlap.rewards.check import RewardReport, check_reward
from hotlap.rewards.practice import Episode
from hotlap.rewards.source_check import Problem
from hotlap.unfinished import scratch_folder, write_whole

CALL_S = 2.5  # a call that takes longer is ended
CHECK_S = 8.0  # from which on the process tells where it is and ends
KILL_S = 9.0
MEMORY = 2 << 30  # [bytes] beyond what the process has when it begins
MAX_PRINTED = 1 << 24  # [bytes]
SHOWN_LINES = 10


class _Route:
    """What `RewardParams` needs of a track, without what it stands on."""

    def __init__(self, center: Any, length: float) -> None:
        self.center, self.length = center, length


def check_watched(
    path: str | Path,
    races: Mapping[str, Sequence[Episode]],
    routes: Sequence[Any],
    *,
    needed: Sequence[str] = (),
    profile: bool = False,
) -> RewardReport:
    """`check_reward` in a child process; it takes no longer than about `KILL_S`.

    What ends the child is an error of the report, with the line where the function was if that is known.
    """
    with scratch_folder() as folder:
        plain = [_Route(route.center, route.length) for route in routes]
        (folder / "job").write_bytes(pickle.dumps((str(path), dict(races), plain, tuple(needed), profile)))
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            child = subprocess.Popen(
                [sys.executable, "-P", "-c", "from hotlap.rewards.watched import _run; _run()", str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            code = _ended(child, (folder / "out", folder / "err"))
        report = _result(folder, str(path), code)
        with open(folder / "out", "rb") as out:
            lines = out.read(MAX_PRINTED).decode("utf-8", errors="replace").splitlines()
        report.printed, report.num_printed = [line[:200] for line in lines[:SHOWN_LINES]], len(lines)
        return report


def _ended(child: subprocess.Popen[bytes], outputs: Sequence[Path]) -> int | None:
    """Wait for the child, then end what it has started; its exit code, or None if it had to be ended."""
    started: set[psutil.Process] = set()
    end = time.monotonic() + KILL_S
    try:
        process = psutil.Process(child.pid)
        while time.monotonic() < end and all(output.stat().st_size <= MAX_PRINTED for output in outputs):
            with contextlib.suppress(psutil.Error):  # it has just ended
                started.update(process.children(recursive=True))
            with contextlib.suppress(subprocess.TimeoutExpired):
                return child.wait(0.1)
        return None
    finally:
        child.kill()
        child.wait()
        _end(started)


def _end(processes: Iterable[psutil.Process]) -> None:
    for process in processes:
        with contextlib.suppress(psutil.Error):
            process.kill()


def _result(folder: Path, path: str, code: int | None) -> RewardReport:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return RewardReport.from_dict(json.loads((folder / "report.json").read_bytes()))
    with open(folder / "err", "rb") as err:
        err.seek(-min(20_000, os.fstat(err.fileno()).st_size), os.SEEK_END)
        told = err.read().decode("utf-8", errors="replace")
    said = re.findall(r"^hotlap: (.*)$", told, flags=re.MULTILINE)
    file = Path(path).absolute()
    at = [int(line) for name, line in re.findall(r'File "(.+?)", line (\d+)', told) if Path(name).parent == file.parent]
    where = f"{file}, line {at[0]}" if at else str(file)
    if said:
        message = said[-1]
    elif code is None or "Timeout (" in told:
        message = (
            f"{where}: the reward function has not come to an end after {CHECK_S:g} s; expected an answer within "
            "milliseconds; look for a loop that does not end, or for something that it waits for."
        )
    else:
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        message = (
            f"{where}: the reward function has ended the process that called it ({how}); expected it to return a "
            "number. It may have filled the memory, or called something that exits."
        )
    return RewardReport(path, problems=[Problem("error", message, at[0] if at else None)])


def _run() -> None:
    """The child."""
    folder = Path(sys.argv[1])
    faulthandler.enable()
    faulthandler.dump_traceback_later(CHECK_S, exit=True)
    _limit_memory()
    path, races, routes, needed, profile = pickle.loads((folder / "job").read_bytes())
    # Importing large libraries takes longer than any call should.
    guard.configure(limit_s=CALL_S, max_lines=1000, memory=MEMORY)
    report = check_reward(path, races, routes, needed=needed, profile=profile)
    sys.stdout.flush()
    write_whole(folder / "report.json", json.dumps(report.to_dict()).encode(), sync=False)
    _end(psutil.Process().children(recursive=True))
    os._exit(0)  # threads of the function are not waited for


def _limit_memory() -> None:
    """Where the system does so itself; elsewhere the guard sees it a little later."""
    try:
        import resource
    except ImportError:  # Windows
        return
    if not sys.platform.startswith("linux"):
        return
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_PRINTED, MAX_PRINTED))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

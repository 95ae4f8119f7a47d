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
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from hotlap.rewards import guard
from hotlap.rewards.check import RewardReport, check_reward
from hotlap.rewards.practice import Episode
from hotlap.rewards.source_check import Problem

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
    with tempfile.TemporaryDirectory(prefix="hotlap-check-") as name:
        folder = Path(name)
        plain = [_Route(route.center, route.length) for route in routes]
        (folder / "job").write_bytes(pickle.dumps((str(path), dict(races), plain, tuple(needed), profile)))
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            child = subprocess.Popen(
                [sys.executable, "-P", "-c", "from hotlap.rewards.watched import _run; _run()", name],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )
            try:
                code = child.wait(KILL_S)
            except subprocess.TimeoutExpired:
                code = None
            finally:
                with contextlib.suppress(ProcessLookupError, PermissionError):  # and what it started
                    os.killpg(child.pid, signal.SIGKILL)
                child.wait()
        report = _result(folder, str(path), code)
        lines = (folder / "out").read_bytes()[:MAX_PRINTED].decode("utf-8", errors="replace").splitlines()
        report.printed, report.num_printed = [line[:200] for line in lines[:SHOWN_LINES]], len(lines)
        return report


def _result(folder: Path, path: str, code: int | None) -> RewardReport:
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return RewardReport.from_dict(json.loads((folder / "report.json").read_bytes()))
    told = (folder / "err").read_bytes()[-20_000:].decode("utf-8", errors="replace")
    said = re.findall(r"^hotlap: (.*)$", told, flags=re.MULTILINE)
    file = Path(path).absolute()
    at = [int(line) for name, line in re.findall(r'File "(.+?)", line (\d+)', told) if Path(name).parent == file.parent]
    where = f"{file}, line {at[0]}" if at else str(file)
    if said:
        message = said[-1]
    elif code is None or (at and code >= 0):
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
    guard.configure(limit_s=CALL_S, max_lines=1000)
    report = check_reward(path, races, routes, needed=needed, profile=profile)
    sys.stdout.flush()
    done = folder / "report.json"
    done.with_suffix(".part").write_text(json.dumps(report.to_dict()))
    done.with_suffix(".part").replace(done)
    os._exit(0)  # threads of the function are not waited for


def _limit_memory() -> None:
    try:
        import resource
    except ImportError:  # Windows
        return
    try:
        used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    except OSError:
        return
    resource.setrlimit(resource.RLIMIT_AS, (used + MEMORY, used + MEMORY))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_PRINTED, MAX_PRINTED))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

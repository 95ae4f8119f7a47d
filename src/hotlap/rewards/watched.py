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
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import psutil

from hotlap.rewards import guard
from hotlap.rewards.check import check_reward
from hotlap.rewards.lines import hanging, source_of
from hotlap.rewards.play import Episode
from hotlap.rewards.report import RewardReport
from hotlap.rewards.running import place, running
from hotlap.rewards.source_check import Problem
from hotlap.unfinished import scratch_folder, write_whole

WHOLE_S = 9.0  # a check, unless told otherwise
CALL_S = 2.5  # a call that takes longer is ended
TELL_S = 0.5  # before its end the process tells where it is, and ends
TALK_S = 1.0  # before its end it stops asking
SPACE = 2 << 30  # [bytes] of addresses beyond what the process has when it begins
MEMORY = 1 << 30  # [bytes] that it may fill
MAX_PRINTED = 1 << 24  # [bytes]
SHOWN_LINES = 10
# Under the name of a command: the package then does not wait for Gymnasium.
_PROGRAM = "import sys; sys.argv[0] = 'hotlap'; from hotlap.rewards.watched import _run; _run()"


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
    end: float | None = None,
) -> RewardReport:
    """`check_reward` in a child process; it comes to its end in time, whatever the function does.

    What ends the child is an error of the report, with the line where the function was if that is known.
    """
    end = time.monotonic() + WHOLE_S if end is None else end
    with scratch_folder() as folder:
        plain = [_Route(route.center, route.length) for route in routes]
        (folder / "job").write_bytes(pickle.dumps((str(path), dict(races), plain, tuple(needed), profile, end)))
        with open(folder / "out", "wb") as out, open(folder / "err", "wb") as err:
            child = subprocess.Popen(
                [sys.executable, "-P", "-c", _PROGRAM, str(folder)],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
            )
            code = _ended(child, (folder / "out", folder / "err"), end)
        with open(folder / "out", "rb") as out:
            lines = out.read(MAX_PRINTED).decode("utf-8", errors="replace").splitlines()
        report = _result(folder, str(path), code)
        if report is None:  # it was hardly begun
            report = RewardReport(str(path), num_episodes=sum(map(len, races.values())))
            report.not_tried = list(dict.fromkeys(each.name for episodes in races.values() for each in episodes))
        report.printed, report.num_printed = (
            [line[:200] for line in lines[:SHOWN_LINES]],
            max(len(lines), report.num_printed),
        )
        return report


def _ended(child: subprocess.Popen[bytes], outputs: Sequence[Path], end: float) -> int | None:
    """Wait for the child, then end what it has started; its exit code, or None if it had to be ended."""
    started: set[psutil.Process] = set()
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


def _result(folder: Path, path: str, code: int | None) -> RewardReport | None:
    """What the child has found, or what is known of its end; None if it had not come to the function in time."""
    with contextlib.suppress(OSError, ValueError, KeyError, TypeError):
        return RewardReport.from_dict(json.loads((folder / "report.json").read_bytes()))
    with open(folder / "err", "rb") as err:
        err.seek(-min(20_000, os.fstat(err.fileno()).st_size), os.SEEK_END)
        told = err.read().decode("utf-8", errors="replace")
    said = re.findall(r"^hotlap: (.*)$", told, flags=re.MULTILINE)
    file, line = _last_place(folder, path, told)
    where = f"{file}, line {line}" if line else str(file)
    late = code is None or "Timeout (" in told
    if said:
        message = said[-1]
    elif any((folder / name).stat().st_size > MAX_PRINTED for name in ("out", "err")):
        message = f"{where}: the reward function has printed more than {MAX_PRINTED >> 20} MB; print less."
    elif late and not line:
        return None
    elif late:
        hangs = hanging(file, line)
        message = (
            f"{where}: the reward function has not come to an end; expected an answer within milliseconds"
            f"{f'; {hangs}' if hangs else ''}."
        )
    else:
        assert code is not None
        how = f"signal {-code}" if code < 0 else f"exit code {code}"
        source = source_of(file, line)
        message = (
            f"{where}: the reward function has ended the process that called it ({how})"
            f"{f' in `{source}`' if source else ''}; expected it to return a number. It may have filled the memory, or "
            "called something that exits."
        )
    return RewardReport(path, problems=[Problem("error", message, line or None)])


def _last_place(folder: Path, path: str, told: str) -> tuple[Path, int]:
    """Where the function was: as the stacks at the end say, or where it was seen last; line 0 if nowhere."""
    file = Path(path).absolute()
    found = [*re.findall(r'File "(.+?)", line (\d+)', told)]
    with contextlib.suppress(OSError):
        found += re.findall(r"^(.+), line (\d+)$", (folder / "seen").read_text(encoding="utf-8"), re.MULTILINE)
    return next(((Path(name), int(line)) for name, line in found if Path(name).parent == file.parent), (file, 0))


def _run() -> None:
    """The child."""
    folder = Path(sys.argv[1])
    path, races, routes, needed, profile, end = pickle.loads((folder / "job").read_bytes())
    faulthandler.enable()
    faulthandler.dump_traceback_later(max(end - TELL_S - time.monotonic(), 0.1), exit=True)
    _limit_memory()
    # Importing large libraries takes longer than any call should.
    call_s = min(CALL_S, max(0.4 * (end - TALK_S - time.monotonic()), 0.5))
    guard.configure(limit_s=call_s, max_lines=1000, memory=MEMORY)
    threading.Thread(target=_note_places, args=(folder / "seen",), daemon=True).start()
    report = check_reward(path, races, routes, needed=needed, profile=profile, end=end - TALK_S)
    sys.stdout.flush()
    write_whole(folder / "report.json", json.dumps(report.to_dict()).encode(), sync=False)
    _end(psutil.Process().children(recursive=True))
    os._exit(0)  # threads of the function are not waited for


def _note_places(file: Path) -> None:
    """Keep a note of where the function is, for the case that the process ends without a word."""
    with open(file, "w", encoding="utf-8") as notes:
        while True:
            time.sleep(0.1)
            with contextlib.suppress(MemoryError):
                if running.active:
                    notes.seek(0)
                    notes.write(f"{place(running.call[2])}\n")
                    notes.truncate()
                    notes.flush()


def _limit_memory() -> None:
    """Where the system does so itself; elsewhere the guard sees it a little later."""
    try:
        import resource
    except ImportError:  # Windows
        return
    if not sys.platform.startswith("linux"):
        return
    used = psutil.Process().memory_info().vms
    resource.setrlimit(resource.RLIMIT_AS, (used + SPACE, used + SPACE))
    resource.setrlimit(resource.RLIMIT_FSIZE, (MAX_PRINTED, MAX_PRINTED))
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)

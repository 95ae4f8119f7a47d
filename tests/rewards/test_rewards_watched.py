"""The process of `hotlap reward check`: its exit code, its end, and what it does on systems that lack much."""

from __future__ import annotations

import functools
import json
import os
import textwrap
import time
from pathlib import Path

import psutil
import pytest
from hotlap_process import Hotlap

from hotlap.envs.practice import Practice
from hotlap.rewards.watched import check_watched
from hotlap.tracks import load_track

BARE = """
import os, signal, sys
import psutil  # on Linux it needs more than elsewhere
for module, names in ((signal, ("SIGVTALRM", "SIGPROF", "SIGXFSZ", "setitimer", "ITIMER_VIRTUAL", "ITIMER_PROF",
                                "pthread_kill")),
                      (os, ("fork", "forkpty", "killpg", "getpgrp", "posix_spawn", "posix_spawnp", "sysconf"))):
    for name in names:
        if hasattr(module, name):
            delattr(module, name)
sys.modules["resource"] = None
"""

GOOD = "return params['speed'] if params['all_wheels_on_track'] else 1e-3"


def bare(folder: Path) -> dict[str, str]:
    """An environment in which Python processes have none of what Windows does not have."""
    (folder / "sitecustomize.py").write_text(BARE)
    return {"PYTHONPATH": os.pathsep.join([str(folder), os.environ.get("PYTHONPATH", "")])}


@functools.cache
def races_of_first_lap() -> tuple:
    """Episodes, routes and the races that must work, of a short track."""
    return Practice([load_track("first_lap")]).races_for("follow_center_line")


def write(folder: Path, body: str) -> Path:
    path = folder / "reward_function.py"
    path.write_text("def reward_function(params):\n" + textwrap.indent(textwrap.dedent(body), "    ") + "\n")
    return path


@pytest.mark.parametrize("without", [False, True], ids=["everything", "bare"])
@pytest.mark.parametrize(
    ("body", "code"), [(GOOD, 0), ("return 1 / 0", 2), ("while True:\n    pass", 2)], ids=["good", "bad", "loop"]
)
def test_the_command_ends_with_its_exit_code_and_without_a_word(tmp_path: Path, without: bool, body: str, code: int):
    """Also where there are no signals, no timers and no limits of resources."""
    hotlap = Hotlap(tmp_path)
    if without:
        hotlap.environment |= bare(tmp_path)
    (tmp_path / "function").mkdir()
    path = write(tmp_path / "function", body)
    done = hotlap.run("reward", "check", path, "--track", "first_lap", "--json", code=code)
    report = json.loads(done.stdout)
    assert report["ok"] == (code == 0)
    assert not done.stderr
    if "while" in body:
        assert report["problems"][0]["line"] in (2, 3)


@pytest.mark.parametrize("without", [False, True], ids=["everything", "bare"])
def test_a_function_that_fills_the_memory_is_ended(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, without: bool):
    """By the system, or by the guard that looks at what the process has."""
    if without:
        monkeypatch.setenv("PYTHONPATH", bare(tmp_path)["PYTHONPATH"])
    (tmp_path / "function").mkdir()
    path = write(tmp_path / "function", "kept.append(b'x' * 30_000_000)\nreturn 1.0")
    path.write_text("kept = []\n" + path.read_text())
    races, routes, _ = races_of_first_lap()
    report = check_watched(path, races, routes)
    assert not report.ok
    assert "emory" in report.problems[0].message


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("time.sleep(0.03)\nreturn 1.0", ""),
        ("while True:\n    pass", "it hangs in the loop of line 2: `while True:`"),
        ("time.sleep(1000)", "it waits in line 2: `time.sleep(1000)`"),
        ("subprocess.run(['sleep', '1000'])", "it waits in line 2: `subprocess.run("),
        ("sum(range(10**12))", "it hangs in line 2: `sum(range(10**12))`"),
        ("time.sleep(0.5) or libc.kill(os.getpid(), 9)", "the process that called it (signal 9) in `time.sleep(0.5)"),
    ],
)
def test_it_ends_in_time_with_the_last_line_that_is_known(tmp_path: Path, body: str, message: str):
    """However short the time is, and whatever the function does."""
    path = write(tmp_path, body)
    path.write_text(f"{path.read_text()}\nimport ctypes, os, subprocess, time\nlibc = ctypes.CDLL(None)\n")
    races, routes, _ = races_of_first_lap()
    now = time.monotonic()
    report = check_watched(path, races, routes, end=now + 3.0)
    assert time.monotonic() - now < 5.0
    assert not report.ok
    if message:
        assert message in report.problems[0].message
        assert "loop" in message or "loop" not in report.problems[0].message
    else:
        assert report.verdict == "not finished"


def test_a_check_without_time_says_that_nothing_was_tried(tmp_path: Path):
    races, routes, _ = races_of_first_lap()
    report = check_watched(write(tmp_path, GOOD), races, routes, end=time.monotonic() + 0.05)
    assert (report.verdict, report.num_played, report.calls) == ("not finished", 0, 0)
    assert report.not_tried == [episode.name for episode in races["time_trial"]]


def test_what_the_function_has_started_ends_with_the_check(tmp_path: Path):
    """Also if the check itself ends well."""
    path = write(tmp_path, f"if not started:\n    started.append(subprocess.Popen(['sleep', '987']))\n{GOOD}")
    path.write_text("import subprocess\nstarted = []\n" + path.read_text())
    races, routes, _ = races_of_first_lap()
    assert check_watched(path, races, routes).ok
    left = [each for each in psutil.process_iter(["cmdline"]) if each.info["cmdline"] == ["sleep", "987"]]
    assert not left


def test_a_connection_that_nobody_answers_ends_with_the_check(tmp_path: Path):
    """The line where it waits is told."""
    import socket

    with socket.socket() as server:
        server.bind(("127.0.0.1", 0))
        server.listen()
        port = server.getsockname()[1]
        path = write(tmp_path, f"urllib.request.urlopen('http://127.0.0.1:{port}/')\nreturn 1.0")
        path.write_text("import urllib.request\n" + path.read_text())
        races, routes, _ = races_of_first_lap()
        report = check_watched(path, races, routes, end=time.monotonic() + 4.0)
    problem = report.problems[0]
    assert problem.level == "error"
    assert problem.line == 3

"""What a reward function does to the process that calls it is ended, and named with file and line."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest

needs_signals = pytest.mark.skipif(sys.platform == "win32", reason="Windows has no such signals")

CALLER = """
import sys, threading, time
from hotlap.errors import RewardError
from hotlap.rewards import guard, load_reward

guard.configure(limit_s=0.5, max_lines=5)
guard.GRACE_S = 1.0

def drive(file):
    try:
        function = load_reward(file)
        for step in range(int(sys.argv[2])):
            function({"steps": float(step)}, (7, step))
    except RewardError as error:
        print("RewardError:", error)
    print("still here")

if sys.argv[1] == "other":
    thread = threading.Thread(target=drive, args=sys.argv[3:])
    thread.start()
    thread.join()
elif len(sys.argv) == 4:
    drive(sys.argv[3])
else:
    for file in sys.argv[3:]:
        for stream in (sys.stdout, sys.stderr):
            print(file, file=stream, flush=True)
        guard.configure(limit_s=0.5, max_lines=5, job=file)
        drive(file)
"""


def call(folder: Path, source: str, *, thread: str = "main", calls: int = 1) -> subprocess.CompletedProcess[str]:
    """What becomes of a process that loads and calls a function, and what it says."""
    path = folder / "reward_function.py"
    path.write_text(textwrap.dedent(source))
    return _call([path], thread, calls)


def call_each(folder: Path, bodies: Mapping[str, str], *, calls: int = 1) -> dict[str, tuple[str, str]]:
    """What one process says on its two outputs that loads and calls a function of each body after the other."""
    paths = {name: folder / str(number) / "reward_function.py" for number, name in enumerate(bodies)}
    for name, path in paths.items():
        path.parent.mkdir()
        path.write_text(in_function(bodies[name]))
    ended = _call([*paths.values()], "main", calls)
    assert ended.returncode == 0, ended.stderr
    said: dict[str, tuple[str, str]] = {}
    ends = [*map(str, paths.values())][1:]
    for (name, path), end in zip(paths.items(), [*ends, "the end"], strict=True):
        output, errors = (
            text.partition(f"{path}\n")[2].partition(f"{end}\n")[0] for text in (ended.stdout, ended.stderr)
        )
        said[name] = output, errors
    return said


def _call(paths: Sequence[Path], thread: str, calls: int) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", CALLER, thread, str(calls), *map(str, paths)]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False)


def in_function(body: str) -> str:
    """A file with ``body`` in its function, which begins in line 3."""
    return "import multiprocessing, os, re, signal, sys, threading, time\ndef reward_function(params):\n" + (
        textwrap.indent(textwrap.dedent(body).strip(), "    ") + "\n"
    )


LASTING = {
    "loop": ("x = 1\nwhile True:\n    x += 1", (4, 5), "it hangs in the loop of line 4: `while True:`"),
    "sleep": ("time.sleep(1000)", (3,), "it waits in line 3: `time.sleep(1000)`"),
    "regular expression": ("re.match('(a+)+$', 'a' * 60 + 'b')", (3,), "it hangs in line 3: `re.match("),
    "wait": ("threading.Event().wait()", (3,), "it waits in line 3: `threading"),
    "except Exception": (
        "while True:\n    try:\n        time.sleep(0.01)\n    except Exception:\n        pass",
        (3, 4, 5),
        "it ",
    ),
}


@needs_signals
@pytest.mark.parametrize("what", LASTING)
def test_a_call_that_does_not_return_is_ended(tmp_path: Path, what: str):
    """In the main thread everything that Python can interrupt, with file, line, episode and step; the process lives."""
    body, lines, words = LASTING[what]
    ended = call(tmp_path, in_function(body))
    assert ended.returncode == 0, ended.stderr
    assert any(f"reward_function.py, line {line}, episode 7, step 0: " in ended.stdout for line in lines), ended.stdout
    assert "has not returned after 0.5 s" in ended.stdout
    assert f"; {words}" in ended.stdout
    assert ended.stdout.endswith("still here\n")


def test_a_loop_in_another_thread_is_ended(tmp_path: Path):
    """Where no signal arrives."""
    ended = call(tmp_path, in_function("while True:\n    pass"), thread="other")
    assert ended.returncode == 0, ended.stderr
    assert "line 3, episode 7, step 0: the reward function has not returned" in ended.stdout or (
        "line 4, episode 7, step 0: the reward function has not returned" in ended.stdout
    )
    assert ended.stdout.endswith("still here\n")


@pytest.mark.parametrize(
    ("thread", "body"),
    [
        ("main", "while True:\n    try:\n        while True:\n            pass\n    except:\n        pass"),
        ("other", "time.sleep(1000)"),
    ],
)
def test_what_cannot_be_ended_ends_the_process_with_the_sentence(tmp_path: Path, thread: str, body: str):
    """A loop that swallows every exception, a sleep where no signal arrives."""
    ended = call(tmp_path, in_function(body), thread=thread)
    assert ended.returncode == 2
    (sentence,) = [line for line in ended.stderr.splitlines() if line]
    assert "reward_function.py, line " in sentence
    assert "episode 7, step 0: the reward function has not returned after 0.5 s" in sentence
    assert "still here" not in ended.stdout


@needs_signals
def test_loading_that_does_not_return_is_ended(tmp_path: Path):
    """With the line where it is."""
    ended = call(tmp_path, "import time\ntime.sleep(1000)\n")
    assert ended.returncode == 0
    assert "reward_function.py, line 2: loading the reward function failed: the reward function has not" in ended.stdout


FORBIDDEN = {
    "os._exit(1)": "os._exit() ends the process",
    "os.abort()": "os.abort() ends the process",
    "os.kill(os.getpid(), 9)": "os.kill() ends processes",
    "os.kill(os.getppid(), 9)": "os.kill() ends processes",
    "os.killpg(os.getpgrp(), 9)": "os.killpg() ends processes",
    "signal.pthread_kill(threading.get_ident(), 9)": "signal.pthread_kill() ends the process",
    "signal.raise_signal(signal.SIGINT)": "signal.raise_signal() ends the process",
    "sys.exit(3)": "the reward function ends the program (SystemExit: 3)",
    "raise KeyboardInterrupt": "the reward function ends the program (KeyboardInterrupt)",
    "os.fork()": "os.fork() starts a process",
    "multiprocessing.Process(target=print).start()": "multiprocessing starts a process",
    "input()": "input() waits for somebody to type",
    "bytearray(1 << 60)": "the reward function needs more memory",
    "reward_function(params)": "the reward function calls itself again and again (RecursionError",
}


@pytest.fixture(scope="module")
def forbidden(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """What a process says that survives all of `FORBIDDEN`."""
    return call_each(tmp_path_factory.mktemp("forbidden"), {statement: statement for statement in FORBIDDEN})


@pytest.mark.parametrize("statement", FORBIDDEN)
def test_what_ends_or_copies_the_process_is_an_error_of_the_function(forbidden, statement: str):
    """With file, line, episode and step; also where `except Exception` stands round it."""
    if statement == "os.fork()" and not hasattr(os, "fork"):
        pytest.skip("there is no fork here")
    output, errors = forbidden[statement]
    assert "RewardError: " in output
    assert f"reward_function.py, line 3, episode 7, step 0: {FORBIDDEN[statement]}" in output
    assert output.count("still here") == 1
    assert not errors


def test_others_may_end_and_copy_the_process(tmp_path: Path):
    """Only a reward function that runs is kept from it."""
    path = tmp_path / "reward_function.py"
    path.write_text("def reward_function(params):\n    return 1.0\n")
    program = f"""
import os
from hotlap.rewards import load_reward
load_reward({str(path)!r})({{}})
child = os.fork() if hasattr(os, "fork") else 0
if not child:
    os._exit(7)
os._exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 7


@needs_signals
def test_a_real_interrupt_stays_one():
    """Somebody's Ctrl-C in the middle of a call ends the command, not the function."""
    from hotlap.rewards.function import RewardFunction

    def reward_function(params: dict[str, object]) -> float:
        threading.Event().wait(30)
        return 1.0

    before = signal.signal(signal.SIGINT, signal.default_int_handler)  # in the background it is ignored
    try:
        threading.Timer(0.3, signal.pthread_kill, (threading.main_thread().ident, signal.SIGINT)).start()
        with pytest.raises(KeyboardInterrupt):
            RewardFunction(Path("function"), reward_function)({})
    finally:
        signal.signal(signal.SIGINT, before)


@needs_signals
def test_no_clock_ends_a_process_that_ends_anyway(tmp_path: Path):
    """None ticks any more while Python ends, when its handlers are gone."""
    path = tmp_path / "reward_function.py"
    path.write_text("def reward_function(params):\n    return 1.0\n")
    program = f"""
import atexit, signal, time
clocks = signal.ITIMER_VIRTUAL, signal.ITIMER_PROF
ticking = lambda: [signal.getitimer(clock) != (0.0, 0.0) for clock in clocks]
atexit.register(lambda: (time.sleep(0.3), print(ticking())))
from hotlap.rewards import load_reward
load_reward({str(path)!r})({{}})
print(ticking())
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.splitlines() == ["[True, True]", "[False, False]"]


WRITING = {
    "sys.stdout": "sys.stdout.write('a\\n')",
    "sys.stderr": "sys.stderr.write('a\\n')",
    "the stream that was there first": "sys.__stdout__.write('a\\n')",
    "lines": "sys.stdout.writelines(['a\\n', 'a\\n'])",
    "print": "print('a')",
    "logging": "logging.warning('a')",
    "warnings": "warnings.simplefilter('always'); warnings.warn('a')",
    "a thread": "thread = threading.Thread(target=print, args=('a',)); thread.start(); thread.join()",
}


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> dict[str, tuple[str, str]]:
    """What a process says in which each of `WRITING` is called a thousand times, as a job of its own."""
    bodies = {way: f"import logging, warnings\n{statement}\nreturn 1.0" for way, statement in WRITING.items()}
    return call_each(tmp_path_factory.mktemp("written"), bodies, calls=1000)


@pytest.mark.parametrize("way", WRITING)
def test_what_it_writes_is_cut_however_it_does(written, way: str):
    """Five lines pass, then one sentence, then nothing; what others write meanwhile is not counted."""
    lines = [line for output in written[way] for line in output.splitlines()]
    (sentence,) = [line for line in lines if "has written 5 lines" in line]
    assert "reward_function.py, line 4" in sentence or way == "a thread"
    assert lines.count("still here") == 1
    assert len(lines) == 7


def test_lines_are_counted_on_when_the_file_is_loaded_again(tmp_path: Path):
    """In one process, as long as the job is the same; with another it begins anew."""
    path = tmp_path / "reward_function.py"
    path.write_text("def reward_function(params):\n    print('a')\n    return 1.0\n")
    program = f"""
from hotlap.rewards import guard, load_reward
for job in "1112":
    guard.configure(max_lines=5, job=[job])
    for _ in range(4):
        load_reward({str(path)!r})({{}})
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.count("has written 5 lines") == 1
    assert ended.stdout.count("a\n") == 5 + 4


def test_a_line_that_never_ends_is_cut(tmp_path: Path):
    """After a thousand characters, in one piece or in many."""
    ended = call(tmp_path, in_function("print('b' * 5000, end='')\nreturn 1.0"), calls=100)
    assert ended.stdout == "b" * 1000 + "…still here\n"


def test_streams_that_others_put_in_place_later_are_counted(tmp_path: Path):
    """Once, also where one writes by the other, as a display of progress does."""
    path = tmp_path / "reward_function.py"
    path.write_text("def reward_function(params):\n    print('a')\n    return 1.0\n")
    program = f"""
import io, sys
from hotlap.rewards import guard, load_reward
guard.configure(max_lines=5)
function = load_reward({str(path)!r})
function({{}})
class Display(io.TextIOBase):
    below = sys.stdout
    def write(self, text):
        self.below.write("one\\ntwo\\nthree\\n" if text == "a" else "")
        return len(text)
sys.stdout = Display()
for _ in range(3):
    function({{}})
sys.stdout = Display.below
for _ in range(3):
    function({{}})
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    assert ended.stdout.splitlines()[:-1] == ["a", *["one", "two", "three"] * 3, "a"]
    assert "has written 5 lines" in ended.stdout


@needs_signals
def test_a_process_that_begins_another_job_may_work_for_long_before_its_first_call(tmp_path: Path):
    """The clock of the last job's calls does not end it."""
    program = f"""
import time
from pathlib import Path
from hotlap.rewards import guard
guard.GRACE_S = 0.2
guard.configure(limit_s=0.3, ends_stuck=True)
with guard.protected(Path({str(tmp_path / "reward_function.py")!r})):
    guard.configure(limit_s=0.3, ends_stuck=True)
end = time.process_time() + 1.0
while time.process_time() < end:
    pass
print("still here")
"""
    ended = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert ended.stdout == "still here\n", (ended.returncode, ended.stderr)


@needs_signals
@pytest.mark.parametrize("ends", [True, False])
def test_compiled_code_that_keeps_the_lock_is_shown_with_its_line(tmp_path: Path, ends: bool):
    """Nobody else can run; the process ends, unless its fleet does that."""
    body = f"""
    from hotlap.rewards import guard
    guard.GRACE_S = 0.2
    if params["steps"] == 1:
        sum(range(10**12 if {ends} else 10**8))
    guard.configure(limit_s=0.1, ends_stuck={ends})
    return 1.0
    """
    ended = call(tmp_path, in_function(body), calls=3)
    assert 'reward_function.py", line 6 in reward_function' in ended.stderr
    assert (ended.returncode == -signal.SIGPROF) == ends
    assert ("still here" in ended.stdout) != ends


def test_what_it_prints_is_cut(tmp_path: Path):
    """The first lines pass, then one sentence with file and line, then nothing."""
    ended = call(tmp_path, in_function("print('a\\nb')\nprint('c', file=sys.stderr)\nreturn 1.0"), calls=1000)
    assert ended.returncode == 0
    lines = [*ended.stdout.splitlines(), *ended.stderr.splitlines()]
    assert lines.count("a") == lines.count("b") == 2
    assert lines.count("c") == 1
    (sentence,) = [line for line in lines if "has written 5 lines" in line]
    assert "reward_function.py, line 4" in sentence
    assert lines.count("still here") == 1
    assert len(lines) == 7


def test_a_thread_that_stays_is_named_once_and_keeps_no_process(tmp_path: Path):
    """Although it never ends, and is no daemon."""
    body = """
    if params['steps'] == 0:
        threading.Thread(target=time.sleep, args=(1000,)).start()
    time.sleep(0.1)
    return 1.0
    """
    ended = call(tmp_path, in_function(body), calls=10)
    assert ended.returncode == 0
    assert ended.stdout == "still here\n"
    assert ended.stderr.count("line 4: the reward function has started a thread that goes on") == 1


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="growth of memory is seen on Linux only")
def test_a_call_that_fills_the_memory_is_ended_before_the_machine_ends_the_process(tmp_path: Path):
    """By what is left of the machine's or the container's memory, with the line where it grew."""
    source = """
    import time
    from hotlap.rewards import guard
    guard.configure(limit_s=60)
    total = 1 << 30
    guard.memory_left = lambda: (max(total - guard._own_memory(), 0), total)
    def reward_function(params):
        kept = []
        while True:
            kept.append(b"x" * (1 << 20))
            time.sleep(0.0005)
    """
    ended = call(tmp_path, source)
    assert ended.returncode == 0, ended.stderr
    assert "episode 7, step 0: the reward function has filled the memory: " in ended.stdout
    assert ended.stdout.endswith("still here\n")


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="growth of memory is seen on Linux only")
def test_calls_that_fill_the_memory_together_are_ended(tmp_path: Path):
    """Though each is too short and takes too little for the watchdog to see it."""
    source = """
    import time
    from hotlap.rewards import guard
    total = guard._own_memory() + (400 << 20)
    guard.memory_left = lambda: (max(total - guard._own_memory(), 0), total)
    kept = []
    def reward_function(params):
        kept.append(b"x" * (1 << 20))
        time.sleep(0.001)
        return 1.0
    """
    ended = call(tmp_path, source, calls=1000)
    assert ended.returncode == 0, ended.stderr
    assert re.search(
        r"reward_function\.py, episode 7, step \d+: the memory is full: the process has grown", ended.stdout
    )
    assert ended.stdout.endswith("still here\n")


def test_threads_that_pile_up_are_ended_with_the_line(tmp_path: Path):
    """A call that leaves one is only named; forty make a training crawl."""
    ended = call(
        tmp_path, in_function("threading.Thread(target=time.sleep, args=(1000,)).start()\nreturn 1.0"), calls=60
    )
    assert ended.returncode == 0, ended.stderr
    assert re.search(
        r"reward_function\.py, line 3, episode 7, step 40: starts a thread, but 40 that it started before still run",
        ended.stdout,
    )
    assert ended.stdout.endswith("still here\n")
    assert ended.stderr.count("has started a thread that goes on") <= 1

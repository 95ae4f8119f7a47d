"""A process that runs hotlap's commands in forks of itself and kills them at a chosen file operation.

It has trained before, so that a command takes about as long as its work. In a fork the calls through which Python
reaches the disk are counted, as far as they change something below a watched folder: opening for writing, write,
truncate, mkdir, rmdir, replace, rename, link and unlink. The fork kills itself with SIGKILL before the operation that
was asked for, or in the middle of it, when half of its bytes are written. What comes after one operation comes before
the next, so that these two are all moments there are; fsync makes none: no power is cut.

The trainer's clock stands still in the forks: what a training leaves depends on the seed alone then.
"""

from __future__ import annotations

import builtins
import contextlib
import io
import os
import shutil
import signal
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from multiprocessing import Pipe
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, Literal

from hotlap_process import trained_before

Moment = Literal["before", "half"]


@dataclass(frozen=True)
class Outcome:
    """What came of a command."""

    code: int
    """Exit status; -9: killed."""
    operations: list[str]
    """Those that it came to, ``kind path``."""
    output: str

    @property
    def moments(self) -> list[tuple[int, Moment]]:
        """All at which the command may be killed, so that it makes a difference on the disk."""
        found: list[tuple[int, Moment]] = []
        for number, operation in enumerate(self.operations):
            found.append((number, "before"))
            if operation.startswith("write "):
                found.append((number, "half"))
        return found


class KillServer:
    """Starts the process; `close` it, or use it in a ``with`` statement.

    Args:
        watched: Operations elsewhere do not count.
        environment: Of the commands, beside the present one.
    """

    def __init__(self, watched: Path, environment: dict[str, str]) -> None:
        self._connection, other_end = Pipe()
        self._process = trained_before().Process(target=serve, args=(other_end, str(watched), environment))
        self._process.start()
        other_end.close()

    def run(self, *words: str | Path, kill: tuple[int, Moment] | None = None) -> Outcome:
        """Run ``hotlap`` with these words, and kill it at an operation, counted from 0."""
        self._connection.send(([*map(str, words)], kill))
        return self._connection.recv()

    def close(self) -> None:
        """End the process."""
        self._connection.close()
        self._process.join()

    def __enter__(self) -> KillServer:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class Operations:
    """Counts the file operations of this process below a folder, and kills it at one of them."""

    def __init__(self, watched: str, kill: tuple[int, Moment] | None, report: Any) -> None:
        self.watched = os.path.realpath(watched)
        self.kill = kill
        self.report = report  # of operations, a line each; whole lines also when this process is killed
        self.count = 0
        self.open = io.open

    def begin(self, kind: str, path: Any, half: Callable[[], object] = lambda: None) -> None:
        """An operation begins, which ``half`` does by half."""
        self.report.write(f"{kind} {path}\n")
        self.report.flush()
        if self.kill is not None and self.count == self.kill[0]:
            if self.kill[1] == "half":
                half()
            os.kill(os.getpid(), signal.SIGKILL)
        self.count += 1

    def concerns(self, path: Any) -> bool:
        if isinstance(path, int):
            path = os.readlink(f"/proc/self/fd/{path}")
        return os.path.abspath(os.fsdecode(path)).startswith(self.watched + os.sep)

    def install(self) -> None:
        """From now on."""
        for name in ("replace", "rename", "link", "unlink", "remove", "rmdir", "mkdir", "truncate"):
            self._count_calls(name)
        self._count_opening()

        os.fsync = lambda descriptor: None  # waiting for the disk would only take time

    def _count_calls(self, name: str) -> None:
        call = getattr(os, name)

        def counted(path: Any, *arguments: Any, **options: Any) -> Any:
            makes_nothing = name == "mkdir" and os.path.isdir(path)
            if options.get("dir_fd") is None and self.concerns(path) and not makes_nothing:
                self.begin(name, path)
            return call(path, *arguments, **options)

        setattr(os, name, counted)

    def _count_opening(self) -> None:
        open_descriptor, open_file = os.open, io.open

        def os_open(path: Any, flags: int, *arguments: Any, **options: Any) -> int:
            if flags & (os.O_WRONLY | os.O_RDWR | os.O_CREAT) and self.concerns(path):
                self.begin("open", path)
            return open_descriptor(path, flags, *arguments, **options)

        def any_open(file: Any, mode: str = "r", *arguments: Any, **options: Any) -> Any:
            writes = any(letter in mode for letter in "wax+") and self.concerns(file)
            if writes and not isinstance(file, int):
                self.begin("open", file)
            opened = open_file(file, mode, *arguments, **options)
            return Written(opened, self) if writes else opened

        os.open = os_open
        io.open = builtins.open = os.fdopen = any_open


class Written:
    """A file whose writes count; what is written lies on the disk before the next operation."""

    def __init__(self, file: Any, operations: Operations) -> None:
        self._file, self._operations = file, operations
        self._path = os.readlink(f"/proc/self/fd/{file.fileno()}")

    def write(self, data: Any) -> int:
        def half() -> None:
            self._file.write(data[: len(data) // 2])
            self._file.flush()

        self._operations.begin("write", self._path, half)
        written = self._file.write(data)
        self._file.flush()
        return int(written)

    def truncate(self, size: int | None = None) -> int:
        self._operations.begin("truncate", self._path)
        return int(self._file.truncate(size))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def __iter__(self) -> Any:
        return iter(self._file)

    def __enter__(self) -> Written:
        return self

    def __exit__(self, *_: object) -> None:
        self._file.close()


def serve(connection: Connection, watched: str, environment: dict[str, str]) -> None:
    """Answer requests until there are no more."""
    from hotlap.rl import architectures
    from hotlap.training import ranking

    os.environ.update(environment)
    sys.dont_write_bytecode = True  # also a file operation
    time.perf_counter = lambda: 0.0
    few_weights = architectures.CameraLayers((architectures.Conv(2, 8, 8),))  # so that files are small
    small = replace(architectures.ARCHITECTURES[architectures.SHALLOW], camera=few_weights, middleware=(8,))
    architectures.ARCHITECTURES[architectures.SHALLOW] = small
    ranking.MAX_FINAL_SETS = ranking.MAX_SETS + 1  # a run-off, but a short one
    with contextlib.suppress(EOFError):
        while True:
            connection.send(in_fork(watched, *connection.recv()))


def in_fork(watched: str, words: list[str], kill: tuple[int, Moment] | None) -> Outcome:
    """Run a command in a fork."""
    from hotlap import unfinished

    with open_scratch() as report, open_scratch() as output:
        child = os.fork()
        if child == 0:
            os.dup2(output.fileno(), 1)
            os.dup2(output.fileno(), 2)
            unfinished._swept.clear()  # as in a process of its own
            Operations(watched, kill, report).install()
            os._exit(run(words))
        _, status = os.waitpid(child, 0)
        report.seek(0)
        output.seek(0)
        return Outcome(os.waitstatus_to_exitcode(status), report.read().splitlines(), output.read())


def open_scratch() -> Any:
    """A text file in memory, which a fork shares."""
    return os.fdopen(os.memfd_create("kill-server"), "w+")


def run(words: Sequence[str]) -> int:
    """Run ``hotlap``; its exit status."""
    from hotlap.cli import main

    sys.argv = ["hotlap", *words]
    try:
        main.main()
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:
        import traceback

        traceback.print_exc()
        return 99
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
    return 0


def files_of(folder: Path) -> dict[str, bytes]:
    """All files below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.rglob("*")) if path.is_file()}


def unfinished_in(folder: Path) -> list[str]:
    """What below a folder has a name that only unfinished files and scratch folders have."""
    names = (path for path in folder.rglob("*") if path.suffix == ".part" or path.name.startswith("hotlap-"))
    return sorted(map(str, names))


def made_equal(folder: Path, original: Path) -> Path:
    """``folder``, after it was made a copy of ``original``."""
    shutil.rmtree(folder, ignore_errors=True)
    shutil.copytree(original, folder)
    return folder

"""The command line as a user runs it: a process of its own, or a call in this one where no process is looked at."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import time
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir, contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass
from multiprocessing import get_context
from multiprocessing.context import ForkServerContext
from pathlib import Path
from tempfile import NamedTemporaryFile
from typing import Any
from unittest.mock import patch

from hotlap.cli.main import main
from hotlap.jobs.record import JobRecord
from hotlap.jobs.registry import JobRegistry

WAIT_S = 120  # after so long something hangs


class Hotlap:
    """Runs ``hotlap …`` with a list of jobs of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = os.environ | {
            "HOTLAP_STATE": str(folder / "state"),
            "OMP_NUM_THREADS": "1",
            "COLUMNS": "200",
        }

    def run(self, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """Wait for a command that must end with the exit ``code``."""
        done = subprocess.run(
            self._command(words), cwd=self.folder, env=self.environment, capture_output=True, text=True, timeout=WAIT_S
        )
        return _checked(done, code)

    def call(self, *words: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
        """As `run`, without the seconds that a process takes to begin."""
        command = ["hotlap", *map(str, words)]
        returncode: Any = 0
        with (
            chdir(self.folder),
            patch.dict(os.environ, self.environment),
            patch.object(sys, "argv", command),
            warnings.catch_warnings(),
            redirect_stdout(io.StringIO()) as output,
            redirect_stderr(io.StringIO()) as errors,
        ):
            try:
                main()
            except SystemExit as end:
                returncode = end.code or 0
        return _checked(subprocess.CompletedProcess(command, returncode, output.getvalue(), errors.getvalue()), code)

    @contextmanager
    def start(self, *words: str | Path) -> Iterator[subprocess.Popen[str]]:
        """A command that runs meanwhile; what is left of it at the end is killed."""
        with subprocess.Popen(
            self._command(words),
            cwd=self.folder,
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    @contextmanager
    def fork(self, *words: str | Path) -> Iterator[Forked]:
        """As `start`, without the seconds that a process takes to begin; see `fork`."""
        with NamedTemporaryFile(dir=self.folder) as output:
            process = fork(main, words, folder=self.folder, environment=self.environment, output=Path(output.name))
            try:
                yield process
            finally:
                process.kill()

    def jobs(self) -> list[JobRecord]:
        """The list of jobs, read without a process."""
        return JobRegistry(self.folder / "state" / "jobs").jobs()

    def _command(self, words: tuple[str | Path, ...]) -> list[str]:
        return [sys.executable, "-P", "-m", "hotlap.cli.main", *map(str, words)]


def fork(
    program: Callable[[], Any],
    words: Sequence[str | Path],
    *,
    folder: Path,
    environment: Mapping[str, str],
    output: Path,
) -> Forked:
    """Start a program in a process of its own, forked from one that has imported all and trained before.

    Args:
        program: Run as the command of that name would run it: what it returns is the exit code.
        words: Its arguments.
        folder: Where it runs.
        environment: All of its variables.
        output: Where all goes that it writes.
    """
    process = trained_before().Process(
        target=_run_in_fork, args=(program, [*map(str, words)], str(folder), dict(environment), str(output))
    )
    process.start()
    return Forked(process, output)


def trained_before() -> ForkServerContext:
    """Makes processes that have imported all that a training needs, and trained once: see the module of that name."""
    server = get_context("forkserver")
    server.set_forkserver_preload(["trained_before"])
    return server


@dataclass(frozen=True)
class Forked:
    """What tests want of `subprocess.Popen`, for a process that is another one's child."""

    process: Any
    output: Path

    @property
    def pid(self) -> int:
        return self.process.pid

    @property
    def returncode(self) -> int | None:
        return self.process.exitcode

    def poll(self) -> int | None:
        return self.process.exitcode

    def wait(self, timeout: float) -> int:
        self.process.join(timeout)
        assert self.process.exitcode is not None, "the process has not ended"
        return self.process.exitcode

    def send_signal(self, number: int) -> None:
        os.kill(self.process.pid, number)

    def kill(self) -> None:
        self.process.kill()
        self.process.join()

    def communicate(self, timeout: float) -> tuple[str, None]:
        self.wait(timeout)
        return self.output.read_text(), None


def _run_in_fork(
    program: Callable[[], Any], words: list[str], folder: str, environment: dict[str, str], output: str
) -> None:
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    for stream in (1, 2):
        os.dup2(descriptor, stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["hotlap", *words]
    sys.exit(program())


def _checked(done: subprocess.CompletedProcess[str], code: int) -> subprocess.CompletedProcess[str]:
    assert done.returncode == code, f"{done.args} ended with {done.returncode}:\n{done.stdout}\n{done.stderr}"
    return done


def wait_for(condition: Callable[[], Any], what: str, *, limit_s: int = WAIT_S) -> Any:
    """The first true value of ``condition``."""
    for _ in range(10 * limit_s):
        if value := condition():
            return value
        time.sleep(0.1)
    raise AssertionError(f"waited in vain for {what}")


def end(process: subprocess.Popen[str] | Forked) -> str:
    """Wait for the end of a process; all that it wrote, in one line."""
    output, _ = process.communicate(timeout=WAIT_S)
    return re.sub(r"\s+", " ", output)

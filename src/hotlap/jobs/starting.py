"""Start a training that outlives the terminal."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

from hotlap.errors import ConfigError, RecordError
from hotlap.jobs.record import JobRecord
from hotlap.jobs.registry import JobRegistry
from hotlap.jobs.running import JOB_VARIABLE
from hotlap.records.address import absolute, is_s3, model_name
from hotlap.user_folders import state_folder

POLL_S = 0.1

# Elsewhere a session of its own is enough; Windows would end the process with its console.
_WINDOWS_FLAGS = getattr(subprocess, "CREATE_NEW_PROCESS_GROUP", 0) | getattr(subprocess, "CREATE_NO_WINDOW", 0)


class BackgroundJob:
    """A command of ours in a session of its own, with its output in ``logs/training-{time}.log`` of a model folder.

    Args:
        command: Words after ``hotlap``, of a command that trains ``folder``.
        folder: The model folder, or the prefix of a bucket; then the output is among the user's own state.
        name: Of the job.

    Raises:
        RecordError: If a job of this machine is training the folder already, or the log cannot be written.
    """

    def __init__(self, command: Sequence[str], folder: str | Path, name: str | None = None) -> None:
        self.registry = JobRegistry()
        self.registry.refuse_second(folder)
        home = state_folder() / "logs" / model_name(folder) if is_s3(folder) else Path(absolute(folder)) / "logs"
        self.log = home / f"training-{datetime.now():%Y%m%d-%H%M%S}.log"
        try:
            self.log.parent.mkdir(parents=True, exist_ok=True)
            output = self.log.open("ab")
        except OSError as error:
            raise RecordError(
                f"{self.log} could not be written ({error.strerror}). A background job needs a place for its output; "
                f"make {home.parent} writable for this user."
            ) from error
        self.id = self.registry.add(folder, name=name, log=str(self.log)).id
        with output:
            self.process = subprocess.Popen(
                # -P: Python files in the present folder must not stand in for modules of the same name.
                [sys.executable, "-P", "-m", "hotlap.cli.main", *command],
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=os.environ | {JOB_VARIABLE: self.id, "PYTHONUNBUFFERED": "1"},
                start_new_session=True,
                creationflags=_WINDOWS_FLAGS,
            )

    def wait_until_begun(self) -> JobRecord | None:
        """Its record as soon as it trains; None if it ended before. Then `process` has its exit code."""
        try:
            while (job := self.registry.get(self.id)).state == "starting":
                if self.process.poll() is not None:
                    self.registry.drop(self.id)
                    return None
                time.sleep(POLL_S)
            if job.live or job.state == "finished":
                return job
        except ConfigError:  # it was refused, and is not listed any more
            pass
        self.process.wait()
        return None

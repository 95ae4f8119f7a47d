"""One host of a Ray cluster: a process that lives as long as this one, or shorter."""

from __future__ import annotations

import contextlib
import ctypes
import hashlib
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import MutableMapping
from importlib.util import find_spec

import psutil

from hotlap.errors import MissingExtraError, TrainingError

_START_S = 120.0
_LEAVE_S = 15.0
_PR_SET_PDEATHSIG = 1


def set_token(identity: str, environment: MutableMapping[str, str] = os.environ) -> str:
    """Give this process, and all that it starts, the token of the job's cluster; the same on all hosts.

    A token that is set already stays. One made of ``identity`` keeps clusters apart that meet by mistake; it is no
    secret to someone who knows the job.
    """
    environment.setdefault("RAY_AUTH_TOKEN", hashlib.sha256(f"hotlap {identity}".encode()).hexdigest())
    environment.setdefault("RAY_AUTH_MODE", "token")
    environment.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    return environment["RAY_AUTH_TOKEN"]


class RayNode:
    """This host's part of a Ray cluster.

    Args:
        ip: Own address.
        port: Where the head listens, if this is the head.
        head: Address and port of the head, if this is another host.
        num_cpus: Processors that may be used.

    Raises:
        MissingExtraError: Without Ray.
    """

    def __init__(self, *, ip: str, num_cpus: int, port: int | None = None, head: str | None = None) -> None:
        if find_spec("ray") is None:
            raise MissingExtraError("ray", "cluster", "Training on several hosts")
        self.address = f"{ip}:{port}" if port else head
        where = ["--head", f"--port={port}", "--include-dashboard=false"] if port else [f"--address={head}"]
        self._log = tempfile.TemporaryFile()  # noqa: SIM115  (lives as long as the process that writes it)
        self._process = subprocess.Popen(
            [
                *(sys.executable, "-m", "ray.scripts.scripts", "start", "--block", "--disable-usage-stats"),
                *(*where, f"--node-ip-address={ip}", f"--num-cpus={num_cpus}", "--log-color=false"),
            ],
            stdout=self._log,
            stderr=subprocess.STDOUT,
            stdin=subprocess.DEVNULL,
            # Signals to the group of this process, such as Ctrl-C, are for it to handle.
            start_new_session=True,
            preexec_fn=_end_with_parent,
        )

    def wait_until_up(self) -> None:
        """Wait until the head answers.

        Raises:
            TrainingError: If it ends or does not come up.
        """
        assert self.address
        ip, _, port = self.address.rpartition(":")
        deadline = time.monotonic() + _START_S
        while time.monotonic() < deadline:
            self.check()
            with contextlib.suppress(OSError), socket.create_connection((ip, int(port)), timeout=2):
                return
            time.sleep(0.2)
        raise TrainingError(f"Ray did not come up at {self.address} within {_START_S:.0f} s: {self._last_words()}")

    @property
    def ended(self) -> bool:
        """Whether the process is no more."""
        return self._process.poll() is not None

    def check(self) -> None:
        """Raise a TrainingError if the process has ended."""
        if self.ended:
            raise TrainingError(f"Ray ended on this host, code {self._process.returncode}: {self._last_words()}")

    def close(self) -> None:
        """Leave the cluster; a head takes it down."""
        parts: list[psutil.Process] = []
        with contextlib.suppress(psutil.NoSuchProcess):
            parts = psutil.Process(self._process.pid).children(recursive=True)
        self._process.terminate()  # it drains the node and ends all its parts, unless it has only begun to start them
        with contextlib.suppress(subprocess.TimeoutExpired):
            self._process.wait(_LEAVE_S)
        _, left = psutil.wait_procs(parts, timeout=1)
        for part in left:
            with contextlib.suppress(psutil.NoSuchProcess):
                part.kill()
        self._process.kill()
        self._process.wait()
        self._log.close()

    def _last_words(self) -> str:
        self._log.seek(0)
        words = self._log.read().decode(errors="replace").split()
        return " ".join(words)[-600:] or "it printed nothing"


def _end_with_parent() -> None:
    """Let the kernel end the process about to start when this one dies, however that happens (Linux)."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGTERM)

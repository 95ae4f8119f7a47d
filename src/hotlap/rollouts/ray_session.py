"""Join a Ray cluster, or start one on this machine that nobody else sees; what becomes of it, in words."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import socket
import threading
import time
import uuid
import warnings
from collections import deque
from collections.abc import Iterator

import psutil

from hotlap.errors import HotlapError, MissingExtraError, TrainingError
from hotlap.resources import num_processors

KNOCK_S = 5.0
KNOCK_EVERY_S = 1.0
LOOK_EVERY_S = 1.0
NEEDED = ("raylet", "gcs_server")  # when one of them ends, nothing goes on
_SMALLEST_STORE = 256 << 20  # [bytes]
# What Ray says to every driver in a paragraph of its own, and we in one line.
_SAID_BY_US = "A worker died or was killed while executing a task|The node with node id|Spilled |Raylet is terminated"
_WIDTH = 200  # of what Ray says, in our messages


class RaySessionLost(TrainingError):
    """What a connection to Ray needs has ended; nothing that belongs to it can be used any more."""


class RaySession:
    """A connection to Ray; `close` ends what `connect` started.

    Args:
        owned: Whether the cluster was started here and ends with the session.
        joined: Whether this process was not connected before.
        processes: Of a cluster that was started here.
    """

    def __init__(self, *, owned: bool, joined: bool, processes: RayProcesses | None = None) -> None:
        self.owned, self.joined = owned, joined
        self._processes = processes
        self._doors = _doors() if joined and not owned else []
        self._knocked_at = time.monotonic()

    def check(self) -> None:
        """Find out whether the session can be used.

        After the end of a node's process, Ray ends a process at once that reads, puts or frees an object in shared
        memory, and after a minute one that asks for anything else. So this is to be called before.

        Raises:
            RaySessionLost: If a process of Ray has ended that it needs.
        """
        ended = None
        if self._processes is not None:
            ended = self._processes.ended
        elif self._doors and time.monotonic() - self._knocked_at > KNOCK_EVERY_S:
            self._knocked_at = time.monotonic()
            ended = next((f"{name} at {host}:{port}" for name, host, port in self._doors if _shut(host, port)), None)
        if ended:
            raise RaySessionLost(f"Ray has ended ({ended}).")

    def take_continued(self) -> list[str]:
        """What was stopped and was told to go on since this was asked last, in words."""
        continued = self._processes.continued if self._processes is not None else None
        return [continued.popleft() for _ in range(len(continued))] if continued else []

    def close(self) -> None:
        """Leave the cluster; end it if it is ours, also where it does not answer."""
        import ray

        if not (self.joined and ray.is_initialized()):
            return
        processes = self._processes
        ray.shutdown()  # while the raylet lives, if it does: a task that fails afterwards would end this process
        if processes is not None:
            processes.close()  # only now: it takes what is stopped out of the way
            processes.kill()


def connect(address: str | None, *, num_workers: int, store_bytes: int) -> RaySession:
    """Connect this process to Ray.

    Args:
        address: Of a running cluster, as for `ray.init`; None starts one on this machine, on loopback only. In a
            process that is already connected, that connection is used.
        num_workers: Workers that shall find room in a cluster of our own.
        store_bytes: What its object store shall hold.

    Raises:
        MissingExtraError: If Ray is not installed.
        TrainingError: If the cluster cannot be reached or started.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    # What a reward function prints is shown line by line, also when two workers print the same.
    os.environ.setdefault("RAY_DEDUP_LOGS_ALLOW_REGEX", f"^(?!{_SAID_BY_US})")
    os.environ.setdefault("RAY_DEDUP_LOGS_SKIP_REGEX", f"^({_SAID_BY_US})")
    os.environ.setdefault("RAY_SCHEDULER_EVENTS", "0")  # advice on autoscalers
    os.environ.setdefault("RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO", "0")
    if address is None:
        # Despite its name this keeps Ray on 127.0.0.1 on Linux as well.
        os.environ.setdefault("RAY_ENABLE_WINDOWS_OR_OSX_CLUSTER", "0")
    try:
        import ray
    except ImportError:
        raise MissingExtraError("ray", "cluster", "Training with several workers") from None
    if ray.is_initialized():
        return RaySession(owned=False, joined=False)
    if address is not None:
        _knock(address)
    before = set(psutil.Process().children())
    namespace = f"hotlap-{uuid.uuid4().hex[:12]}"  # jobs on one cluster do not see each other's names
    try:
        with _own_signal_handlers():
            if address is None:
                ray.init(
                    address="local",
                    num_cpus=max(num_workers, num_processors()),
                    include_dashboard=False,
                    object_store_memory=max(_SMALLEST_STORE, store_bytes),
                    namespace=namespace,
                    logging_level=logging.ERROR,
                )
            else:
                ray.init(address=address, namespace=namespace, logging_level=logging.ERROR)
    except Exception as error:  # Ray raises bare ones, such as when a busy machine takes too long to start it
        reason = str(error).strip().splitlines()
        raise _no_cluster(address, reason[0] if reason else type(error).__name__) from error
    if address is not None:
        return RaySession(owned=False, joined=True)
    started = set(psutil.Process().children()) - before
    return RaySession(owned=True, joined=True, processes=RayProcesses([each for each in started if _is_ray(each)]))


class RayProcesses:
    """Watches over processes from a thread of its own; one that was stopped is told to go on.

    The thread is needed because calls into Ray may wait for ever for a process that was stopped.

    Args:
        roots: What Ray's start in this process started.
    """

    def __init__(self, roots: list[psutil.Process]) -> None:
        self._roots = roots
        self._needed = [process for process in roots if process.name() in NEEDED]
        self._known = set(roots)
        self._names = {process.pid: process.name() for process in self._needed}
        self._closed = threading.Event()
        self.continued: deque[str] = deque()
        """Processes that were stopped and were told to go on, in words; for whoever tells the user to take out."""
        self._thread = threading.Thread(target=self._watch, name="ray-processes", daemon=True)
        self._thread.start()

    @property
    def ended(self) -> str | None:
        """Which needed process is no more; None: all live."""
        for process in self._needed:
            try:
                if process.status() != psutil.STATUS_ZOMBIE:
                    continue
            except psutil.NoSuchProcess:
                pass
            return f"{self._names[process.pid]}, process {process.pid}"
        return None

    def kill(self) -> None:
        """End all that is left, also what is stopped and what has lost its parent."""
        self._look()
        for process in self._known:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(self._known, timeout=5.0)

    def close(self) -> None:
        """Stop watching."""
        self._closed.set()
        self._thread.join()

    def _watch(self) -> None:
        while not self._closed.wait(LOOK_EVERY_S):
            self._look()

    def _look(self) -> None:
        known = {process for process in self._known if process.is_running()}
        for root in self._roots:
            with contextlib.suppress(psutil.Error):
                known |= set(root.children(recursive=True))
        self._known = known
        for process in known:
            with contextlib.suppress(psutil.Error):
                if process.status() == psutil.STATUS_STOPPED:
                    process.send_signal(signal.SIGCONT)
                    self.continued.append(f"{process.name()}, process {process.pid}")


def _is_ray(process: psutil.Process) -> bool:
    """Whether a process runs a program of Ray; a caller's other threads may have started others."""
    import ray

    folder = os.path.dirname(ray.__file__)
    try:
        return any(folder in word for word in process.cmdline())
    except psutil.Error:
        return False


def _doors() -> list[tuple[str, str, int]]:
    """Name, host and port of what must listen as long as this process is connected."""
    import ray

    context = ray.get_runtime_context()
    host, _, port = context.gcs_address.rpartition(":")
    own = [node for node in ray.nodes() if node["NodeID"] == context.get_node_id()]
    nodes = [("raylet", node["NodeManagerAddress"], int(node["NodeManagerPort"])) for node in own]
    return [("the head", host.strip("[]"), int(port)), *nodes]


def _shut(host: str, port: int) -> bool:
    try:
        socket.create_connection((host, port), KNOCK_S).close()
    except ConnectionRefusedError:
        return True
    except OSError:  # a network that is down may come up again
        return False
    return False


def _knock(address: str) -> None:
    """Find out within seconds that nobody is there; Ray would try for minutes."""
    if address == "auto":
        return
    host, _, port = address.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), KNOCK_S).close()
    except ValueError:  # no number
        raise _no_cluster(address, "this is no address") from None
    except OSError as error:
        raise _no_cluster(address, error.strerror or str(error)) from error


def _no_cluster(address: str | None, reason: str) -> TrainingError:
    where = "start Ray on this machine" if address is None else f"join the Ray cluster at {address}"
    return TrainingError(
        f"cannot {where}: {reason}. Expected the address of the head that `ray start --head` printed, such as "
        "10.0.0.5:6379, with the same versions of Python and Ray and, if the cluster asks for a token, "
        "RAY_AUTH_MODE=token with the same token here. Without training.cluster workers run on this machine."
    )


@contextlib.contextmanager
def _own_signal_handlers() -> Iterator[None]:
    """Keep the process's answer to SIGTERM: Ray would end its processes at once and the program after it."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if threading.current_thread() is threading.main_thread() and before is not None:
            signal.signal(signal.SIGTERM, before)


def accept_shared_views() -> None:
    """Keep torch from warning of read-only arrays: what Ray gives are views of shared memory, which nobody changes."""
    warnings.filterwarnings("ignore", message="The given NumPy array is not writable")


def spilled_bytes() -> int:
    """What the object store of this machine has moved to disk so far, for want of memory; 0 if Ray does not tell."""
    try:
        # There is no public way to ask.
        from grpc import RpcError
        from ray._private.internal_api import node_stats
    except ImportError:
        return 0
    import ray

    own_id = ray.get_runtime_context().get_node_id()
    try:
        (own,) = [node for node in ray.nodes() if node["NodeID"] == own_id]
        stats = node_stats(own["NodeManagerAddress"], own["NodeManagerPort"], include_memory_info=False).store_stats
    except (ray.exceptions.RayError, RpcError):
        return 0
    # Objects that are being read cannot be moved; new ones are then made in a file instead.
    return int(stats.spilled_bytes_total + stats.object_store_bytes_fallback)


def user_error(error: BaseException) -> HotlapError | None:
    """What a user's file is to blame for."""
    cause = getattr(error, "cause", None)
    return cause if isinstance(cause, HotlapError) else None


def reason(error: BaseException) -> str:
    """What became of a process, to follow its name: ``worker 3 lost its machine``."""
    from ray import exceptions

    text = " ".join(str(error).split())
    if isinstance(error, exceptions.RayTaskError):
        return f"raised {_last_line(error)}"
    if isinstance(error, exceptions.OutOfMemoryError) or "memory on the node" in text:
        return "was ended because its machine ran out of memory"
    if isinstance(error, exceptions.NodeDiedError) or "node has died" in text or "node was terminated" in text:
        return "was lost with its machine"
    if isinstance(error, exceptions.ActorUnavailableError):
        return "cannot be reached"
    if "error raised in its creation task" in text:
        return f"could not be started: {_last_line(error)}"
    if isinstance(error, exceptions.ActorDiedError):
        return "died: it was killed, or crashed in compiled code"
    if isinstance(error, exceptions.ObjectLostError):
        return "was lost with what it had played"
    return f"failed: {type(error).__name__}: {_last_line(error)}"


def _last_line(error: BaseException) -> str:
    """The line that names an error, below its traceback."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    line = lines[-1].rstrip(".") if lines else type(error).__name__
    return line if len(line) <= _WIDTH else line[: _WIDTH - 3] + "..."

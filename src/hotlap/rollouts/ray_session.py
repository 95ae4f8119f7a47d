"""Join a Ray cluster, or start one on this machine that nobody else sees."""

from __future__ import annotations

import logging
import os
import signal
import socket
import threading
import uuid
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hotlap.errors import MissingExtraError, TrainingError

KNOCK_S = 5.0
_SMALLEST_STORE = 256 << 20  # [bytes]
# What Ray says to every driver in a paragraph of its own, and we in one line.
_SAID_BY_US = "A worker died or was killed while executing a task|The node with node id|Spilled "


@dataclass(frozen=True)
class RaySession:
    """A connection to Ray; `close` ends what `connect` started."""

    owned: bool
    """Whether the cluster was started here and ends with the session."""
    joined: bool
    """Whether this process was not connected before."""

    def close(self) -> None:
        """Leave the cluster; end it if it is ours."""
        import ray

        if self.joined and ray.is_initialized():
            ray.shutdown()


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
    namespace = f"hotlap-{uuid.uuid4().hex[:12]}"  # jobs on one cluster do not see each other's names
    try:
        with _own_signal_handlers():
            if address is None:
                ray.init(
                    address="local",
                    num_cpus=max(num_workers, os.cpu_count() or 1),
                    include_dashboard=False,
                    object_store_memory=max(_SMALLEST_STORE, store_bytes),
                    namespace=namespace,
                    logging_level=logging.ERROR,
                )
            else:
                ray.init(address=address, namespace=namespace, logging_level=logging.ERROR)
    except (ray.exceptions.RayError, ConnectionError, OSError, RuntimeError, ValueError) as error:
        reason = str(error).strip().splitlines()
        raise _no_cluster(address, reason[0] if reason else type(error).__name__) from error
    return RaySession(owned=address is None, joined=True)


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


@contextmanager
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

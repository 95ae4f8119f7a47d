"""Where the hosts of a training job meet: the leader tells the others when to join its cluster and when to leave.

Ray alone would not do: a node that loses its head cannot tell a training that is done from one that crashed, and needs
a minute to notice. Here a host that dies is known at once, because its connection ends.

What travels, one JSON object per line:

    other → leader   {"host": "algo-2", "cpus": 4, "secret": "…"}
    leader → other   {"cluster": "10.0.0.1:6379"}, when the cluster is there
    leader → other   {"end": "done"} or {"end": "failed"}
"""

from __future__ import annotations

import contextlib
import hmac
import json
import socket
import time
from collections.abc import Callable, Collection
from threading import Condition, Thread
from typing import Any, Literal

from hotlap.bounded import load_json
from hotlap.errors import TrainingError

End = Literal["done", "failed"]

_HELLO_S = 10.0  # a connection that has not said who it is after so long is none of ours
_MAX_LINE = 4096


class Meeting:
    """The leader's side: listens from now on, in threads of its own.

    Args:
        address: Own address, and the port where the others come to.
        secret: What only the hosts of this job know.
        on_message: Told of hosts that come and go.
    """

    def __init__(self, address: tuple[str, int], secret: str, on_message: Callable[[str], None]) -> None:
        self._secret = secret
        self._on_message = on_message
        self._changed = Condition()
        self._hosts: dict[str, tuple[socket.socket, int]] = {}
        self._seen: set[str] = set()
        self._cluster: str | None = None
        self._end: End | None = None
        try:
            self._server = socket.create_server(address)
        except OSError as error:
            raise TrainingError(
                f"{address[0]}, port {address[1]}, where the hosts of the job should meet, cannot be used "
                f"({error.strerror}). Choose another with --port, the same on every host."
            ) from error
        Thread(target=self._accept, name="meeting", daemon=True).start()

    @property
    def num_cpus(self) -> int:
        """Processors of all hosts that are here."""
        with self._changed:
            return sum(cpus for _, cpus in self._hosts.values())

    def invite(self, cluster: str) -> None:
        """Let all hosts that are here, and all that will come, join the cluster at an address."""
        with self._changed:
            self._cluster = cluster
            for connection, _ in self._hosts.values():
                _send(connection, {"cluster": cluster})

    def wait_for(self, hosts: Collection[str], timeout_s: float) -> list[str]:
        """Wait until all ``hosts`` have come, if only for a moment; those that have not."""
        with self._changed:
            self._changed.wait_for(lambda: self._seen.issuperset(hosts), timeout_s)
            return sorted(set(hosts) - self._seen)

    def end(self, end: End, hosts: Collection[str], timeout_s: float) -> None:
        """Tell all ``hosts``, also those that have not come yet, how the job ended; wait until they are gone."""
        with self._changed:
            self._end = end
            for connection, _ in self._hosts.values():
                _send(connection, {"end": end})
            self._changed.wait_for(lambda: self._seen.issuperset(hosts) and not self._hosts, timeout_s)

    def _accept(self) -> None:
        while True:
            connection, _ = self._server.accept()
            Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with connection:
            hello = self._hello(connection)
            if hello is None:
                return
            name, cpus = hello
            _notice_silence(connection)
            with self._changed:
                self._hosts[name] = connection, cpus
                self._seen.add(name)
                self._changed.notify_all()
                if self._end is not None:
                    _send(connection, {"end": self._end})
                elif self._cluster is not None:
                    _send(connection, {"cluster": self._cluster})
            self._on_message(f"{name} is here with {cpus} processors.")
            with contextlib.suppress(OSError):
                while connection.recv(_MAX_LINE):
                    pass
            with self._changed:
                if self._hosts.get(name, (None,))[0] is connection:
                    del self._hosts[name]
                self._changed.notify_all()
                expected = self._end is not None
            if not expected:
                self._on_message(f"{name} is gone; the others play its episodes.")

    def _hello(self, connection: socket.socket) -> tuple[str, int] | None:
        """Name and processors of who is there; None if it is none of this job."""
        connection.settimeout(_HELLO_S)
        try:
            hello = load_json(connection.makefile("rb").readline(_MAX_LINE))
            if hmac.compare_digest(str(hello["secret"]), self._secret):
                connection.settimeout(None)
                return str(hello["host"]), int(hello["cpus"])
        except (OSError, ValueError, KeyError, TypeError):
            pass
        return None


class Visit:
    """The side of every other host.

    Args:
        address: Name or address of the leader, and its port.
        host: Own name.
        num_cpus: Own processors.
        secret: What only the hosts of this job know.
        timeout_s: How long to look for the leader, whose name and port may not be there yet.

    Raises:
        TrainingError: If it is not found.
    """

    def __init__(self, address: tuple[str, int], *, host: str, num_cpus: int, secret: str, timeout_s: float) -> None:
        deadline = time.monotonic() + timeout_s
        while True:
            try:
                self._connection = socket.create_connection(address, timeout=5)
                break
            except OSError as error:
                if time.monotonic() > deadline:
                    raise TrainingError(
                        f"{host} did not reach the leading host {address[0]}, port {address[1]}, within "
                        f"{timeout_s:.0f} s ({error}). See the log of that host; the hosts of a job must be allowed to "
                        "connect to each other."
                    ) from error
                time.sleep(0.5)
        _notice_silence(self._connection)
        _send(self._connection, {"host": host, "cpus": num_cpus, "secret": secret})
        self._buffer = b""

    def wait(self, timeout_s: float) -> dict[str, str] | None:
        """The next message of the leader; None if there is none yet.

        Raises:
            ConnectionError: If the leader is gone.
        """
        self._connection.settimeout(timeout_s)
        while b"\n" not in self._buffer:
            try:
                data = self._connection.recv(_MAX_LINE)
            except TimeoutError:
                return None
            if not data:
                raise ConnectionResetError("the leader closed the connection")
            self._buffer += data
        line, self._buffer = self._buffer.split(b"\n", 1)
        message: dict[str, str] = json.loads(line)
        return message

    def close(self) -> None:
        """Leave."""
        self._connection.close()


def _send(connection: socket.socket, message: dict[str, Any]) -> None:
    # Whoever is gone is found by the thread that listens to it.
    with contextlib.suppress(OSError):
        connection.sendall(json.dumps(message).encode() + b"\n")


def _notice_silence(connection: socket.socket) -> None:
    """Let the connection end within half a minute if the other machine vanishes without a word."""
    connection.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE, 10)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPINTVL, 5)
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_KEEPCNT, 4)

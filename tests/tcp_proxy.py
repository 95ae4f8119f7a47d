"""A bad network between a client and a server on loopback."""

from __future__ import annotations

import contextlib
import socket
import threading
import time


class Proxy:
    """Passes connections on to a server, as well as it is told to.

    Args:
        port: Of the server.

    Attributes:
        delay_s: Before each piece is passed on.
        cut_after: A connection breaks when the client has sent so many bytes; None: never.
        silent: Nothing is passed on any more; connections stay open.
    """

    def __init__(self, port: int) -> None:
        self.delay_s = 0.0
        self.cut_after: int | None = None
        self.silent = False
        self._server = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: set[socket.socket] = set()
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def endpoint(self) -> str:
        """Address for the client."""
        return f"http://127.0.0.1:{self._listener.getsockname()[1]}"

    def drop(self) -> None:
        """Break all connections there are."""
        for connection in list(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Nobody listens any more."""
        # Wakes the thread that accepts; closing alone does not.
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self.drop()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            try:
                server = socket.create_connection(("127.0.0.1", self._server))
            except OSError:
                client.close()
                continue
            self._open |= {client, server}
            threading.Thread(target=self._pass, args=(client, server, True), daemon=True).start()
            threading.Thread(target=self._pass, args=(server, client, False), daemon=True).start()

    def _pass(self, source: socket.socket, sink: socket.socket, from_client: bool) -> None:
        num_bytes = 0
        with contextlib.suppress(OSError):
            while piece := source.recv(1 << 16):
                num_bytes += len(piece)
                time.sleep(self.delay_s)
                while self.silent:
                    time.sleep(0.01)
                if from_client and self.cut_after is not None and num_bytes >= self.cut_after:
                    break
                sink.sendall(piece)
        for end in (source, sink):
            with contextlib.suppress(OSError):
                end.shutdown(socket.SHUT_RDWR)
            self._open.discard(end)

"""How the hosts of a job reach each other."""

from __future__ import annotations

import socket
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from hotlap.errors import TrainingError

JOIN_S = 600.0  # how long the hosts of a job may take to start, from the first to the last
_RESOLVE_S = 120.0


@dataclass(frozen=True)
class Network:
    """Addresses and ports, the same on every host."""

    addresses: Mapping[str, str] = field(default_factory=dict)
    """Of hosts whose names nobody resolves."""

    port: int = 6380
    """Where the leader meets the others."""

    ray_port: int = 6379
    """Where the head of the Ray cluster listens; nodes and workers choose theirs themselves."""

    def ip_of(self, host: str) -> str:
        """The address of a host; its name may take a while to be known.

        Raises:
            TrainingError: If it is not known after two minutes.
        """
        deadline = time.monotonic() + _RESOLVE_S
        while True:
            try:
                return socket.gethostbyname(self.addresses.get(host, host))
            except OSError as error:
                if time.monotonic() > deadline:
                    raise TrainingError(
                        f"the address of {host} could not be found ({error}). The hosts of a job must know each "
                        "other's names; where they do not, start each with --address HOST=IP for every host."
                    ) from error
                time.sleep(1)

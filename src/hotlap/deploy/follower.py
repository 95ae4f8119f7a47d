"""Every other host: a node of the leader's cluster from the moment it is invited until the job ends."""

from __future__ import annotations

import math
import signal
import time
from contextlib import suppress
from types import FrameType

from hotlap.deploy.contract import Contract
from hotlap.deploy.meeting import Visit
from hotlap.deploy.network import JOIN_S, Network
from hotlap.deploy.printed_lines import say
from hotlap.deploy.ray_node import RayNode, set_token
from hotlap.deploy.settings import Settings
from hotlap.deploy.workspace import prepare
from hotlap.errors import HotlapError, TrainingError

_STOP_S = 110  # SageMaker kills 120 s after SIGTERM
_MAX_RESTARTS = 3


def follow(contract: Contract, settings: Settings, leader: str, network: Network) -> bool:
    """Give this host's processors to the job until the leader says that it is done; whether it succeeded.

    A SIGTERM comes to all hosts; the leader's workers are needed to finish the iteration, so this host stays until the
    leader is done or the time is up.

    Raises:
        TrainingError: If the leader is not found, or vanishes.
    """
    ip = network.ip_of(contract.host)
    secret = set_token(contract.identity)
    deadline = math.inf

    def stop(number: int, _: FrameType | None) -> None:
        nonlocal deadline
        say(f"{signal.Signals(number).name}: this host leaves with the leader, or in {_STOP_S} s.")
        deadline = time.monotonic() + _STOP_S

    signal.signal(signal.SIGTERM, stop)
    # What lies beside the reward function can be imported where its folder exists. What is wrong, the leader will say.
    with suppress(HotlapError):
        prepare(contract, settings)
    visit = Visit(
        (network.ip_of(leader), network.port),
        host=contract.host,
        num_cpus=contract.num_cpus,
        secret=secret,
        timeout_s=JOIN_S,
    )
    say(f"found the leading host {leader}.")
    node: RayNode | None = None
    head, restarts = "", 0
    try:
        while time.monotonic() < deadline:
            try:
                message = visit.wait(1.0)
            except ConnectionError as error:
                raise TrainingError(f"the leading host {leader} is gone, and with it the training.") from error
            if message and "end" in message:
                say(f"the leading host ended the training: {message['end']}.")
                return message["end"] == "done"
            if message and "cluster" in message:
                head = message["cluster"]
                node = RayNode(ip=ip, num_cpus=contract.num_cpus, head=head)
                say(f"joins the cluster at {head} with {contract.num_cpus} processors.")
            elif node is not None and node.ended:
                restarts += 1
                if restarts > _MAX_RESTARTS:
                    node.check()
                say("Ray ended on this host; it joins again.")
                node.close()
                node = RayNode(ip=ip, num_cpus=contract.num_cpus, head=head)
    finally:
        if node is not None:
            node.close()
        visit.close()
    return True

"""``train`` in a container that follows SageMaker's contract: the same command on every host of a training job.

One host leads: it trains, and if there are others it is the head of a Ray cluster which they join. Exit code 0: the
model is delivered. 2: something that the user can mend. 1: anything else. The reason of a failure lies in
``output/failure``.
"""

from __future__ import annotations

import argparse
import signal
import sys
import traceback
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from hotlap.deploy.contract import BASE, BASE_VARIABLE, Contract, base_folder, output_folder, read_contract
from hotlap.deploy.interrupts import end_interrupts, interrupt_on_sigterm
from hotlap.deploy.network import Network
from hotlap.deploy.printed_lines import say, say_plainly
from hotlap.deploy.settings import sort_hyperparameters
from hotlap.errors import HotlapError
from hotlap.records.log_lines import exception_line
from hotlap.unfinished import write_whole


def main(arguments: Sequence[str] | None = None) -> int:
    """Take part in a training job; the exit code."""
    options = _options(arguments)
    warnings.showwarning = _show_warning
    interrupt_on_sigterm()
    base = base_folder(options.base)
    output = output_folder(base)
    try:
        contract = read_contract(base)
        return _take_part(contract, Network(dict(options.address), options.port, options.ray_port))
    except HotlapError as error:
        return _failed(output, error, str(error), 2)
    except KeyboardInterrupt:
        end_interrupts()
        say("stopped before the training began.")
        return 128 + signal.SIGTERM
    except Exception as error:
        return _failed(output, error, f"{type(error).__name__}: {error}\n\n{traceback.format_exc()}", 1)


def _take_part(contract: Contract, network: Network) -> int:
    settings = sort_hyperparameters(contract.hyperparameters)
    leader = contract.leader(settings.leader_group)
    if contract.host == leader:
        from hotlap.deploy.leader import lead

        lead(contract, settings, network)
        return 0
    from hotlap.deploy.follower import follow

    return 0 if follow(contract, settings, leader, network) else 1


def _failed(output: Path, error: Exception, reason: str, code: int) -> int:
    """Say why where SageMaker looks for it, and to those who read the log."""
    say_plainly([exception_line(error)])
    say(f"failed: {reason}")
    write_whole(output / "failure", reason.encode())  # SageMaker shows the first 1,024 characters
    return code


def _options(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="train", description="Train a model in a container that follows SageMaker's contract."
    )
    parser.add_argument(
        "--base", type=Path, metavar="DIR", help=f"instead of {BASE}; also by the variable {BASE_VARIABLE}"
    )
    parser.add_argument("--port", type=int, default=Network.port, help="where the hosts meet (%(default)s)")
    parser.add_argument("--ray-port", type=int, default=Network.ray_port, help="of the Ray cluster (%(default)s)")
    parser.add_argument(
        "--address",
        type=_address,
        action="append",
        default=[],
        metavar="HOST=IP",
        help="address of a host whose name is not resolved; once for each",
    )
    return parser.parse_args(arguments)


def _address(text: str) -> tuple[str, str]:
    host, separator, ip = text.partition("=")
    if not (host and separator and ip):
        raise argparse.ArgumentTypeError(f"{text!r} is not HOST=IP, such as algo-1=10.0.0.5")
    return host, ip


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    say(f"warning: {message}")


if __name__ == "__main__":
    sys.exit(main())

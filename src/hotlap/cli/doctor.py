"""``hotlap doctor``: what this machine has, and what is missing."""

from __future__ import annotations

import platform

from hotlap.cli.output import JsonOption, print_json


def doctor(as_json: JsonOption = False) -> None:
    """Say what this machine has, and what is missing."""
    found = {"python": platform.python_version()}
    if as_json:
        print_json(found)
    else:
        print(found)

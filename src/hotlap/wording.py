"""Words for numbers, as people say them."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """``1 lap``, ``2 laps``, ``1,200 laps``."""
    return f"{number:,} {thing}{'s' * (number != 1)}"

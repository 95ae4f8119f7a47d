"""Words for numbers, as people say them."""

from __future__ import annotations


def counted(number: int, thing: str) -> str:
    """``1 lap``, ``2 laps``, ``1,200 laps``."""
    return f"{number:,} {thing}{'s' * (number != 1)}"


def lap_time(milliseconds: float) -> str:
    """Minutes, seconds and milliseconds, ``MM:SS.mmm``."""
    minutes, rest = divmod(round(milliseconds), 60_000)
    return f"{minutes:02d}:{rest // 1000:02d}.{rest % 1000:03d}"

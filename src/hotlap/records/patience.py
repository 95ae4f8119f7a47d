"""Waiting for room on a full disk."""

from __future__ import annotations

import errno
import time
from collections.abc import Callable
from typing import TypeVar

from hotlap.backoff import pauses

Result = TypeVar("Result")


class Patience:
    """Waits until there is room where there was none.

    Args:
        seconds: How long, each time.
        tell: Is told when waiting begins and when it was worth it.
    """

    def __init__(self, seconds: float = 0.0, tell: Callable[[str], None] = lambda message: None) -> None:
        self.seconds = seconds
        self.tell = tell

    def wait_for_room(self, place: object, attempt: Callable[[], Result]) -> Result:
        """The result of ``attempt``, which is made again as long as it fails for want of room at ``place``.

        Raises:
            OSError: The last failure, or any other.
        """
        waits = pauses(0.25, 5.0)
        deadline = time.monotonic() + self.seconds
        told = False
        while True:
            try:
                result = attempt()
            except OSError as error:
                left = deadline - time.monotonic()
                if left <= 0 or not lacks_room(error):
                    raise
                if not told:
                    self.tell(f"{place}: {error.strerror}. Waiting up to {self.seconds:.0f} s until there is room.")
                told = True
                time.sleep(min(next(waits), left))
                continue
            if told:
                self.tell(f"There is room again for {place}.")
            return result


def lacks_room(error: OSError) -> bool:
    """Whether something was not written because a disk is full, or a user's share of it."""
    return error.errno in (errno.ENOSPC, errno.EDQUOT)

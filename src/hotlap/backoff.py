"""Pauses between attempts that grow, for whatever may succeed a little later."""

from __future__ import annotations

import random
from collections.abc import Iterator


def pauses(first: float, longest: float) -> Iterator[float]:
    """Seconds to wait after each failure: doubled each time up to ``longest``, with a random quarter less.

    Without that quarter all who wait for the same server would come back at the same moment.
    """
    pause = first
    while True:
        yield pause * random.uniform(0.75, 1.0)
        pause = min(2 * pause, longest)

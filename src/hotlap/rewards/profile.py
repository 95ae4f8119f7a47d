"""What a reward function costs."""

from __future__ import annotations

import cProfile
import math
import pstats
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from hotlap.rewards.function import RewardFunction

MOST_SPOTS = 8


@dataclass(frozen=True)
class RewardCost:
    """Time per call, in microseconds."""

    calls: int
    mean_us: float
    p50_us: float
    p99_us: float
    max_us: float

    @classmethod
    def of(cls, durations_ns: Iterable[int]) -> RewardCost:
        """Statistics of measured durations [ns]; at least one."""
        us = np.fromiter(durations_ns, dtype=np.float64) / 1e3
        p50, p99 = np.percentile(us, [50, 99])
        return cls(len(us), float(us.mean()), float(p50), float(p99), float(us.max()))

    def to_dict(self) -> dict[str, float]:
        return asdict(self)


@dataclass(frozen=True)
class HotSpot:
    """One function that a reward function spends its time in."""

    place: str
    """Name, file and line."""
    calls: int
    own_us: float
    """Time in the function itself [µs], all calls together; a profiler's, so slower than without one."""


def hot_spots(reward: RewardFunction, rows: Iterable[dict[str, Any]], *, end: float = math.inf) -> list[HotSpot]:
    """The functions that cost most, by their own time; ``rows`` are used up, so give a list of fresh ones.

    What there is time for until ``end``, as of `time.monotonic`.
    """
    rows = list(rows)
    profiler = cProfile.Profile()
    profiler.enable()
    try:
        for params in rows:
            if time.monotonic() > end:
                break
            reward(params)
    finally:
        profiler.disable()
    spots = []
    for (file, line, name), (calls, _, own, *_) in pstats.Stats(profiler).stats.items():  # type: ignore[attr-defined]
        if file == __file__ or "_lsprof.Profiler" in name:
            continue
        place = name if file == "~" else f"{name} ({Path(file).name}:{line})"
        spots.append(HotSpot(place, calls, own * 1e6))
    return sorted(spots, key=lambda spot: -spot.own_us)[:MOST_SPOTS]

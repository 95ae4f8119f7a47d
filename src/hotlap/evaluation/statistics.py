"""What many laps say about a policy: rates with their uncertainty, lap times, mistakes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

CONFIDENCE = 0.95
_NORMAL_QUANTILE = 1.959963984540054  # two-sided, for CONFIDENCE


@dataclass(frozen=True)
class LapResult:
    """One lap (continuous evaluation) or one trial."""

    trial: int
    """From 1."""

    time_ms: int
    """Simulation time from the start to the end, penalties included [ms]."""

    completion_percentage: float
    """Progress at the end [%]."""

    status: str
    """Internal status at the end, such as ``lap_complete`` or ``off_track``."""

    off_track_count: int = 0
    crash_count: int = 0
    reversed_count: int = 0
    immobilized_count: int = 0

    reset_count: int = 0
    """Times that the car was put back on the track."""

    penalty_s: float = 0.0
    """Sum of the penalties, contained in ``time_ms`` [s]."""

    clean: bool = False
    """Completed without any mistake."""

    @property
    def complete(self) -> bool:
        """Whether the lap was finished, cleanly or not."""
        return self.completion_percentage >= 100


@dataclass(frozen=True)
class Estimate:
    """A number with its 95 % confidence interval."""

    value: float
    low: float
    high: float


@dataclass(frozen=True)
class LapTimes:
    """Distribution of the times of complete laps [s]."""

    num_laps: int
    min: float
    median: float
    p90: float
    max: float
    std: float
    """Standard deviation of the sample; 0 for a single lap."""

    mean: Estimate
    """With Student's t interval; a single lap says nothing about its spread, the interval is then the value alone."""


@dataclass(frozen=True)
class EvaluationReport:
    """All laps of an evaluation and what follows from them.

    ``to_json`` writes these keys, which stay as they are:

    ===========================  =============================================================================
    ``num_laps``                 number of laps or trials
    ``completion_rate``          share of complete laps: ``value, low, high`` (Wilson, 95 %); null without laps
    ``clean_rate``               share of laps without any mistake, likewise
    ``completion_mean``          mean progress at the end [%]; null without laps
    ``lap_time_s``               over complete laps: ``num_laps, min, median, p90, max, std``, ``mean`` with
                                 ``value, low, high`` (Student's t, 95 %); null if none was complete
    ``clean_lap_time_s``         likewise over clean laps
    ``off_tracks_per_lap``       mean count per lap; likewise ``crashes_per_lap``, ``resets_per_lap``; null without laps
    ``race_time_s``              sum of the times of all laps, penalties included, as leagues rank it; null if there is
                                 none, or one was not finished
    ``laps``                     one object per lap with the fields of `LapResult`
    ===========================  =============================================================================
    """

    laps: tuple[LapResult, ...]

    @property
    def num_laps(self) -> int:
        return len(self.laps)

    @property
    def completion_rate(self) -> Estimate | None:
        """Share of complete laps. None without laps."""
        return wilson(sum(lap.complete for lap in self.laps), self.num_laps)

    @property
    def clean_rate(self) -> Estimate | None:
        """Share of laps without any mistake. None without laps."""
        return wilson(sum(lap.clean for lap in self.laps), self.num_laps)

    @property
    def completion_mean(self) -> float | None:
        """Mean progress at the end [%]. None without laps."""
        return self._mean([lap.completion_percentage for lap in self.laps])

    @property
    def lap_time(self) -> LapTimes | None:
        """Times of the complete laps, penalties included. None if there is none."""
        return lap_times([lap.time_ms for lap in self.laps if lap.complete])

    @property
    def clean_lap_time(self) -> LapTimes | None:
        """Times of the clean laps. None if there is none."""
        return lap_times([lap.time_ms for lap in self.laps if lap.clean])

    @property
    def race_time_s(self) -> float | None:
        """Sum of the times of all laps, penalties included [s]. None without laps, or if one was not finished."""
        if not self.laps or not all(lap.complete for lap in self.laps):
            return None
        return sum(lap.time_ms for lap in self.laps) / 1000

    def to_json(self) -> dict[str, Any]:
        """JSON values under the keys in the class's description."""
        return {
            "num_laps": self.num_laps,
            "completion_rate": _plain(self.completion_rate),
            "clean_rate": _plain(self.clean_rate),
            "completion_mean": self.completion_mean,
            "lap_time_s": _plain(self.lap_time),
            "clean_lap_time_s": _plain(self.clean_lap_time),
            "off_tracks_per_lap": self._mean([lap.off_track_count for lap in self.laps]),
            "crashes_per_lap": self._mean([lap.crash_count for lap in self.laps]),
            "resets_per_lap": self._mean([lap.reset_count for lap in self.laps]),
            "race_time_s": self.race_time_s,
            "laps": [asdict(lap) for lap in self.laps],
        }

    @classmethod
    def from_json(cls, values: dict[str, Any]) -> EvaluationReport:
        """The report whose `to_json` gave ``values``."""
        return cls(tuple(LapResult(**lap) for lap in values["laps"]))

    def dumps(self) -> str:
        """`to_json` as text on one line."""
        return json.dumps(self.to_json(), allow_nan=False)

    def _mean(self, values: Sequence[float]) -> float | None:
        return float(np.mean(values)) if values else None


def wilson(num_successes: int, num_trials: int) -> Estimate | None:
    """Share of successes with Wilson's score interval. None without trials.

        p = k / n
        interval = (p + z²/2n ± z sqrt(p (1 - p) / n + z²/4n²)) / (1 + z²/n)

    It stays within [0, 1] and says something even when all or none succeeded.

    Source: Wilson (1927), J. Am. Stat. Assoc. 22, p. 209-212.
    """
    if num_trials == 0:
        return None
    share = num_successes / num_trials
    z2_n = _NORMAL_QUANTILE**2 / num_trials
    center = (share + z2_n / 2) / (1 + z2_n)
    half = math.sqrt(z2_n * share * (1 - share) + z2_n**2 / 4) / (1 + z2_n)
    return Estimate(share, max(0.0, min(share, center - half)), min(1.0, max(share, center + half)))


def lap_times(times_ms: Sequence[float]) -> LapTimes | None:
    """Distribution of lap times given in milliseconds. None without laps."""
    if not len(times_ms):
        return None
    times = np.asarray(times_ms, dtype=np.float64) / 1000
    num = len(times)
    mean = float(times.mean())
    std = float(times.std(ddof=1)) if num > 1 else 0.0
    half = _student_quantile(num - 1) * std / math.sqrt(num) if num > 1 else 0.0
    return LapTimes(
        num_laps=num,
        min=float(times.min()),
        median=float(np.median(times)),
        p90=float(np.quantile(times, 0.9)),
        max=float(times.max()),
        std=std,
        mean=Estimate(mean, mean - half, mean + half),
    )


def _student_quantile(degrees_of_freedom: int) -> float:
    """Two-sided, for `CONFIDENCE`."""
    from scipy.special import stdtrit  # as much to load as the simulator; a training may do without for long

    return float(stdtrit(degrees_of_freedom, 0.5 + CONFIDENCE / 2))


def _plain(value: Estimate | LapTimes | None) -> dict[str, Any] | None:
    return None if value is None else asdict(value)

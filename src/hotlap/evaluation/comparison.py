"""Several models under the same rules: which differences between them are more than chance."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from hotlap.evaluation.statistics import CONFIDENCE, EvaluationReport


@dataclass(frozen=True)
class Difference:
    """One model is better than another by one measure."""

    measure: Literal["clean_rate", "lap_time_s"]
    """Share of clean laps, or median time of the complete laps, penalties included [s]."""

    better: int
    """Index of the better model."""

    worse: int
    better_value: float
    worse_value: float

    p_value: float
    """How often chance alone would make such a difference between equal models somewhere in the comparison."""


def differences(reports: Sequence[EvaluationReport]) -> list[Difference]:
    """What differs beyond chance, at the level of 5 % for the whole comparison; the surest first.

    Every model is compared with every other: shares of clean laps by Fisher's exact test, times of complete laps by the
    test of Mann and Whitney. Several tests find something more easily, which Holm's method makes up for.

    Source: Holm (1979), Scand. J. Stat. 6, p. 65-70.
    """
    found = sorted(
        (
            difference
            for one, other in itertools.combinations(range(len(reports)), 2)
            for difference in _tests(reports, one, other)
        ),
        key=lambda each: each.p_value,
    )
    kept: list[Difference] = []
    p_value = 0.0
    for rank, difference in enumerate(found):
        p_value = max(p_value, min(1.0, (len(found) - rank) * difference.p_value))
        if p_value >= 1 - CONFIDENCE:
            break
        kept.append(replace(difference, p_value=p_value))
    return kept


def _tests(reports: Sequence[EvaluationReport], one: int, other: int) -> Iterator[Difference]:
    """The differences of two models, however small, each with the p-value of its own test."""
    from scipy import stats  # takes half a second

    first, second = reports[one], reports[other]
    if first.num_laps and second.num_laps:
        clean = [sum(lap.clean for lap in report.laps) for report in (first, second)]
        missed = [report.num_laps - number for report, number in zip((first, second), clean, strict=True)]
        shares = (clean[0] / first.num_laps, clean[1] / second.num_laps)
        p_value = float(stats.fisher_exact([clean, missed]).pvalue)
        yield _difference("clean_rate", (one, other), shares, shares[0] >= shares[1], p_value)
    times = [[lap.time_ms / 1000 for lap in report.laps if lap.complete] for report in (first, second)]
    if all(times):
        test = stats.mannwhitneyu(*times)
        # U counts the pairs of laps in which the first model is the slower one.
        medians = (float(np.median(times[0])), float(np.median(times[1])))
        faster = 2 * test.statistic <= len(times[0]) * len(times[1])
        yield _difference("lap_time_s", (one, other), medians, faster, float(test.pvalue))


def _difference(
    measure: Literal["clean_rate", "lap_time_s"],
    models: tuple[int, int],
    values: tuple[float, float],
    first_is_better: bool,
    p_value: float,
) -> Difference:
    better, worse = (0, 1) if first_is_better else (1, 0)
    return Difference(measure, models[better], models[worse], values[better], values[worse], p_value)

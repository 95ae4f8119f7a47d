"""Statistics over laps against independent references, and the table people read."""

from __future__ import annotations

import io
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.console import Console

from hotlap.evaluation.statistics import EvaluationReport, LapResult, lap_times, wilson
from hotlap.evaluation.table import summary_table, trials_table
from hotlap.wording import lap_time

LAPS = (
    LapResult(1, 11_234, 100.0, "lap_complete", clean=True),
    LapResult(2, 16_801, 100.0, "lap_complete", off_track_count=1, reset_count=1, penalty_s=5.0),
    LapResult(3, 4_000, 37.9, "off_track", off_track_count=1),
)


@given(st.integers(1, 400).flatmap(lambda n: st.tuples(st.integers(0, n), st.just(n))))
def test_wilson_agrees_with_scipy(counts):
    from scipy import stats  # half a second, which each process of a run would wait when it collects this file

    num_successes, num_trials = counts
    ours = wilson(num_successes, num_trials)
    theirs = stats.binomtest(num_successes, num_trials).proportion_ci(method="wilson")
    assert ours is not None
    # SciPy stops at 0 and 1 as well, but only after rounding.
    np.testing.assert_allclose([ours.low, ours.high], [theirs.low, theirs.high], atol=1e-12)
    assert 0 <= ours.low <= ours.value <= ours.high <= 1


def test_ninety_of_a_hundred_by_hand():
    """The published example values of Wilson's interval for 90 of 100."""
    estimate = wilson(90, 100)
    assert estimate is not None
    assert (round(estimate.low, 4), round(estimate.high, 4)) == (0.8256, 0.9448)


@given(st.lists(st.integers(5_000, 60_000), min_size=2, max_size=50))
def test_lap_times_agree_with_scipy(times_ms):
    from scipy import stats

    ours = lap_times(times_ms)
    times = np.array(times_ms) / 1000
    assert ours is not None
    assert (ours.min, ours.max) == (times.min(), times.max())
    assert ours.median == pytest.approx(np.median(times))
    if times.std() > 0:
        low, high = stats.t.interval(0.95, len(times) - 1, times.mean(), stats.sem(times))
        assert (ours.mean.low, ours.mean.high) == pytest.approx((low, high))


def test_report_by_hand():
    report = EvaluationReport(LAPS)
    assert report.completion_rate is not None
    assert report.clean_rate is not None
    assert (report.completion_rate.value, report.clean_rate.value) == (2 / 3, 1 / 3)
    assert report.completion_mean == pytest.approx(237.9 / 3)
    assert report.lap_time is not None
    assert report.lap_time.median == pytest.approx(14.0175)
    assert report.clean_lap_time is not None
    assert report.clean_lap_time.mean.low == report.clean_lap_time.mean.high == 11.234


@pytest.mark.parametrize("laps", [(), LAPS[2:], LAPS])
def test_report_survives_json(laps):
    """With no lap, none complete, and some: the same keys, no NaN, and the same report back."""
    report = EvaluationReport(laps)
    values = json.loads(report.dumps())
    assert values.keys() == EvaluationReport(LAPS).to_json().keys()
    assert EvaluationReport.from_json(values) == report


@pytest.mark.parametrize(
    ("time_ms", "text"),
    [
        (0, "00:00.000"),
        (11_234, "00:11.234"),
        (59_999.6, "01:00.000"),
        (61_007, "01:01.007"),
        (6_000_000, "100:00.000"),
    ],
)
def test_lap_time_format(time_ms, text):
    assert lap_time(time_ms) == text


def test_tables_show_the_conventional_columns():
    output = io.StringIO()
    console = Console(file=output, width=80)
    console.print(trials_table(EvaluationReport(LAPS), max_rows=2), summary_table(EvaluationReport(LAPS)))
    text = output.getvalue()
    lines = [" ".join(line.split()) for line in text.splitlines()]
    assert "Trial MM:SS.mmm complete Status tracks Crashes Penalties Resets" in lines
    assert "1 00:11.234 100 Lap complete 0 0 -- 0" in lines
    assert "2 00:16.801 100 Lap complete 1 0 00:05.000 1" in lines
    assert "and 1 more trials" in lines
    best, mean = lines[lines.index("Total DNF 1 unfinished") + 1 :][:2]
    assert (best, mean[:-1]) == ("Best 00:11.234", "Mean 00:14.01")  # of 11.234 and 16.801 s
    assert "Laps clean 33.3 % 6.1 % to 79.2 %" in lines


def test_the_race_time_is_the_sum_of_all_laps():
    """With penalties, as leagues rank it; there is none if a lap was not finished."""
    assert EvaluationReport(LAPS[:2]).race_time_s == pytest.approx(28.035)
    assert EvaluationReport(LAPS).race_time_s is None
    assert EvaluationReport(()).race_time_s is None
    output = io.StringIO()
    Console(file=output, width=80).print(trials_table(EvaluationReport(LAPS[:2])))
    assert "Total 00:28.035" in [" ".join(line.split()) for line in output.getvalue().splitlines()]

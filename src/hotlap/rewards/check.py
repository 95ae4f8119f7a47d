"""Check a reward function before a car drives by it: every kind of step, its values, its cost."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import perf_counter_ns
from typing import Any

import numpy as np

from hotlap.errors import RewardError
from hotlap.rewards.function import RewardFunction, explain, line_of
from hotlap.rewards.loader import load_reward, read_reward
from hotlap.rewards.params import RewardParams
from hotlap.rewards.profile import HotSpot, RewardCost, hot_spots
from hotlap.rewards.sample_steps import SampleTrack, sample_steps
from hotlap.rewards.source_check import Problem, check_source

SLOW_US = 500.0
"""A mean cost per call [µs] from which on training feels it."""


@dataclass(frozen=True)
class RewardRange:
    """The rewards of one kind of step."""

    calls: int
    lowest: float
    mean: float
    highest: float


@dataclass
class RewardReport:
    """What a check found; `ok` if training can run with this file."""

    path: str
    calls: int = 0
    problems: list[Problem] = field(default_factory=list)
    ranges: dict[str, RewardRange] = field(default_factory=dict)
    """By the kind of step, the calls that failed left out."""
    cost: RewardCost | None = None
    hot_spots: list[HotSpot] = field(default_factory=list)
    has_batch: bool = False
    """Whether the file has a `reward_function_batch`."""

    @property
    def ok(self) -> bool:
        return all(problem.level != "error" for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """The report for `--json`."""
        return {"ok": self.ok, **asdict(self)}


def check_reward(path: str | Path, tracks: Sequence[SampleTrack], *, profile: bool = False) -> RewardReport:
    """Load a reward function and call it on steps of every kind on ``tracks``.

    Args:
        path: A file, or the name of a shipped example.
        tracks: Where to drive; at best a loop and an open one.
        profile: Find out, too, in which functions the time goes.

    Returns:
        A report; a file that cannot even be loaded is its only problem.
    """
    report = RewardReport(str(path))
    try:
        reward = load_reward(path)
    except RewardError as error:
        cause = error.__cause__
        line = line_of(cause, Path(path).absolute())[1] if cause is not None else 0
        report.problems.append(Problem("error", str(error), line or None))
        return report
    report.path = str(reward.path)
    report.has_batch = reward.batch_function is not None
    source = read_reward(path).text.decode("utf-8-sig", errors="replace")
    report.problems += check_source(source, reward.namespace)

    params = RewardParams([route for track in tracks for route in (track, track.reversed())])
    samples = _samples(tracks)
    caller = _Caller(reward)
    for kind, columns in samples:
        caller.call_on(kind, params, columns)
    report.calls = caller.calls
    report.cost = RewardCost.of(caller.durations_ns) if caller.durations_ns else None
    report.ranges = caller.ranges()
    report.problems += caller.problems.values()
    report.problems += _doubts(caller, report)
    if report.ok:
        report.problems += _other_types(reward, params, samples)
    if reward.batch_function is not None:
        report.problems += _batch_problems(reward, params, samples)
    if profile and report.ok:
        report.hot_spots = hot_spots(reward, [row for _, columns in samples for row in params.rows(columns)])
    return report


def _samples(tracks: Sequence[SampleTrack]) -> list[tuple[str, dict[str, np.ndarray]]]:
    return [
        (kind, columns)
        for number, track in enumerate(tracks)
        for kind, columns in sample_steps(track, route=2 * number, reversed_route=2 * number + 1).items()
    ]


class _Caller:
    """Calls a function on many steps and collects values, durations of calls that succeed, and each failure once."""

    def __init__(self, reward: RewardFunction) -> None:
        self.reward = reward
        self.calls = 0
        self.values: dict[str, list[float]] = {}
        self.durations_ns: list[int] = []
        self.problems: dict[Any, Problem] = {}

    def call_on(self, kind: str, params: RewardParams, columns: dict[str, np.ndarray]) -> None:
        for row in params.rows(columns):
            self.calls += 1
            begin = perf_counter_ns()
            try:
                value = self.reward(row, f"sample step {kind!r}")
            except RewardError as error:
                self._failed(error)
            else:
                self.durations_ns.append(perf_counter_ns() - begin)
                self.values.setdefault(kind, []).append(value)

    def _failed(self, error: RewardError) -> None:
        cause = error.__cause__
        line = line_of(cause, self.reward.path)[1] if cause is not None else None
        # A value that cannot be a reward has no exception behind it; what it was tells such failures apart.
        kind = (
            explain(cause) if cause is not None else str(error).partition("the reward function ")[2].partition(";")[0]
        )
        self.problems.setdefault((line, kind), Problem("error", str(error), line))

    def ranges(self) -> dict[str, RewardRange]:
        return {
            kind: RewardRange(len(values), min(values), float(np.mean(values)), max(values))
            for kind, values in self.values.items()
        }


def _doubts(caller: _Caller, report: RewardReport) -> Iterator[Problem]:
    """What is allowed, but hardly meant."""
    everything = [value for values in caller.values.values() for value in values]
    if len(everything) > 1 and min(everything) == max(everything):
        yield Problem(
            "warning",
            f"the reward is {everything[0]:g} at every step, so there is nothing in it that a car could learn",
        )
        return
    ranges = report.ranges
    if {"on the centre line", "off the track"} <= ranges.keys():
        on, off = ranges["on the centre line"].mean, ranges["off the track"].mean
        if off >= on:
            yield Problem(
                "warning", f"leaving the track is worth {off:.3g} on average, driving on its centre line {on:.3g}"
            )
    if report.cost is not None and report.cost.mean_us > SLOW_US:
        yield Problem("warning", f"a call takes {report.cost.mean_us:.0f} µs on average, which training will feel")


def _other_types(
    reward: RewardFunction, params: RewardParams, samples: list[tuple[str, dict[str, np.ndarray]]]
) -> Iterator[Problem]:
    """The console's validator wants an instance of float; the simulator converts what can be converted."""
    for kind, columns in samples:
        try:
            value = reward.function(next(params.rows(columns)))
        except Exception:  # it has just succeeded, so it is random or counts its calls; not what is asked here
            continue
        if not isinstance(value, float):
            yield Problem(
                "warning",
                f"the reward of the sample step {kind!r} is of type {type(value).__name__}: the DeepRacer console's "
                "validator would refuse this; return float(reward)",
            )
            return


def _batch_problems(
    reward: RewardFunction, params: RewardParams, samples: list[tuple[str, dict[str, np.ndarray]]]
) -> Iterator[Problem]:
    """Whether `reward_function_batch` gives what `reward_function` gives."""
    for kind, columns in samples:
        try:
            batch = reward.call_batch(params, columns, f"sample steps {kind!r}")
            single = np.array([reward(row) for row in params.rows(columns)])
        except RewardError as error:
            yield Problem("error", str(error), None)
            return
        differing = np.flatnonzero(~np.isclose(batch, single, rtol=1e-6, atol=1e-9))
        if len(differing):
            first = differing[0]
            yield Problem(
                "error",
                f"reward_function_batch gives {batch[first]:g} where reward_function gives {single[first]:g} "
                f"(sample step {kind!r}, {len(differing)} of {len(batch)} such steps differ)",
            )
            return

"""What is allowed in a reward function, but hardly meant: found by asking one that works."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from hotlap.errors import RewardError
from hotlap.rewards.explain import describe
from hotlap.rewards.loader import load_reward
from hotlap.rewards.play import Clock, Play
from hotlap.rewards.reading import read
from hotlap.rewards.report import RewardReport
from hotlap.rewards.source_check import CONSOLE, Problem, rare_names, warning

SLOW_US = 2000.0
"""A median cost per call [µs] from which on training feels it."""

HUGE = 1e4
PROBED_SPEEDS = 0.5, 1.0, 2.0, 3.0  # [m/s]

_LAPS = ("a good lap", "a good lap around the objects")


def hardly_meant(path: str | Path, source: str, play: Play, clock: Clock, report: RewardReport) -> Iterator[Problem]:
    """Warnings and notes about a function that works.

    Args:
        path: Its file.
        source: The text of it.
        play: What it gave; nothing of it has failed.
        clock: The time there is.
        report: What is known so far; what there is no time for is added to it.
    """
    return _Doubts(path, source, play, clock, report).all()


class _Doubts:
    def __init__(self, path: str | Path, source: str, play: Play, clock: Clock, report: RewardReport) -> None:
        self.path, self.source, self.play, self.clock, self.report = path, source, play, clock, report
        self.values = np.array([value for each in play.episodes for value in each.rewards])

    def _fresh(self, number: int) -> dict[str, Any]:
        """The inputs of one of `values`, counted through the episodes."""
        for each in self.play.episodes:
            if number < len(each.rewards):
                return next(self.play.params.rows({key: rows[[number]] for key, rows in each.episode.columns.items()}))
            number -= len(each.rewards)
        raise IndexError(number)

    def _are(self, key: str) -> np.ndarray:
        """What an input that is true or false was for each of `values`."""
        return np.concatenate([each.episode.columns[key][: len(each.rewards)] for each in self.play.episodes]) != 0

    def all(self) -> Iterator[Problem]:
        lines: set[int] = set()
        again = self._again(lines)
        yield from self._unassigned(lines, saw_all=not again.not_played)
        yield from self._changed_and_types()
        cost = self.report.cost
        if cost is not None and cost.p50_us > SLOW_US:
            ms = cost.p50_us / 1e3
            yield warning(
                f"the function is slow: a call takes {ms:.3g} ms, and a training asks it at every step: 10000 steps of "
                f"driving wait {ms * 10:.0f} s for it; prepare outside of the function what is the same at every step"
            )
        twice = zip(self.play.episodes, again.episodes, strict=True)
        pairs = (pair for one, other in twice for pair in zip(one.rewards, other.rewards, strict=False))
        if any(before != after for before, after in pairs):
            yield warning(
                "the same drive gets other rewards when it is judged again: the reward is random, or depends on the "
                "time, so a car learns slowly or not at all from it"
            )
            return
        # What is said of every step needs every step.
        found = [*(self._every_step() if self.report.complete else self._whole_episodes())]
        yield from found or self._crawling()

    def _again(self, lines: set[int]) -> Play:
        """The same episodes with a fresh instance; ``lines`` gets those of the file that run."""
        file = str(self.play.reward.path)

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            if frame.f_code.co_filename != file:
                return None
            if event == "line":
                lines.add(frame.f_lineno)
            return trace

        # What comes after needs some time, too.
        again = Play(load_reward(self.path), self.play.params, Clock(self.clock.end - 0.3 * self.clock.left))
        sys.settrace(trace)
        try:
            for each in self.play.episodes:
                again.play(each.episode)
        finally:
            sys.settrace(None)
        if again.not_played and self.report.complete and again.num_whole < min(2, len(again.episodes)):
            self.report.not_tried.append("whether the same drive gets the same rewards again")
        return again

    def _unassigned(self, lines: set[int], *, saw_all: bool) -> Iterator[Problem]:
        """Names read on a line that no episode came to, and assigned on lines that none came to."""
        for rare in rare_names(self.source):
            if rare.line in lines or rare.assigned & lines:
                continue
            if not saw_all:
                self.report.not_tried.append(f"whether {rare.name!r} in line {rare.line} always has a value")
                continue
            yield warning(
                f"{rare.name!r} has a value only if line {min(rare.assigned)} was reached, which no episode did; "
                f"otherwise this line stops the training. Give it a value before the `if`, such as `{rare.name} = 0.0`",
                rare.line,
            )

    def _changed_and_types(self) -> Iterator[Problem]:
        if self.play.changed is not None:
            step, keys = self.play.changed
            yield warning(
                f"the function changes its inputs ({keys}; first in {step}): each call gets new ones, so this has no "
                "effect on the car or the next step; use a variable of your own"
            )
        function = self.play.reward.function
        if function is None:
            yield Problem("note", f"{CONSOLE}a file without reward_function(params)")
            return
        value = function(self._fresh(0))
        if not isinstance(value, float):
            yield Problem("note", f"{CONSOLE}a reward of type {type(value).__name__}, not float(reward)")

    def _every_step(self) -> Iterator[Problem]:
        low, high = float(self.values.min()), float(self.values.max())
        if low == high and len(self.values) > 1:
            yield warning(
                f"the reward is {low:g} at every step, so there is nothing in it that a car could learn; make it "
                "depend on the inputs"
            )
            return
        if max(abs(low), abs(high)) > HUGE:
            yield warning(
                f"rewards reach {high if high > HUGE else low:g}, and training stops beyond 100000; scale them to "
                "about 1 per step"
            )
        if high <= 0.0:
            yield warning(
                f"the reward is never above zero (from {low:.3g} to {high:.3g}): ending early pays most, so the car "
                "learns to leave the track at once; add something positive for good driving"
            )
        probed = [*self._probed()] if self._depends_on_the_step_alone() else []
        yield from probed
        if high > 0.0:
            yield from self._whole_episodes(crawl_told=any("learns to crawl" in each.message for each in probed))

    def _depends_on_the_step_alone(self) -> bool:
        """Whether single steps, out of order and asked of a fresh instance, get what they got in their episode."""
        count = self._affordable(60)
        chosen = np.random.default_rng(0).permutation(len(self.values))[:count]
        reward = load_reward(self.path)
        try:
            return count > 0 and all(reward(self._fresh(each)) == self.values[each] for each in chosen)
        except RewardError:
            return False

    def _affordable(self, calls: int) -> int:
        """How many of so many calls there is time for; too few tell nothing, and it is said that none was tried."""
        assert self.report.cost is not None
        count = min(calls, int(0.4 * self.clock.left / (self.report.cost.mean_us * 1e-6 + 1e-5)))
        if count < min(calls, 12):
            self.report.not_tried.append("the same steps at other speeds")
            return 0
        return count

    def _probed(self) -> Iterator[Problem]:
        """What shows when a step is changed a little, or steps are compared."""
        on = self._are("all_wheels_on_track") & ~self._are("is_crashed")
        off = self._are("is_offtrack")
        inside = self.values[on]
        if len(inside) and inside.min() == inside.max():
            yield warning(
                f"the reward is {inside[0]:g} at every step on the track, whatever the car does there: standing still "
                "or crawling pays as much as driving, and lasts longer; add progress or speed"
            )
        count = self._affordable(60 * len(PROBED_SPEEDS)) // len(PROBED_SPEEDS)
        sample = np.flatnonzero(on)[:: max(1, int(on.sum()) // max(count, 1))][:count]
        by_speed = np.empty((len(sample), len(PROBED_SPEEDS)))
        try:
            for number, step in enumerate(sample):
                by_speed[number] = [self.play.reward({**self._fresh(step), "speed": each}) for each in PROBED_SPEEDS]
        except RewardError:
            return
        change = np.diff(by_speed, axis=1).max(initial=-np.inf)
        scale = np.abs(by_speed).max(initial=1e-9)
        if len(sample) and change <= 1e-9 * scale and (by_speed[:, 0] - by_speed[:, -1]).mean() > 0.05 * scale:
            yield warning(
                f"the slower the car, the higher the reward: at the same place it is {by_speed[0, 0]:.3g} at 0.5 m/s "
                f"and {by_speed[0, -1]:.3g} at 3 m/s, so the car learns to crawl"
            )
        if off.any() and len(inside) and self.values[off].mean() >= max(0.999 * inside.mean(), 1e-9):
            reads = read(self.source).mentions(("all_wheels_on_track", "is_offtrack", "distance_from_center"))
            first = self._fresh(np.flatnonzero(off)[0])
            example = describe({key: first[key] for key in ("steps", "x", "y", "is_offtrack")})
            yield warning(
                f"off the track it pays as much as on it ({self.values[off].mean():.3g} and {inside.mean():.3g} per "
                f"step on average; for example at {example}): {'look at how it uses' if reads else 'it reads none of'} "
                "'all_wheels_on_track', 'is_offtrack' and 'distance_from_center'"
            )

    def _whole_episodes(self, *, crawl_told: bool = False) -> Iterator[Problem]:
        """Whether a bad episode pays as much in all as a good lap."""
        lap = self._values_of(*_LAPS)
        if not lap:
            return
        total = sum(lap)
        found: list[tuple[float, str, int, str]] = []
        # A reward for the place alone is common: a car that stands may get what a lap gets, but not far more.
        crawl = [] if crawl_told else self._values_of("hardly moving")
        if crawl and sum(crawl) >= total + abs(total):
            found.append((sum(crawl), "hardly moving", len(crawl), "stand still"))
        for each in self.play.episodes:
            wrong = {"reversed": "drive backwards", "off_track": "leave the track"}.get(each.episode.ending)
            if wrong and each.whole and (paid := sum(part := each.rewards[: len(lap)])) >= total:
                found.append((paid, each.episode.name, len(part), wrong))
        if found:
            paid, name, steps, what = max(found)
            yield warning(
                f"{steps} steps of {name} pay {paid:.4g} in all, and a good lap of {len(lap)} steps pays {total:.4g}: "
                f"the car learns to {what}; make good driving pay more at each step"
            )

    def _crawling(self) -> Iterator[Problem]:
        """Whether a car that hardly moves gets more than one that drives a lap."""
        lap, crawl = self._values_of(*_LAPS), self._values_of("hardly moving")
        if lap and crawl and sum(crawl) > sum(lap):
            yield Problem(
                "note",
                f"a car that hardly moves gets {sum(crawl):.4g} in {len(crawl)} steps, and a good lap of "
                f"{len(lap)} steps gets {sum(lap):.4g}; if your cars learn to crawl, pay more for speed or progress",
            )

    def _values_of(self, *names: str) -> list[float]:
        """What the first of these episodes got, if it was played to its end and shows what its name says."""
        for each in self.play.episodes:
            if (name := each.episode.name) in names and each.whole:
                is_lap = each.episode.ending == "lap_complete"
                crawls = each.episode.columns["progress"].max() < 20.0  # a slow action space does not go as slowly
                return each.rewards if (crawls if name == "hardly moving" else is_lap) else []
        return []

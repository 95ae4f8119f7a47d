"""Check a reward function before a car drives by it: play episodes in order, as training does, and judge."""

from __future__ import annotations

import copy
import itertools
import math
import os
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any, Literal

import numpy as np

from hotlap.errors import FailedCall, RewardError
from hotlap.rewards import guard, old_names
from hotlap.rewards.function import RewardFunction, describe, line_of
from hotlap.rewards.loader import load_reward, read_reward
from hotlap.rewards.params import RewardParams, Route
from hotlap.rewards.profile import HotSpot, RewardCost, hot_spots
from hotlap.rewards.reading import read
from hotlap.rewards.recorded_episodes import Episode
from hotlap.rewards.source_check import CONSOLE, Problem, check_source, rare_names

SLOW_US = 2000.0
"""A median cost per call [µs] from which on training feels it."""

HUGE = 1e4
WHOLE_S = 8.0
"""How long a check takes at most [s], unless told otherwise …"""

PLAYING = 0.6
"""… and which part of that the episodes may take; the rest is for doubts."""

_LAPS = ("a good lap", "a good lap around the objects")

FLOOD = 20
"""Printed lines per call from which on they are a flood."""


@dataclass(frozen=True)
class PlayedEpisode:
    """What a function gave in one episode."""

    race_type: str
    name: str
    ending: str
    """Such as "off_track"; "not_finished" if there was no time for all of its steps."""
    calls: int
    lowest: float
    mean: float
    highest: float
    total: float


@dataclass
class RewardReport:
    """What a check found."""

    path: str
    calls: int = 0
    problems: list[Problem] = field(default_factory=list)
    works: dict[str, bool] = field(default_factory=dict)
    """By race type that was tried, whether the function works there."""
    num_episodes: int = 0
    """How many there were to play."""
    num_played: int = 0
    """How many of them were played to their end."""
    not_tried: list[str] = field(default_factory=list)
    """What there was no time for: episodes, then questions."""
    episodes: list[PlayedEpisode] = field(default_factory=list)
    cost: RewardCost | None = None
    hot_spots: list[HotSpot] = field(default_factory=list)
    printed: list[str] = field(default_factory=list)
    """First lines that the function printed."""
    num_printed: int = 0

    @property
    def fails(self) -> bool:
        """Whether a training would stop."""
        return any(problem.level == "error" for problem in self.problems)

    @property
    def complete(self) -> bool:
        return not self.not_tried

    @property
    def ok(self) -> bool:
        """Whether everything was tried, and training can run with this file."""
        return self.complete and not self.fails

    @property
    def verdict(self) -> Literal["error", "not finished", "warning", "ok"]:
        if self.fails:
            return "error"
        if not self.complete:
            return "not finished"
        return "warning" if any(problem.level == "warning" for problem in self.problems) else "ok"

    @property
    def first_sentence(self) -> str:
        """What is most important, without the folder of the file; nothing if there is nothing to mend."""
        said = next((problem.message for problem in self.problems if problem.level != "note"), "")
        if not said and self.not_tried:
            return f"{self.num_played} of {self.num_episodes} episodes tried"
        return said.replace(f"{Path(self.path).absolute().parent}{os.sep}", "").partition(". ")[0].removesuffix(".")

    def to_dict(self) -> dict[str, Any]:
        """The report for `--json`."""
        return {"ok": self.ok, "complete": self.complete, "verdict": self.verdict, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RewardReport:
        """What `to_dict` made."""
        values = {key: value for key, value in data.items() if key not in ("ok", "complete", "verdict")}
        values["problems"] = [Problem(**{**each, "reads": tuple(each["reads"])}) for each in values["problems"]]
        values["episodes"] = [PlayedEpisode(**each) for each in values["episodes"]]
        values["hot_spots"] = [HotSpot(**each) for each in values["hot_spots"]]
        values["cost"] = RewardCost(**values["cost"]) if values["cost"] else None
        return cls(**values)


class _Clock:
    """What time there is, as of `time.monotonic`."""

    def __init__(self, end: float) -> None:
        self.end = end

    @property
    def left(self) -> float:
        return self.end - time.monotonic()


def check_reward(
    path: str | Path,
    races: Mapping[str, Sequence[Episode]],
    routes: Sequence[Route],
    *,
    needed: Sequence[str] = (),
    profile: bool = False,
    end: float | None = None,
) -> RewardReport:
    """Load a reward function and play ``races`` with it, in this process.

    Args:
        path: A file, or the name of a shipped example.
        races: Episodes by race type, those that tell most first.
        routes: What the episodes' column `route` counts through.
        needed: Race types in which the function must work; otherwise one is enough.
        profile: Find out, too, in which functions the time goes.
        end: The `time.monotonic` at which it is to come to an end, whatever is not tried by then; None: in `WHOLE_S`.

    Returns:
        A report; a file that cannot even be loaded is its only problem.
    """
    old_names.told.clear()  # what other functions of this process asked for
    guard.forget_lines()
    whole = _Clock(time.monotonic() + WHOLE_S if end is None else end)
    report = RewardReport(str(path), num_episodes=sum(map(len, races.values())))
    try:
        reward = load_reward(path)
    except RewardError as error:
        cause = error.__cause__
        line = line_of(cause, Path(path).absolute())[1] if cause is not None else 0
        report.problems.append(Problem("error", str(error), line or None))
        return report
    report.path = str(reward.path)
    source = read_reward(path).text.decode("utf-8-sig", errors="replace")
    params = RewardParams(routes)
    found = check_source(source, reward.namespace)
    never = next((each for each in found if "is never true: the first call" in each.message), None)
    threads = threading.active_count()

    # As training does: loaded once, one episode after another.
    playing = _Clock(whole.end - (1.0 - PLAYING) * whole.left)
    played = {race_type: _Play(load_reward(path) if number else reward, params, playing)
              for number, race_type in enumerate(races)}  # fmt: skip
    for together in itertools.zip_longest(*races.values()):
        for play, episode in zip(played.values(), together, strict=True):
            if episode is not None:
                play.episode(episode)
    _sum_up(report, played)
    report.problems += _failures(report, played, needed, never)
    report.problems += _not_told_yet(found, played, never)
    report.problems += _prints(report)
    if threading.active_count() > threads:
        report.problems.append(
            Problem(
                "warning",
                "the function starts threads that go on after the call: each call adds one, which slows "
                "the training down; end them in the same call, or start none",
            )
        )
    works = next((race_type for race_type, good in report.works.items() if good), None)
    if works is not None and not report.fails:
        report.problems += _Doubts(path, source, params, races[works], played[works], whole).all(report)
    if not report.fails and reward.batch_function is not None:
        episodes = [each for episodes in races.values() for each in episodes]
        report.problems += _batch_problems(path, params, episodes, whole, report)
    for file, line, sentence in old_names.told.values():
        at = line if file == str(reward.path) else None
        report.problems.append(Problem("warning", f"{sentence}; hotlap understands both", at))
    if profile and not report.fails:
        rows = [row for episodes in races.values() for each in episodes for row in params.rows(each.columns)]
        report.hot_spots = hot_spots(reward, rows, end=whole.end)
    report.problems.sort(key=lambda problem: ("error", "warning", "note").index(problem.level))
    return report


def _sum_up(report: RewardReport, played: Mapping[str, _Play]) -> None:
    for race_type, play in played.items():
        if play.whole or play.failures:
            report.works[race_type] = not play.failures
        kind = f" ({RACE_WORDS[race_type]})" if len(played) > 1 else ""
        report.not_tried += [f"{name}{kind}" for name in play.not_played]
        report.num_played += len(play.whole)
        for name, ending, values in play.values:
            if len(values):
                numbers = min(values), float(np.mean(values)), max(values), float(np.sum(values))
                shown = ending if name in play.whole else "not_finished"
                report.episodes.append(PlayedEpisode(race_type, name, shown, len(values), *numbers))
    report.calls = sum(play.calls for play in played.values())
    durations = [each for play in played.values() for each in play.durations_ns]
    report.cost = RewardCost.of(durations) if durations else None


@dataclass
class _Failure:
    """Calls that failed in one way, at one line."""

    call: FailedCall
    cause: BaseException | None
    count: int = 1
    worst: float = 0.0


class _Play:
    """Plays episodes with one loaded function."""

    def __init__(self, reward: RewardFunction, params: RewardParams, clock: _Clock) -> None:
        self.reward, self.params, self.clock = reward, params, clock
        self.calls = 0
        self.values: list[tuple[str, str, list[float]]] = []
        self.whole: list[str] = []
        """Episodes that were played to their end …"""
        self.not_played: list[str] = []
        """… and those that were not."""
        self.durations_ns: list[int] = []
        self.failures: dict[Any, _Failure] = {}
        self.changed: tuple[str, str] | None = None
        """The first step whose inputs the function changed, and which."""

    def episode(self, episode: Episode) -> list[float]:
        values: list[float] = []
        self.values.append((episode.name, episode.ending, values))
        ended = self._play(episode, values)
        (self.whole if ended else self.not_played).append(episode.name)
        return values

    def _play(self, episode: Episode, values: list[float]) -> bool:
        """Whether the episode came to its end."""
        last = len(episode.columns["x"]) - 1
        for number, row in enumerate(self.params.rows(episode.columns)):
            if self.clock.left <= 0.0:
                return False
            step = f"episode {episode.name!r}, step {int(row['steps'])}"
            if number % 16 == 0 and guard.is_full():
                self._filled(step)
                return False
            self.calls += 1
            begin = time.perf_counter_ns()
            try:
                before = copy.deepcopy(row) if number in (0, 1, last) else None
                begin = time.perf_counter_ns()
                value = self.reward(row, step)
            except MemoryError:  # around the call: what the function keeps has left nothing
                self._filled(step)
                return False
            except RewardError as error:
                self._failed(error)
                if isinstance(error.__cause__, MemoryError):
                    self._filled(step)
                if error.__cause__ is not None and guard.is_too_long(error.__cause__):
                    self.clock.end = 0.0  # it would be waited for again at each step
            else:
                self.durations_ns.append(time.perf_counter_ns() - begin)
                values.append(value)
            if before is not None and self.changed is None:
                different = [key for key in before if key not in row or not _same(row[key], before[key])]
                if different:
                    self.changed = step, ", ".join(map(repr, different))
        return True

    def _filled(self, step: str) -> None:
        """Free what the function keeps, so that there is memory to tell of it."""
        self.clock.end = 0.0
        self.reward.namespace.clear()
        if not self.failures:
            what = (
                "the reward function has filled the memory: it keeps more with each call. Keep only the last values, "
                "such as with collections.deque(maxlen=100)."
            )
            self.failures["memory"] = _Failure(FailedCall(str(self.reward.path), None, step, what, {}, ()), None)

    def _failed(self, error: RewardError) -> None:
        call = error.call
        assert call is not None
        value = re.search(r"returned (-?[\d.]+(?:e[+-]?\d+)?|-?inf)\b", call.what)
        size = abs(float(value[1])) if value else 0.0
        kind = call.place, "a value" if value else re.sub(r"[-\d.e+\s]+", "#", call.what)
        known = self.failures.get(kind)
        if known is None:
            self.failures[kind] = _Failure(call, error.__cause__, worst=size)
        else:
            known.count += 1
            known.worst = max(known.worst, size)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(
        np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
    )


RACE_WORDS = {"time_trial": "a time trial", "object_avoidance": "object avoidance", "head_to_bot": "head to bot"}


def _failures(
    report: RewardReport, played: Mapping[str, _Play], needed: Sequence[str], never: Problem | None
) -> Iterator[Problem]:
    """Errors where the function must work, warnings where it need not."""
    anywhere = any(report.works.values())
    said: set[Any] = set()
    for race_type, play in played.items():
        fatal = race_type in needed or (not needed and not anywhere)
        for kind, failure in play.failures.items():
            if kind in said:
                continue
            said.add(kind)
            call = failure.call
            always = 1 < failure.count == play.calls
            message = f"{call.place}{f', {call.where}' if call.where and not always else ''}: {call.what}"
            if failure.count > 1:
                worst = f", the worst returned {failure.worst:g}" if failure.worst else ""
                message += f" The same happens in {failure.count} of {play.calls} calls{worst}."
            if never is not None and _lacks_something(failure):
                message += f" The reason may be line {never.line}: {never.message}."
            if not fatal:
                good = " and ".join(RACE_WORDS[each] for each, works in report.works.items() if works)
                message = f"this function works for {good}, but not for {RACE_WORDS[race_type]}: {message}"
            inputs = {key: _plain(value) for key, value in call.inputs.items()}
            yield Problem("error" if fatal else "warning", message, call.line, inputs, call.reads)


def _lacks_something(failure: _Failure) -> bool:
    """Such as what is only set in a first step that never comes."""
    return isinstance(failure.cause, TypeError | AttributeError | NameError | KeyError | IndexError)


def _not_told_yet(problems: Sequence[Problem], played: Mapping[str, _Play], never: Problem | None) -> Iterator[Problem]:
    """What reading the file shows, without what a call has told."""
    told: set[tuple[str, int | None]] = set()
    for failure in (failure for play in played.values() for failure in play.failures.values()):
        cause, line = failure.cause, failure.call.line
        if isinstance(cause, KeyError) and cause.args:
            told.add((f"there is no key {cause.args[0]!r} ", line))
        elif isinstance(cause, NameError):
            told.add((f"the name {cause.name!r} is not defined ", line))
        if never is not None and _lacks_something(failure):
            told.add((never.message, never.line))
    for problem in problems:
        if not any(problem.message.startswith(begin) and problem.line == line for begin, line in told):
            yield problem


def _plain(value: Any) -> Any:
    """For JSON."""
    if isinstance(value, list | tuple | np.ndarray):
        return [_plain(each) for each in value]
    if isinstance(value, np.generic):
        value = value.item()
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    return value if value is None or isinstance(value, bool | int | str) else repr(value)[:200]


def _prints(report: RewardReport) -> Iterator[Problem]:
    """Whether the function prints more than anybody reads."""
    report.num_printed, place = guard.lines_written()
    lines = report.num_printed / max(report.calls, 1)
    if lines >= FLOOD:
        _, _, line = place.rpartition(", line ")
        yield Problem(
            "warning",
            f"the function prints {lines:.0f} lines a call: a training shows {guard.MAX_LINES} lines and waits for all "
            'the others too; print less, such as only `if params["steps"] == 2`',
            int(line) if line.isdigit() else None,
        )


class _Doubts:
    """What is allowed, but hardly meant; found by asking a function that works."""

    def __init__(
        self,
        path: str | Path,
        source: str,
        params: RewardParams,
        episodes: Sequence[Episode],
        play: _Play,
        clock: _Clock,
    ) -> None:
        self.path, self.source, self.params, self.episodes, self.play = path, source, params, episodes, play
        self.clock = clock
        steps = [
            (row, value)
            for episode, (_, _, values) in zip(episodes, play.values, strict=True)
            for row, value in zip(params.rows(episode.columns), values, strict=False)
        ]
        self.rows = [row for row, _ in steps]
        self.values = np.array([value for _, value in steps])

    def all(self, report: RewardReport) -> Iterator[Problem]:
        lines: set[int] = set()
        repeatable = self._again(lines, report)
        yield from self._unassigned(lines, report)
        yield from self._changed_and_types()
        if report.cost is not None and report.cost.p50_us > SLOW_US:
            ms = report.cost.p50_us / 1e3
            yield Problem(
                "warning",
                f"the function is slow: a call takes {ms:.3g} ms, and a training asks it at every step: 10000 steps of "
                f"driving wait {ms * 10:.0f} s for it; prepare outside of the function what is the same at every step",
            )
        if not repeatable:
            yield Problem("warning", "the same drive gets other rewards when it is judged again: the reward is random, "
                          "or depends on the time, so a car learns slowly or not at all from it")  # fmt: skip
            return
        # What is said of every step needs every step.
        found = [*(self._every_step(report) if report.complete else self._whole_episodes())]
        yield from found or self._crawling()

    def _every_step(self, report: RewardReport) -> Iterator[Problem]:
        low, high = float(self.values.min()), float(self.values.max())
        if low == high and len(self.values) > 1:
            yield Problem(
                "warning",
                f"the reward is {low:g} at every step, so there is nothing in it that a car could learn; "
                "make it depend on the inputs",
            )
            return
        if max(abs(low), abs(high)) > HUGE:
            yield Problem(
                "warning",
                f"rewards reach {high if high > HUGE else low:g}, and training stops beyond 100000; scale them to "
                "about 1 per step",
            )
        if high <= 0.0:
            yield Problem(
                "warning",
                f"the reward is never above zero (from {low:.3g} to {high:.3g}): ending early pays most, so "
                "the car learns to leave the track at once; add something positive for good driving",
            )
        probed = [*self._probed(report)] if self._depends_on_the_step_alone(report) else []
        yield from probed
        if high > 0.0:
            yield from self._whole_episodes(crawl_told=any("learns to crawl" in each.message for each in probed))

    def _again(self, lines: set[int], report: RewardReport) -> bool:
        """Whether each episode gets the same again from a fresh instance; ``lines`` gets those of the file that ran."""
        file, repeatable = str(self.play.reward.path), True

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            if frame.f_code.co_filename != file:
                return None
            if event == "line":
                lines.add(frame.f_lineno)
            return trace

        # What comes after needs some time, too.
        again = _Play(load_reward(self.path), self.params, _Clock(self.clock.end - 0.3 * self.clock.left))
        sys.settrace(trace)
        try:
            for episode, (_, _, values) in zip(self.episodes, self.play.values, strict=True):
                repeated = again.episode(episode)
                shared = min(len(values), len(repeated))
                repeatable = repeatable and values[:shared] == repeated[:shared]
        finally:
            sys.settrace(None)
        if again.not_played and report.complete and len(again.whole) < min(2, len(self.episodes)):
            report.not_tried.append("whether the same drive gets the same rewards again")
        self.saw_all = not again.not_played
        return repeatable

    def _unassigned(self, lines: set[int], report: RewardReport) -> Iterator[Problem]:
        """Names read on a line that no episode came to, and assigned on lines that none came to."""
        for rare in rare_names(self.source):
            if rare.line not in lines and not rare.assigned & lines:
                if not self.saw_all:
                    report.not_tried.append(f"whether {rare.name!r} in line {rare.line} always has a value")
                    continue
                yield Problem(
                    "warning",
                    f"{rare.name!r} has a value only if line {min(rare.assigned)} was reached, which no episode did; "
                    f"otherwise this line stops the training. Give it a value before the `if`, such as "
                    f"`{rare.name} = 0.0`",
                    rare.line,
                )

    def _changed_and_types(self) -> Iterator[Problem]:
        if self.play.changed is not None:
            step, keys = self.play.changed
            yield Problem(
                "warning",
                f"the function changes its inputs ({keys}; first in {step}): each call gets new ones, so this has no "
                "effect on the car or the next step; use a variable of your own",
            )
        function = self.play.reward.function
        if function is None:
            yield Problem("note", f"{CONSOLE}a file without reward_function(params)")
            return
        value = function(copy.deepcopy(self.rows[0]))
        if not isinstance(value, float):
            yield Problem("note", f"{CONSOLE}a reward of type {type(value).__name__}, not float(reward)")

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
        for name, ending, values in self.play.values:
            wrong = {"reversed": "drive backwards", "off_track": "leave the track"}.get(ending)
            if wrong and name in self.play.whole and (paid := sum(part := values[: len(lap)])) >= total:
                found.append((paid, name, len(part), wrong))
        if found:
            paid, name, steps, what = max(found)
            yield Problem(
                "warning",
                f"{steps} steps of {name} pay {paid:.4g} in all, and a good lap of {len(lap)} steps pays {total:.4g}: "
                f"the car learns to {what}; make good driving pay more at each step",
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
        for episode, (name, ending, values) in zip(self.episodes, self.play.values, strict=True):
            if name in names and name in self.play.whole:
                is_lap = ending == "lap_complete"
                crawls = episode.columns["progress"].max() < 20.0  # a slow action space does not go as slowly
                return values if (crawls if name == "hardly moving" else is_lap) else []
        return []

    def _depends_on_the_step_alone(self, report: RewardReport) -> bool:
        """Whether single steps, out of order and asked of a fresh instance, get what they got in their episode."""
        count = self._affordable(60, report)
        chosen = np.random.default_rng(0).permutation(len(self.values))[:count]
        reward = load_reward(self.path)
        try:
            return count > 0 and all(reward(copy.deepcopy(self.rows[each])) == self.values[each] for each in chosen)
        except RewardError:
            return False

    def _affordable(self, calls: int, report: RewardReport) -> int:
        """How many of so many calls there is time for; too few tell nothing, and it is said that none was tried."""
        assert report.cost is not None
        count = min(calls, int(0.4 * self.clock.left / (report.cost.mean_us * 1e-6 + 1e-5)))
        if count < min(calls, 12):
            report.not_tried.append("the same steps at other speeds")
            return 0
        return count

    def _probed(self, report: RewardReport) -> Iterator[Problem]:
        """What shows when a step is changed a little, or steps are compared."""
        reward = self.play.reward
        on = np.array([row["all_wheels_on_track"] for row in self.rows])
        on &= np.array([not row["is_crashed"] for row in self.rows])
        off = np.array([row["is_offtrack"] for row in self.rows])
        inside = self.values[on]
        if len(inside) and inside.min() == inside.max():
            yield Problem(
                "warning",
                f"the reward is {inside[0]:g} at every step on the track, whatever the car does there: standing still "
                "or crawling pays as much as driving, and lasts longer; add progress or speed",
            )
        speeds = 0.5, 1.0, 2.0, 3.0
        count = self._affordable(60 * len(speeds), report) // len(speeds)
        sample = [self.rows[each] for each in np.flatnonzero(on)[:: max(1, int(on.sum()) // max(count, 1))][:count]]
        by_speed = np.empty((len(sample), len(speeds)))
        try:
            for number, row in enumerate(sample):
                by_speed[number] = [reward({**copy.deepcopy(row), "speed": speed}) for speed in speeds]
        except RewardError:
            return
        change = np.diff(by_speed, axis=1).max(initial=-np.inf)
        scale = np.abs(by_speed).max(initial=1e-9)
        if len(sample) and change <= 1e-9 * scale and (by_speed[:, 0] - by_speed[:, -1]).mean() > 0.05 * scale:
            yield Problem(
                "warning",
                f"the slower the car, the higher the reward: at the same place it is {by_speed[0, 0]:.3g} at 0.5 m/s "
                f"and {by_speed[0, -1]:.3g} at 3 m/s, so the car learns to crawl",
            )
        if off.any() and len(inside) and self.values[off].mean() >= max(0.999 * inside.mean(), 1e-9):
            reason = (
                "look at how it uses 'all_wheels_on_track', 'is_offtrack' and 'distance_from_center'"
                if read(self.source).mentions(("all_wheels_on_track", "is_offtrack", "distance_from_center"))
                else "it reads none of 'all_wheels_on_track', 'is_offtrack' and 'distance_from_center'"
            )
            first = self.rows[int(np.flatnonzero(off)[0])]
            example = describe({key: first[key] for key in ("steps", "x", "y", "is_offtrack")})
            yield Problem(
                "warning",
                f"off the track it pays as much as on it ({self.values[off].mean():.3g} and {inside.mean():.3g} per "
                f"step on average; for example at {example}): {reason}",
            )


def _batch_problems(
    path: str | Path, params: RewardParams, episodes: Sequence[Episode], clock: _Clock, report: RewardReport
) -> Iterator[Problem]:
    """Whether `reward_function_batch` gives what `reward_function` gives, or else what it gives each step alone."""
    for episode in episodes:
        reward = load_reward(path)
        try:
            batch = reward.call_batch(params, episode.columns, [episode.name] * len(episode.columns["x"]))
            single = np.full(len(batch), np.nan)
            for number, row in enumerate(params.rows(episode.columns)):
                if clock.left <= 0.0:
                    report.not_tried.append("whether reward_function_batch gives the same for each car")
                    return
                single[number] = reward(row, (episode.name, row["steps"]))
        except RewardError as error:
            call = error.call
            message = str(error) if call is None else f"{call.place}, {call.where}: {call.what}"
            yield Problem("error", message, None if call is None else call.line)
            return
        differing = np.flatnonzero(~np.isclose(batch, single, rtol=1e-6, atol=1e-9))
        if len(differing):
            first = differing[0]
            other = "it gives the same step alone" if reward.function is None else "reward_function gives"
            yield Problem(
                "error",
                f"reward_function_batch gives {batch[first]:g} where {other} {single[first]:g} "
                f"(episode {episode.name!r}, {len(differing)} of {len(batch)} such steps differ)",
            )
            return

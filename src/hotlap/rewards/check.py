"""Check a reward function before a car drives by it: play episodes in order, as training does, and judge."""

from __future__ import annotations

import copy
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from types import FrameType
from typing import Any

import numpy as np

from hotlap.errors import RewardError
from hotlap.rewards import guard, old_names
from hotlap.rewards.function import RewardFunction, describe, explain, line_of
from hotlap.rewards.guard import Stopped
from hotlap.rewards.loader import load_reward, read_reward
from hotlap.rewards.params import RewardParams, Route
from hotlap.rewards.practice import Episode
from hotlap.rewards.profile import HotSpot, RewardCost, hot_spots
from hotlap.rewards.source_check import Problem, check_source, rare_names, reads_the_border

SLOW_US = 2000.0
"""A median cost per call [µs] from which on training feels it."""

HUGE = 1e4
PLAYING_S = 3.5
"""A slow function is asked so long [s], and judged by what was played."""


@dataclass(frozen=True)
class PlayedEpisode:
    """What a function gave in one episode."""

    race_type: str
    name: str
    ending: str
    calls: int
    lowest: float
    mean: float
    highest: float
    total: float


@dataclass
class RewardReport:
    """What a check found; `ok` if training can run with this file."""

    path: str
    calls: int = 0
    problems: list[Problem] = field(default_factory=list)
    works: dict[str, bool] = field(default_factory=dict)
    """By race type that was tried, whether the function works there."""
    episodes: list[PlayedEpisode] = field(default_factory=list)
    cost: RewardCost | None = None
    hot_spots: list[HotSpot] = field(default_factory=list)
    has_batch: bool = False
    """Whether the file has a `reward_function_batch`."""
    printed: list[str] = field(default_factory=list)
    """First lines that the function printed."""
    num_printed: int = 0

    @property
    def ok(self) -> bool:
        return all(problem.level != "error" for problem in self.problems)

    def to_dict(self) -> dict[str, Any]:
        """The report for `--json`."""
        return {"ok": self.ok, **asdict(self)}

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> RewardReport:
        """What `to_dict` made."""
        values = {key: value for key, value in data.items() if key != "ok"}
        values["problems"] = [Problem(**each) for each in values["problems"]]
        values["episodes"] = [PlayedEpisode(**each) for each in values["episodes"]]
        values["hot_spots"] = [HotSpot(**each) for each in values["hot_spots"]]
        values["cost"] = RewardCost(**values["cost"]) if values["cost"] else None
        return cls(**values)


def check_reward(
    path: str | Path,
    races: Mapping[str, Sequence[Episode]],
    routes: Sequence[Route],
    *,
    needed: Sequence[str] = (),
    profile: bool = False,
) -> RewardReport:
    """Load a reward function and play ``races`` with it, in this process.

    Args:
        path: A file, or the name of a shipped example.
        races: Episodes by race type.
        routes: What the episodes' column `route` counts through.
        needed: Race types in which the function must work; otherwise one is enough.
        profile: Find out, too, in which functions the time goes.

    Returns:
        A report; a file that cannot even be loaded is its only problem.
    """
    old_names.told.clear()  # what other functions of this process asked for
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
    params = RewardParams(routes)
    end = time.monotonic() + PLAYING_S
    threads = threading.active_count()

    # As training does: loaded once, one episode after another.
    played = {race_type: _Play(load_reward(path) if number else reward, params, end)
              for number, race_type in enumerate(races)}  # fmt: skip
    for race_type, play in played.items():
        for episode in races[race_type]:
            play.episode(episode)
        report.works[race_type] = not play.failures
    report.calls = sum(play.calls for play in played.values())
    durations = [each for play in played.values() for each in play.durations_ns]
    report.cost = RewardCost.of(durations) if durations else None
    for race_type, play in played.items():
        for name, ending, values in play.values:
            if len(values):
                report.episodes.append(
                    PlayedEpisode(
                        race_type,
                        name,
                        ending,
                        len(values),
                        min(values),
                        float(np.mean(values)),
                        max(values),
                        float(np.sum(values)),
                    )
                )
    report.problems += _failures(report, played, needed)
    if threading.active_count() > threads:
        report.problems.append(
            Problem(
                "warning",
                "the function starts threads that go on after the call: each call adds one, which slows "
                "the training down; end them in the same call, or start none",
            )
        )
    works = next((race_type for race_type, good in report.works.items() if good), None)
    if works is not None and report.ok:
        report.problems += _Doubts(path, source, params, races[works], played[works], end).all(report)
    if report.ok and reward.batch_function is not None:
        report.problems += _batch_problems(path, params, [each for episodes in races.values() for each in episodes])
    for file, line, sentence in old_names.told.values():
        at = line if file == str(reward.path) else None
        report.problems.append(Problem("warning", f"{sentence}; hotlap understands both", at))
    if profile and report.ok:
        rows = [row for episodes in races.values() for each in episodes for row in params.rows(each.columns)]
        report.hot_spots = hot_spots(reward, rows)
    report.problems.sort(key=lambda problem: ("error", "warning", "note").index(problem.level))
    return report


@dataclass
class _Failure:
    """Calls that failed in one way, at one line."""

    message: str
    line: int | None
    cause: BaseException | None
    episode: str
    count: int = 1
    worst: float = 0.0


class _Play:
    """Plays episodes with one loaded function."""

    def __init__(self, reward: RewardFunction, params: RewardParams, end: float) -> None:
        self.reward, self.params, self.end = reward, params, end
        self.calls = 0
        self.values: list[tuple[str, str, list[float]]] = []
        self.durations_ns: list[int] = []
        self.failures: dict[Any, _Failure] = {}
        self.changed: tuple[str, str] | None = None
        """The first step whose inputs the function changed, and which."""
        self.other_type = ""

    def episode(self, episode: Episode) -> list[float]:
        values: list[float] = []
        self.values.append((episode.name, episode.ending, values))
        last = len(episode.columns["x"]) - 1
        for number, row in enumerate(self.params.rows(episode.columns)):
            if time.monotonic() > self.end:
                break
            step = f"episode {episode.name!r}, step {int(row['steps'])}"
            if number % 16 == 0 and guard.is_full():
                self._filled(step, episode.name)
                break
            self.calls += 1
            begin = time.perf_counter_ns()
            try:
                before = copy.deepcopy(row) if number in (0, 1, last) else None
                begin = time.perf_counter_ns()
                value = self.reward(row, step)
            except MemoryError:  # around the call: what the function keeps has left nothing
                self._filled(step, episode.name)
                break
            except RewardError as error:
                self._failed(error, episode.name)
                if isinstance(error.__cause__, MemoryError):
                    self._filled(step, episode.name)
                if isinstance(error.__cause__, Stopped) and "has not returned" in str(error):
                    self.end = 0.0  # it would be waited for again at each step
            else:
                self.durations_ns.append(time.perf_counter_ns() - begin)
                values.append(value)
            if before is not None and self.changed is None:
                different = [key for key in before if key not in row or not _same(row[key], before[key])]
                if different:
                    self.changed = step, ", ".join(map(repr, different))
        return values

    def _filled(self, step: str, episode: str) -> None:
        """Free what the function keeps, so that there is memory to tell of it."""
        self.end = 0.0
        self.reward.namespace.clear()
        if not self.failures:
            message = (
                f"{self.reward.path}, {step}: the reward function has filled the memory: it keeps more with each call. "
                "Keep only the last values, such as with collections.deque(maxlen=100)."
            )
            self.failures["memory"] = _Failure(message, None, None, episode)

    def _failed(self, error: RewardError, episode: str) -> None:
        cause, text = error.__cause__, str(error)
        line = line_of(cause, self.reward.path)[1] if cause is not None else None
        what = explain(cause) if cause is not None else text.partition("the reward function ")[2].partition(";")[0]
        value = re.search(r"returned (-?[\d.]+(?:e[+-]?\d+)?|-?inf)\b", what)
        size = abs(float(value[1])) if value else 0.0
        kind = line, "a value" if value else re.sub(r"[-\d.e+\s]+", "#", what)
        known = self.failures.get(kind)
        if known is None:
            self.failures[kind] = _Failure(text, line, cause, episode, worst=size)
        else:
            known.count += 1
            known.worst = max(known.worst, size)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(
        np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
    )


RACE_WORDS = {"time_trial": "a time trial", "object_avoidance": "object avoidance", "head_to_bot": "head to bot"}


def _failures(report: RewardReport, played: Mapping[str, _Play], needed: Sequence[str]) -> Iterator[Problem]:
    """Errors where the function must work, warnings where it need not."""
    anywhere = any(report.works.values())
    said: set[Any] = set()
    never = next((each for each in report.problems if "is never true: the first call" in each.message), None)
    for race_type, play in played.items():
        fatal = race_type in needed or (not needed and not anywhere)
        for kind, failure in play.failures.items():
            if kind in said:
                continue
            said.add(kind)
            message = failure.message
            if failure.count > 1:
                worst = f", the worst returned {failure.worst:g}" if failure.worst else ""
                message += f" So do {failure.count} of {play.calls} calls{worst}."
            if never is not None and isinstance(
                failure.cause, TypeError | AttributeError | NameError | KeyError | IndexError
            ):
                message += f" The reason may be line {never.line}: {never.message}."
            if not fatal:
                good = " and ".join(RACE_WORDS[each] for each, works in report.works.items() if works)
                message = f"this function works for {good}, but not for {RACE_WORDS[race_type]}: {message}"
            yield Problem("error" if fatal else "warning", message, failure.line)


class _Doubts:
    """What is allowed, but hardly meant; found by asking a function that works."""

    def __init__(
        self, path: str | Path, source: str, params: RewardParams, episodes: Sequence[Episode], play: _Play, end: float
    ) -> None:
        self.path, self.source, self.params, self.episodes, self.play = path, source, params, episodes, play
        self.end = end
        steps = [
            (row, value)
            for episode, (_, _, values) in zip(episodes, play.values, strict=True)
            for row, value in zip(params.rows(episode.columns), values, strict=False)
        ]
        self.rows = [row for row, _ in steps]
        self.values = np.array([value for _, value in steps])

    def all(self, report: RewardReport) -> Iterator[Problem]:
        lines: set[int] = set()
        repeatable = self._again(lines)
        yield from self._unassigned(lines)
        yield from self._changed_and_types()
        if report.cost is not None and report.cost.p50_us > SLOW_US:
            yield Problem("warning", f"a call takes {report.cost.p50_us:.0f} µs at the median; training will feel it")
        if not repeatable:
            yield Problem("warning", "the same drive gets other rewards when it is judged again: the reward is random, "
                          "or depends on the time, so a car learns slowly or not at all from it")  # fmt: skip
            return
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
        else:
            yield from self._whole_episodes()
        if self._depends_on_the_step_alone():
            yield from self._probed()

    def _again(self, lines: set[int]) -> bool:
        """Whether each episode gets the same again from a fresh instance; ``lines`` gets those of the file that ran."""
        end = time.monotonic() + 2.0
        file, repeatable = str(self.play.reward.path), True

        def trace(frame: FrameType, event: str, _: Any) -> Any:
            if frame.f_code.co_filename != file:
                return None
            if event == "line":
                lines.add(frame.f_lineno)
            return trace

        again = _Play(load_reward(self.path), self.params, end)
        sys.settrace(trace)
        try:
            for episode, (_, _, values) in zip(self.episodes, self.play.values, strict=True):
                repeated = again.episode(episode)
                shared = min(len(values), len(repeated))
                repeatable = repeatable and values[:shared] == repeated[:shared]
        finally:
            sys.settrace(None)
        if time.monotonic() > end:
            lines.clear()  # not all that it does was seen
        return repeatable

    def _unassigned(self, lines: set[int]) -> Iterator[Problem]:
        """Names read on a line that no episode came to, and assigned on lines that none came to."""
        for rare in rare_names(self.source) if lines else ():
            if rare.line not in lines and not rare.assigned & lines:
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
        value = self.play.reward.function(copy.deepcopy(self.rows[0]))
        if not isinstance(value, float):
            yield Problem(
                "warning",
                f"the reward is of type {type(value).__name__} (first in episode {self.episodes[0].name!r}): the "
                "DeepRacer console's validator would refuse this; return float(reward)",
            )

    def _whole_episodes(self) -> Iterator[Problem]:
        """Whether a bad episode pays as much in all as a good lap."""
        lap = self.play.values[0][2]
        if self.play.values[0][1] != "lap_complete" or len(lap) < len(self.episodes[0].columns["x"]):
            return
        total = sum(lap)
        found: list[tuple[float, str, int, str]] = []
        for episode, (name, ending, values) in zip(self.episodes[1:], self.play.values[1:], strict=True):
            part = values[: len(lap)]
            paid = sum(part)
            stands = name == "hardly moving" and episode.columns["progress"].max() < 20.0
            # A reward for the place alone is common: a car that stands may get what a lap gets, but not far more.
            if stands and paid >= total + abs(total):
                found.append((paid, name, len(part), "stand still"))
            elif ending in ("reversed", "off_track") and paid >= total:
                found.append((paid, name, len(part), "drive backwards" if ending == "reversed" else "leave the track"))
        if found:
            paid, name, steps, what = max(found)
            yield Problem(
                "warning",
                f"{steps} steps of {name} pay {paid:.4g} in all, and a good lap of {len(lap)} steps pays {total:.4g}: "
                f"the car learns to {what}; make good driving pay more at each step",
            )

    def _depends_on_the_step_alone(self) -> bool:
        """Whether single steps, out of order and asked of a fresh instance, get what they got in their episode."""
        chosen = np.random.default_rng(0).permutation(len(self.values))[:60]
        reward = load_reward(self.path)
        try:
            return all(reward(copy.deepcopy(self.rows[each])) == self.values[each] for each in chosen)
        except RewardError:
            return False

    def _probed(self) -> Iterator[Problem]:
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
        sample = [self.rows[each] for each in np.flatnonzero(on)[:: max(1, int(on.sum()) // 60)]]
        try:
            by_speed = np.array(
                [[reward({**copy.deepcopy(row), "speed": speed}) for speed in (0.5, 1.0, 2.0, 3.0)] for row in sample]
            )
        except RewardError:
            return
        change = np.diff(by_speed, axis=1)
        scale = max(1e-9, float(np.abs(by_speed).max()))
        if len(by_speed) and change.max() <= 1e-9 * scale and (by_speed[:, 0] - by_speed[:, -1]).mean() > 0.05 * scale:
            row = sample[0]
            yield Problem(
                "warning",
                f"the slower the car, the higher the reward: at step {int(row['steps'])} of a good lap it is "
                f"{by_speed[0, 0]:.3g} at 0.5 m/s and {by_speed[0, -1]:.3g} at 3 m/s, so the car learns to crawl",
            )
        if off.any() and len(inside) and self.values[off].mean() >= max(0.999 * inside.mean(), 1e-9):
            reason = (
                "look at how it uses 'all_wheels_on_track', 'is_offtrack' and 'distance_from_center'"
                if reads_the_border(self.source)
                else "it reads none of 'all_wheels_on_track', 'is_offtrack' and 'distance_from_center'"
            )
            first = self.rows[int(np.flatnonzero(off)[0])]
            example = describe({key: first[key] for key in ("steps", "x", "y", "is_offtrack")})
            yield Problem(
                "warning",
                f"off the track it pays as much as on it ({self.values[off].mean():.3g} and {inside.mean():.3g} per "
                f"step on average; for example at {example}): {reason}",
            )


def _batch_problems(path: str | Path, params: RewardParams, episodes: Sequence[Episode]) -> Iterator[Problem]:
    """Whether `reward_function_batch` gives what `reward_function` gives."""
    for episode in episodes:
        reward = load_reward(path)
        try:
            batch = reward.call_batch(params, episode.columns, f"episode {episode.name!r}")
            single = np.array([reward(row) for row in params.rows(episode.columns)])
        except RewardError as error:
            yield Problem("error", str(error), None)
            return
        differing = np.flatnonzero(~np.isclose(batch, single, rtol=1e-6, atol=1e-9))
        if len(differing):
            first = differing[0]
            yield Problem(
                "error",
                f"reward_function_batch gives {batch[first]:g} where reward_function gives {single[first]:g} "
                f"(episode {episode.name!r}, {len(differing)} of {len(batch)} such steps differ)",
            )
            return

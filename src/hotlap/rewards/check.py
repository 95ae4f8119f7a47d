"""Check a reward function before a car drives by it: play episodes in order, as training does, and judge."""

from __future__ import annotations

import itertools
import math
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from hotlap.errors import RewardError
from hotlap.rewards import old_names
from hotlap.rewards.explain import line_of
from hotlap.rewards.hardly_meant import hardly_meant
from hotlap.rewards.loader import load_reward, read_reward
from hotlap.rewards.params import RewardParams, Route
from hotlap.rewards.play import Clock, Episode, Failure, Play
from hotlap.rewards.printed_lines import MAX_LINES, printed_lines
from hotlap.rewards.profile import RewardCost, hot_spots
from hotlap.rewards.report import PlayedEpisode, RewardReport
from hotlap.rewards.source_check import Problem, check_source, warning

WHOLE_S = 8.0
"""How long a check takes at most [s], unless told otherwise …"""

PLAYING = 0.6
"""… and which part of that the episodes may take; the rest is for doubts."""

FLOOD = 20
"""Printed lines per call from which on they are a flood."""


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
    printed_lines.forget()
    whole = Clock(time.monotonic() + WHOLE_S if end is None else end)
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
    playing = Clock(whole.end - (1.0 - PLAYING) * whole.left)
    played = {race_type: Play(load_reward(path) if number else reward, params, playing)
              for number, race_type in enumerate(races)}  # fmt: skip
    for together in itertools.zip_longest(*races.values()):
        for play, episode in zip(played.values(), together, strict=True):
            if episode is not None:
                play.play(episode)
    _sum_up(report, played)
    report.problems += _failures(report, played, needed, never)
    report.problems += _not_told_yet(found, played, never)
    report.problems += _prints(report)
    if threading.active_count() > threads:
        report.problems.append(
            warning(
                "the function starts threads that go on after the call: each call adds one, which slows the training "
                "down; end them in the same call, or start none"
            )
        )
    works = next((race_type for race_type, good in report.works.items() if good), None)
    if works is not None and not report.fails:
        report.problems += hardly_meant(path, source, played[works], whole, report)
    if not report.fails and reward.batch_function is not None:
        episodes = [each for episodes in races.values() for each in episodes]
        report.problems += _batch_problems(path, params, episodes, whole, report)
    for file, line, sentence in old_names.told.values():
        at = line if file == str(reward.path) else None
        report.problems.append(warning(f"{sentence}; hotlap understands both", at))
    if profile and not report.fails:
        rows = [row for episodes in races.values() for each in episodes for row in params.rows(each.columns)]
        report.hot_spots = hot_spots(reward, rows, end=whole.end)
    report.problems.sort(key=lambda problem: ("error", "warning", "note").index(problem.level))
    return report


def _sum_up(report: RewardReport, played: Mapping[str, Play]) -> None:
    for race_type, play in played.items():
        if play.num_whole or play.failures:
            report.works[race_type] = not play.failures
        kind = f" ({RACE_WORDS[race_type]})" if len(played) > 1 else ""
        report.not_tried += [f"{name}{kind}" for name in play.not_played]
        report.num_played += play.num_whole
        for each in play.episodes:
            if rewards := each.rewards:
                numbers = min(rewards), float(np.mean(rewards)), max(rewards), float(np.sum(rewards))
                ending = each.episode.ending if each.whole else "not_finished"
                report.episodes.append(PlayedEpisode(race_type, each.episode.name, ending, len(rewards), *numbers))
    report.calls = sum(play.calls for play in played.values())
    durations = [each for play in played.values() for each in play.durations_ns]
    report.cost = RewardCost.of(durations) if durations else None


RACE_WORDS = {"time_trial": "a time trial", "object_avoidance": "object avoidance", "head_to_bot": "head to bot"}


def _failures(
    report: RewardReport, played: Mapping[str, Play], needed: Sequence[str], never: Problem | None
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


def _lacks_something(failure: Failure) -> bool:
    """Such as what is only set in a first step that never comes."""
    return isinstance(failure.cause, TypeError | AttributeError | NameError | KeyError | IndexError)


def _not_told_yet(problems: Sequence[Problem], played: Mapping[str, Play], never: Problem | None) -> Iterator[Problem]:
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
    report.num_printed, place = printed_lines.written, printed_lines.where
    lines = report.num_printed / max(report.calls, 1)
    if lines >= FLOOD:
        _, _, line = place.rpartition(", line ")
        yield warning(
            f"the function prints {lines:.0f} lines a call: a training shows {MAX_LINES} lines and waits for all "
            'the others too; print less, such as only `if params["steps"] == 2`',
            int(line) if line.isdigit() else None,
        )


def _batch_problems(
    path: str | Path, params: RewardParams, episodes: Sequence[Episode], clock: Clock, report: RewardReport
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

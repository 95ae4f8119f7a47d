"""Play recorded episodes with a loaded reward function, as training asks it: one after another, in order."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from typing import Any

import numpy as np

from hotlap.errors import FailedCall, RewardError
from hotlap.rewards import guard
from hotlap.rewards.function import RewardFunction
from hotlap.rewards.params import RewardParams, copy_of


@dataclass(frozen=True)
class Episode:
    """The steps of a recorded episode, in order, that a reward function is asked about."""

    name: str
    """What is driven, such as "a good lap"."""
    ending: str
    """Status of the last step, such as "off_track"."""
    columns: dict[str, np.ndarray]
    """Rows for `RewardParams`."""


class Clock:
    """What time there is, as of `time.monotonic`."""

    def __init__(self, end: float) -> None:
        self.end = end

    @property
    def left(self) -> float:
        return self.end - time.monotonic()


@dataclass
class Played:
    """What a function gave in one episode."""

    episode: Episode
    rewards: list[float]
    whole: bool = False
    """Whether it was played to its end."""


@dataclass
class Failure:
    """Calls that failed in one way, at one line."""

    call: FailedCall
    cause: BaseException | None
    count: int = 1
    worst: float = 0.0


class Play:
    """Plays episodes with one loaded function."""

    def __init__(self, reward: RewardFunction, params: RewardParams, clock: Clock) -> None:
        self.reward, self.params, self.clock = reward, params, clock
        self.calls = 0
        self.episodes: list[Played] = []
        self.durations_ns: list[int] = []
        self.failures: dict[Any, Failure] = {}
        self.changed: tuple[str, str] | None = None
        """The first step whose inputs the function changed, and which."""

    @property
    def num_whole(self) -> int:
        """How many episodes were played to their end."""
        return sum(each.whole for each in self.episodes)

    @property
    def not_played(self) -> list[str]:
        """Names of the others."""
        return [each.episode.name for each in self.episodes if not each.whole]

    def play(self, episode: Episode) -> list[float]:
        """The rewards of an episode, of as many steps as there was time for."""
        played = Played(episode, [])
        self.episodes.append(played)
        played.whole = self._comes_to_its_end(episode, played.rewards)
        return played.rewards

    def _comes_to_its_end(self, episode: Episode, rewards: list[float]) -> bool:
        last = len(episode.columns["x"]) - 1
        for number, row in enumerate(self.params.rows(episode.columns)):
            if self.clock.left <= 0.0:
                return False
            step = f"episode {episode.name!r}, step {int(row['steps'])}"
            if number % 16 == 0 and guard.is_full():
                self._filled(step)
                return False
            self.calls += 1
            try:
                before = copy_of(row) if number in (0, 1, last) else None
                begin = time.perf_counter_ns()
                rewards.append(self.reward(row, step))
                self.durations_ns.append(time.perf_counter_ns() - begin)
            except MemoryError:  # around the call: what the function keeps has left nothing
                self._filled(step)
                return False
            except RewardError as error:
                self._failed(error)
                if isinstance(error.__cause__, MemoryError):
                    self._filled(step)
                if error.__cause__ is not None and guard.is_too_long(error.__cause__):
                    self.clock.end = 0.0  # it would be waited for again at each step
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
            self.failures["memory"] = Failure(FailedCall(str(self.reward.path), None, step, what, {}, ()), None)

    def _failed(self, error: RewardError) -> None:
        call = error.call
        assert call is not None
        value = re.search(r"returned (-?[\d.]+(?:e[+-]?\d+)?|-?inf)\b", call.what)
        size = abs(float(value[1])) if value else 0.0
        kind = call.place, "a value" if value else re.sub(r"[-\d.e+\s]+", "#", call.what)
        known = self.failures.setdefault(kind, Failure(call, error.__cause__, count=0))
        known.count += 1
        known.worst = max(known.worst, size)


def _same(one: Any, other: Any) -> bool:
    return type(one) is type(other) and bool(
        np.array_equal(one, other) if isinstance(one, np.ndarray) else one == other
    )

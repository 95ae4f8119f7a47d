"""What a check of a reward function found."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Literal

from hotlap.rewards.profile import HotSpot, RewardCost
from hotlap.rewards.source_check import Problem


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
        """What `to_dict` made.

        Raises:
            ValueError: If it is something else.
        """
        from pydantic import TypeAdapter

        return TypeAdapter(cls).validate_python(data)

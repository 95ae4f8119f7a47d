"""The book of a batch of episodes: which are here, which wait for a worker, which nobody needs any more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence

from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.worker import PlayedEpisode, within_cap


class EpisodeLedger:
    """Counts every planned episode once, and holds none that the step cap rules out.

    Args:
        plans: The episodes.
        step_cap: Most steps of all episodes together; see `within_cap`.
    """

    def __init__(self, plans: Sequence[EpisodePlan], step_cap: int | None) -> None:
        self.plans = {plan.number: plan for plan in sorted(plans, key=lambda plan: plan.number)}
        self.step_cap = step_cap
        self.waiting = set(self.plans)
        """Numbers of the episodes that nobody plays."""
        self.episodes: dict[int, PlayedEpisode] = {}
        """What has been played, by number."""
        self.num_steps = 0
        """Steps of the episodes that are here."""
        self.end = max(self.plans, default=-1) + 1
        """Episodes with this number and later ones are beyond the cap."""
        self._num_needed = len(self.plans)
        self.attempts: Counter[int] = Counter()
        """How often an episode was given back."""

    @property
    def finished(self) -> bool:
        """Whether all are here that will be kept."""
        return len(self.episodes) == self._num_needed

    def give_out(self) -> list[EpisodePlan]:
        """The waiting episodes in order; they do not wait any more."""
        plans = [self.plans[number] for number in sorted(self.waiting)]
        self.waiting.clear()
        return plans

    def take(self, episode: PlayedEpisode) -> None:
        """An episode has been played."""
        number = episode.plan.number
        if number >= self.end:
            return
        assert number not in self.episodes, f"episode {number} came twice"
        self.episodes[number] = episode
        self.num_steps += episode.num_steps
        if self.step_cap is not None and self.num_steps > self.step_cap:
            kept = within_cap(self.episodes.values(), self.step_cap)
            self.cut(min(self.episodes.keys() - {each.plan.number for each in kept}))

    def cut(self, end: int) -> None:
        """Episodes with this number and later ones cannot fit under the cap."""
        self.end = min(self.end, end)
        self.waiting = {number for number in self.waiting if number < self.end}
        self.episodes = {number: episode for number, episode in self.episodes.items() if number < self.end}
        self.num_steps = sum(episode.num_steps for episode in self.episodes.values())
        self._num_needed = sum(number < self.end for number in self.plans)

    def give_back(self, numbers: Iterable[int]) -> None:
        """Episodes were not played to their ends and wait again."""
        needed = {number for number in numbers if number < self.end}
        self.waiting |= needed
        self.attempts.update(needed)

    def result(self) -> list[PlayedEpisode]:
        """What is kept, in order of number."""
        return within_cap(self.episodes.values(), self.step_cap)

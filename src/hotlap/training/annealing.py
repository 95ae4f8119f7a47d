"""How a training ends gently: over its last updates it learns, and explores, less and less.

They begin early enough to be done when a limit is reached, and before that if laps no longer get better.

Source: Hägele et al. (2024), arXiv:2405.18392: a constant learning rate with a decay at the end is as good as one that
comes down all the time, and need not know when the end will be.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

from hotlap.records.tallies import Tally
from hotlap.records.trainer_state import TrainerState
from hotlap.training.ranking import estimate

BETTER = 0.02  # the share by which laps must get faster, or more of them clean, to count as better
SOUND = 0.9  # share of clean laps below which it is waited for longer …
_LONGER = 3  # … so many times
_SINCE = "annealed_since"  # in the state: the update that was the first of the last ones
_PACE = "pace"  # time per clean lap [s] that counts as reached …
_WAITED = "evaluations_since_pace"  # … and evaluations since then


@dataclass(frozen=True)
class Annealing:
    """Which updates of a training are its last ones."""

    updates: int = 0
    """How many; 0: none, it learns as it began until it ends."""
    patience: int = 0
    """Evaluations without better laps after which they begin; 0: laps make no difference."""

    def share(self, state: TrainerState, max_iterations: int) -> float:
        """How far the next update is on the way from the first of the last ones, 0, to the end, 1."""
        since = self._since(state, max_iterations)
        return min(max(0.0, (state.iteration - since) / self.updates), 1.0) if self.updates else 0.0

    def done(self, state: TrainerState) -> bool:
        """Whether the last update has been."""
        return bool(self.updates) and state.iteration >= self._since(state) + self.updates

    def begun_in_time(self, state: TrainerState, left_s: float, iteration_s: float) -> TrainerState:
        """The state in which the last updates begin with the next one, if no more of them are possible.

        Args:
            state: Before the next update.
            left_s: Time that is left [s].
            iteration_s: What an iteration takes [s].
        """
        if not self.updates or _SINCE in state.extra or left_s > self.updates * iteration_s:
            return state
        return _with(state, **{_SINCE: state.iteration})

    def judged(self, state: TrainerState, tally: Tally) -> TrainerState:
        """The state after an evaluation of its last iteration, of which the last updates may come.

        They begin with the update after the next one: where laps are driven beside an update, that is the first one
        that can know.

        Args:
            state: Before it.
            tally: What its checkpoint has driven.
        """
        if not self.patience or _SINCE in state.extra:
            return state
        pace, reached = -estimate(tally, "clean_pace").value / 1000, state.extra.get(_PACE, math.inf)
        if pace < (1.0 - BETTER) * reached:
            return _with(state, **{_PACE: pace, _WAITED: 0})
        waited = state.extra.get(_WAITED, 0) + 1
        since = {}
        if waited >= self.patience * (1 if tally.clean_rate >= SOUND else _LONGER):
            since = {_SINCE: state.iteration + 1}
        return _with(state, **{_WAITED: waited}, **since)

    def _since(self, state: TrainerState, max_iterations: int = 0) -> float:
        latest = max_iterations - self.updates if max_iterations else math.inf
        return min(state.extra.get(_SINCE, math.inf), latest)


NO_ANNEALING = Annealing()


def _with(state: TrainerState, **extra: float) -> TrainerState:
    return replace(state, extra=state.extra | extra)

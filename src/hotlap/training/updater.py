"""Updates that can be taken back."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from torch import Tensor

from hotlap.errors import TrainingError
from hotlap.records.trainer_state import TrainerState
from hotlap.rl.learner import Learner, Update
from hotlap.rollouts.worker import PlayedEpisode


class Updater:
    """Lets a learner learn from an iteration, and remembers what it was before.

    Args:
        learner: Learns.
    """

    def __init__(self, learner: Learner) -> None:
        self.learner = learner
        self._before: dict[str, Tensor] | None = None

    def update(self, episodes: Sequence[PlayedEpisode], state: TrainerState, *, lagged: bool) -> Update | None:
        """Learn from the episodes that follow ``state``; None if there is no step to learn from.

        Args:
            episodes: Of the iteration.
            state: Before it.
            lagged: Whether older weights played them.

        Raises:
            TrainingError: If the update measures other things than the learner says.
        """
        experience = [episode.experience for episode in episodes if episode.experience is not None]
        if not experience:
            return None
        self._before = self.learner.state_dict(into=self._before)
        seed = int(np.random.SeedSequence([state.seed, state.iteration]).generate_state(1)[0])
        update = self.learner.update(experience, seed=seed, lagged=lagged)
        names = [metric.name for metric in self.learner.metrics]
        if update.metrics.keys() != set(names):
            raise TrainingError(
                f"the learner's update measured {', '.join(update.metrics) or 'nothing'}, but its metrics are "
                f"{', '.join(names) or 'none'}. Let Update.metrics have one value for each of Learner.metrics."
            )
        return update

    def undo(self) -> None:
        """Go back to the weights, and all else that the learner knows, before the last update."""
        assert self._before is not None
        self.learner.load_state_dict(self._before)

"""The limits of a training, by which it ends if its goal does not end it before."""

from __future__ import annotations

import math

from hotlap.config.hyperparameters import Hyperparameters
from hotlap.config.job import Training
from hotlap.records.trainer_state import TrainerState


class StopRules:
    """Limits over all resumes, and those of this run.

    Args:
        training: The job's settings.
        hyperparameters: Those of the model.
        state: What earlier runs have done.
        minutes: Stop after so many from now, whatever the job's settings say; 0: no limit.
        iterations: Likewise.
    """

    def __init__(
        self,
        training: Training,
        hyperparameters: Hyperparameters,
        state: TrainerState,
        *,
        minutes: float | None = None,
        iterations: int | None = None,
    ) -> None:
        self.hyperparameters = hyperparameters
        self.max_s = 60 * training.max_minutes if minutes is None else minutes and state.elapsed_s + 60 * minutes
        """Limit of the time spent training, over all resumes [s]; 0: none."""
        self.max_iterations = (
            training.max_iterations if iterations is None else iterations and state.iteration + iterations
        )
        """Limit of the iterations, over all resumes; 0: none."""
        self._time = "max_minutes" if minutes is None else "minutes"
        self._iterations = "max_iterations" if iterations is None else "iterations"

    def reached(self, state: TrainerState, elapsed_s: float) -> str | None:
        """The first limit that applies, as in `TrainingResult.reason`; None: training goes on.

        Args:
            state: What training has done so far.
            elapsed_s: Wall-clock spent, over all resumes [s].
        """
        if self.max_iterations and state.iteration >= self.max_iterations:
            return self._iterations
        if self.max_s and elapsed_s >= self.max_s:
            return self._time
        if state.iteration >= self.hyperparameters.term_cond_max_episodes:
            return "term_cond_max_episodes"
        if state.extra.get("reward_mean", -math.inf) >= self.hyperparameters.term_cond_avg_score:
            return "term_cond_avg_score"
        return None

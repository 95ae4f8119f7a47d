"""The episodes of each iteration: planned, and given to the fleet, perhaps one iteration ahead of the update."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hotlap.config.job import Job
from hotlap.records.trainer_state import TrainerState
from hotlap.rl.learner import Learner
from hotlap.rollouts.fleet import Batch, Fleet
from hotlap.rollouts.model import start_rule
from hotlap.rollouts.plan import plan_training
from hotlap.rollouts.request import CollectRequest
from hotlap.tracks.pool import TrackPool


class Collector:
    """Begins collections with the learner's present weights.

    Args:
        fleet: Plays the episodes.
        learner: Has the weights.
        job: The job's settings.
        pools: The tracks of each race.
        num_episodes: In an iteration.
        num_workers: That the episodes are divided among.
        step_cap: Most steps of an iteration.
        guided_share: Share of the episodes of an iteration in which the fleet's guide drives.
    """

    def __init__(
        self,
        fleet: Fleet,
        learner: Learner,
        job: Job,
        pools: Sequence[TrackPool],
        *,
        num_episodes: int,
        num_workers: int,
        step_cap: int,
        guided_share: Callable[[int], float],
    ) -> None:
        self.fleet, self.learner = fleet, learner
        self.num_episodes, self.num_workers, self.step_cap = num_episodes, num_workers, step_cap
        self.guided_share = guided_share
        self.lagged = False
        """Whether older weights than the present ones play the iteration that was begun last."""
        self._plays_ahead = job.training.max_policy_lag > 0
        self._rules = [start_rule(race, pool) for race, pool in zip(job.races, pools, strict=True)]
        self._ahead: Batch | None = None

    def begin(self, state: TrainerState) -> Batch:
        """The episodes of the iteration that follows ``state``, begun now, or ahead of the update before."""
        ahead, self._ahead = self._ahead, None
        self.lagged = ahead is not None
        return ahead or self._start(state)

    def play_ahead(self, state: TrainerState) -> None:
        """Begin with the iteration that follows ``state`` before the weights are updated, if the job asks for it."""
        if self._plays_ahead:
            self._ahead = self._start(state)

    def drop_ahead(self) -> None:
        """Give up what was begun ahead."""
        if self._ahead is not None:
            self._ahead.cancel()
        self._ahead = None

    def _start(self, state: TrainerState) -> Batch:
        plans = plan_training(
            self._rules,
            job_seed=state.seed,
            iteration=state.iteration,
            num_episodes=self.num_episodes,
            first_number=state.num_episodes,
            num_workers=self.num_workers,
            earlier=[state.episodes_of(worker) for worker in range(self.num_workers)],
            clock=state.sim_time,
            steps_before=state.total_steps,
            guided_share=self.guided_share(state.iteration),
        )
        return self.fleet.start(CollectRequest(plans, self.learner.acting_weights(), step_cap=self.step_cap))

"""An iteration between its update and its last record: how it counts, and what is told of it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace

import numpy as np

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.records.checkpoints import CheckpointName
from hotlap.records.events import IterationRecord, WorkerSummary
from hotlap.records.trainer_state import TrainerState
from hotlap.rl.learner import Update
from hotlap.rollouts.fleet import Batch
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.tracks.pool import TrackPool


@dataclass
class OpenIteration:
    """An iteration whose weights are there, but not all of its records."""

    record: IterationRecord
    stages: dict[str, float] = field(default_factory=dict)
    """What it took so far [s]."""
    saved: bool = False
    """Whether traces, metrics and checkpoint are written, or are about to be."""
    evaluation: Batch | None = None
    """The evaluation of its checkpoint, once that has begun."""


def after(state: TrainerState, episodes: Sequence[PlayedEpisode], num_workers: int) -> TrainerState:
    """The state after an iteration that followed ``state``, as far as its episodes tell."""
    num_steps = sum(episode.num_steps for episode in episodes)
    counts = Counter(episode.plan.worker for episode in episodes)
    return replace(
        state,
        iteration=state.iteration + 1,
        total_steps=state.total_steps + num_steps,
        num_episodes=state.num_episodes + len(episodes),
        sim_time=state.sim_time + num_steps * CONTROL_PERIOD,
        worker_episodes=tuple(state.episodes_of(worker) + counts[worker] for worker in range(num_workers)),
    )


def summarize(
    iteration: int,
    episodes: Sequence[PlayedEpisode],
    update: Update,
    state: TrainerState,
    checkpoint: CheckpointName,
    pools: Sequence[TrackPool],
    num_workers: int,
) -> IterationRecord:
    """The record of an iteration, as long as it is not evaluated.

    Args:
        iteration: Its number.
        episodes: What was learned from.
        update: That learned from them.
        state: After it.
        checkpoint: That it makes.
        pools: Tracks of the workers, which take turns on them.
        num_workers: That shared the episodes.
    """
    laps = [episode.num_steps * CONTROL_PERIOD for episode in episodes if episode.completed]
    return IterationRecord(
        iteration=iteration,
        checkpoint=str(checkpoint),
        total_episodes=state.num_episodes,
        total_steps=state.total_steps,
        elapsed_s=state.elapsed_s,
        num_episodes=len(episodes),
        num_steps=sum(episode.num_steps for episode in episodes),
        reward_mean=float(np.mean([episode.reward for episode in episodes])),
        completion_mean=float(np.mean([episode.progress for episode in episodes])),
        laps_completed=len(laps),
        lap_time_best_s=min(laps, default=None),
        losses=dict(sorted(update.metrics.items())),
        workers=_of_workers(episodes, pools, num_workers),
    )


def _of_workers(episodes: Sequence[PlayedEpisode], pools: Sequence[TrackPool], num_workers: int) -> list[WorkerSummary]:
    """What the episodes of each worker brought; empty with a single worker."""
    if num_workers == 1:
        return []
    played: list[list[PlayedEpisode]] = [[] for _ in range(num_workers)]
    for episode in episodes:
        played[episode.plan.worker].append(episode)
    return [
        WorkerSummary(
            worker=worker,
            track=str(pools[worker % len(pools)]),
            num_episodes=len(its_own),
            num_steps=sum(episode.num_steps for episode in its_own),
            reward_mean=float(np.mean([episode.reward for episode in its_own])) if its_own else None,
            completion_mean=float(np.mean([episode.progress for episode in its_own])) if its_own else None,
            laps_completed=sum(episode.completed for episode in its_own),
        )
        for worker, its_own in enumerate(played)
    ]

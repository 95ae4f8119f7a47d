"""What the episodes of a training leave behind, worker by worker: traces, metrics, a line per iteration."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from hotlap.records.events import ProgressLog, WorkerSummary
from hotlap.records.metrics import BestModelMetric, EpisodeMetrics, TrainingMetrics
from hotlap.records.sim_trace import TraceRows, training_trace_key, write_trace
from hotlap.records.store import Store
from hotlap.records.trainer_state import TrainerState
from hotlap.rollouts.traces import trace_rows
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.sim.vehicle import CONTROL_PERIOD
from hotlap.tracks.track import Track
from hotlap.training.training_log import TrainingLog


class Recorder:
    """Keeps the records of training episodes; nothing is written before `write`.

    Args:
        store: Where the model lies.
        state: The state to go on from; what a killed run wrote after it is dropped.
        num_lines: Finished iterations whose lines stay in the progress file.
        num_workers: Workers that share the episodes; each has files of its own.
        tracks: Track of each worker, or one that all share.
        best_model_metric: As written into the metrics files.
        log: Of the same training.
    """

    def __init__(
        self,
        store: Store,
        state: TrainerState,
        *,
        num_lines: int,
        num_workers: int,
        tracks: Sequence[Track],
        best_model_metric: BestModelMetric,
        log: TrainingLog,
    ) -> None:
        self.store = store
        self.log = log
        self.num_workers = num_workers
        self.tracks = tracks
        self.progress = ProgressLog(store, num_iterations=num_lines)
        self.metrics = [
            TrainingMetrics(
                store, worker=worker, num_episodes=state.episodes_of(worker), best_model_metric=best_model_metric
            )
            for worker in range(num_workers)
        ]
        self._traces: dict[int, list[TraceRows]] = {}

    def track(self, worker: int) -> Track:
        """The track that a worker drives on."""
        return self.tracks[worker % len(self.tracks)]

    def add(self, episodes: Sequence[PlayedEpisode]) -> None:
        """Take the episodes of an iteration; their camera frames are not held."""
        self._traces = {worker: [] for worker in range(self.num_workers)}
        for episode in episodes:
            worker = episode.plan.worker
            metrics, traces = self.metrics[worker], self._traces[worker]
            number, trial = metrics.num_episodes + 1, len(traces) + 1
            metrics.add([_metrics_of(episode, "training", number, trial, episode.plan.clock)])
            traces.append(trace_rows(episode, self.track(worker).length))

    def write_evaluation(self, episodes: Sequence[PlayedEpisode], clock: float) -> None:
        """Write the metrics of the evaluation that follows the episodes written last.

        Args:
            episodes: Of the evaluation, played side by side.
            clock: Simulation clock at their start [s].

        Raises:
            RecordError: If a file could not be written; what was there before is untouched.
        """
        for worker in sorted({episode.plan.worker for episode in episodes}):
            metrics = self.metrics[worker]
            metrics.set_evaluation(
                _metrics_of(episode, "evaluation", metrics.num_episodes, metrics.trial, clock)
                for episode in episodes
                if episode.plan.worker == worker
            )
            metrics.save()

    def write(self, iteration: int) -> None:
        """Write the traces and metrics of the episodes that were added for ``iteration``.

        Raises:
            RecordError: If a file could not be written; what was there before is untouched.
        """
        for worker, traces in self._traces.items():
            key = training_trace_key(iteration, worker if self.num_workers > 1 else None)
            write_trace(self.store, key, traces)
            self.log.add_steps(iteration, worker, traces)
            self.metrics[worker].save()
        self._traces = {}


def _metrics_of(
    episode: PlayedEpisode, phase: Literal["training", "evaluation"], number: int, trial: int, clock: float
) -> EpisodeMetrics:
    return EpisodeMetrics(
        reward=episode.reward,
        start_time=clock,
        end_time=clock + episode.num_steps * CONTROL_PERIOD,
        episode=number,
        trial=trial,
        phase=phase,
        progress=episode.progress,
        status=episode.status,
    )


def worker_summaries(
    episodes: Sequence[PlayedEpisode], tracks: Sequence[Track], num_workers: int
) -> list[WorkerSummary]:
    """What the episodes of each worker brought; empty with a single worker."""
    if num_workers == 1:
        return []
    shares: list[list[PlayedEpisode]] = [[] for _ in range(num_workers)]
    for episode in episodes:
        shares[episode.plan.worker].append(episode)
    return [
        WorkerSummary(
            worker=worker,
            track=tracks[worker % len(tracks)].name,
            num_episodes=len(share),
            num_steps=sum(episode.num_steps for episode in share),
            reward_mean=float(np.mean([episode.reward for episode in share])) if share else None,
            completion_mean=float(np.mean([episode.progress for episode in share])) if share else None,
            laps_completed=sum(episode.completed for episode in share),
        )
        for worker, share in enumerate(shares)
    ]

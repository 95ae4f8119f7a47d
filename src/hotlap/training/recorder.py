"""What the episodes of a training leave behind, worker by worker: traces, metrics, lines."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.deepracer.metadata_names import BestModelMetric
from hotlap.records.episode_log import EPISODES, EpisodeLog, EpisodeRecord, Phase
from hotlap.records.events import PROGRESS, ProgressLog
from hotlap.records.folder import Folder
from hotlap.records.log_lines import worker_log
from hotlap.records.metrics import TrainingMetrics
from hotlap.records.sim_trace import training_trace_key, write_trace
from hotlap.records.steps import Steps
from hotlap.records.trainer_state import TrainerState
from hotlap.rollouts.plan import EpisodePlan
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.tracks.pool import TrackPool
from hotlap.tracks.track import Track
from hotlap.training.driven import write_driven
from hotlap.training.training_log import LOG_BYTES, TrainingLog


class Recorder:
    """Keeps the records of training episodes; nothing is written before `write`.

    Args:
        store: Where the model lies.
        state: The state to go on from; what a killed run wrote after it is dropped.
        num_lines: Finished iterations whose lines stay in the progress file, and whose evaluations stay.
        num_workers: Workers that share the episodes; each has files of its own.
        pools: Tracks of each worker, or of all of them.
        best_model_metric: As written into the metrics files.
        log: Of the same training.
        num_traced: Episodes of an iteration whose steps are written; 0: all.
        keeps_driven: Keep what was driven, so that it can be driven again.
    """

    def __init__(
        self,
        store: Folder,
        state: TrainerState,
        *,
        num_lines: int,
        num_workers: int,
        pools: Sequence[TrackPool],
        best_model_metric: BestModelMetric,
        log: TrainingLog,
        num_traced: int = 0,
        keeps_driven: bool = False,
    ) -> None:
        self.store = store
        self.num_traced, self.keeps_driven = num_traced, keeps_driven
        self.log = log
        self.num_workers = num_workers
        self.pools = pools
        kept = state.extra.get(LOG_BYTES, {})
        self.progress = ProgressLog(store, num_iterations=num_lines, kept=kept.get(PROGRESS))
        self.episodes = EpisodeLog(store, num_trained=state.iteration, num_evaluated=num_lines, kept=kept.get(EPISODES))
        self.metrics = [
            TrainingMetrics(
                store, worker=worker, num_episodes=state.episodes_of(worker), best_model_metric=best_model_metric
            )
            for worker in range(num_workers)
        ]
        self._traces: dict[int, list[Steps]] = {}
        self._records: list[EpisodeRecord] = []
        self._driven: list[PlayedEpisode] = []
        if state.iteration:
            self._drop_later(state.iteration)

    @property
    def num_bytes(self) -> dict[str, int]:
        """Length of each file that grows, by key."""
        return self.log.num_bytes | {PROGRESS: self.progress.num_bytes, EPISODES: self.episodes.num_bytes}

    def track(self, plan: EpisodePlan) -> Track:
        """The track of an episode."""
        return self.pools[plan.worker % len(self.pools)].tracks[plan.start.track]

    def add(self, episodes: Sequence[PlayedEpisode], iteration: int) -> None:
        """Take the episodes of an iteration; their camera frames are not held."""
        self._records = [self._record(episode, iteration, "training", episode.plan.clock) for episode in episodes]
        self._traces = {worker: [] for worker in range(self.num_workers)}
        for episode in episodes[: self.num_traced or None]:
            self._traces[episode.plan.worker].append(episode.steps)
        if self.keeps_driven:
            self._driven = [replace(episode, experience=None) for episode in episodes]
        for worker, records in _by_worker(self._records).items():
            self.metrics[worker].add(records)

    def write_evaluation(
        self, episodes: Sequence[PlayedEpisode], iteration: int, clock: float
    ) -> Sequence[EpisodeRecord]:
        """Write the metrics of the evaluation that follows the episodes written last.

        Args:
            episodes: Of the evaluation, played side by side.
            iteration: That made the checkpoint which drives.
            clock: Simulation clock at their start [s].

        Returns:
            What is recorded of each.

        Raises:
            RecordError: If a file could not be written; what was there before is untouched.
        """
        records = [self._record(episode, iteration, "evaluation", clock) for episode in episodes]
        for worker, of_worker in _by_worker(records).items():
            self.metrics[worker].set_evaluation(of_worker)
            self.metrics[worker].save()
        self.episodes.append(records)
        return records

    def write(self, iteration: int) -> Sequence[EpisodeRecord]:
        """Write the traces and metrics of the episodes that were added for ``iteration``.

        Returns:
            What is recorded of each.

        Raises:
            RecordError: If a file could not be written; what was there before is untouched.
        """
        for worker, traces in self._traces.items():
            key = training_trace_key(iteration, worker if self.num_workers > 1 else None)
            write_trace(self.store, key, traces)
            self.log.add_steps(iteration, worker, traces)
            self.metrics[worker].save()
        if self._driven:
            write_driven(self.store, iteration, self._driven)
        self.episodes.append(self._records)
        records, self._records, self._traces, self._driven = self._records, [], {}, []
        return records

    def _drop_later(self, num_iterations: int) -> None:
        """Drop what a killed run wrote of an iteration that it did not finish, and that may never be played again."""
        for worker, metrics in enumerate(self.metrics):
            metrics.save()
            first = training_trace_key(num_iterations, worker if self.num_workers > 1 else None)
            steps = f"{worker_log(worker)}.{num_iterations + 1}"
            for key in (first, steps):  # a run is at most one iteration ahead of its checkpoint
                self.store.delete(key)

    def _record(self, episode: PlayedEpisode, iteration: int, phase: Phase, clock: float) -> EpisodeRecord:
        plan = episode.plan
        seconds = episode.num_steps * CONTROL_PERIOD
        return EpisodeRecord(
            iteration=iteration,
            phase=phase,
            episode=plan.number,
            worker=plan.worker,
            track=self.track(plan).name,
            reverse=plan.start.reverse,
            start=plan.start.ndist,
            seed=plan.start.seed,
            steps=episode.num_steps,
            reward=episode.reward,
            progress=episode.progress,
            status=episode.status,
            start_s=clock,
            sim_s=seconds,
            lap_time_s=seconds if episode.completed else None,
        )


def _by_worker(records: Iterable[EpisodeRecord]) -> dict[int, list[EpisodeRecord]]:
    shares: dict[int, list[EpisodeRecord]] = {}
    for record in sorted(records, key=lambda record: record.worker):
        shares.setdefault(record.worker, []).append(record)
    return shares

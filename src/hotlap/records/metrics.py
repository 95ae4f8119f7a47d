"""``TrainingMetrics.json`` and the metrics of an evaluation, field for field as the original writes them.

Source: DeepRacer simapp 6.0.5, ``markov/metrics``.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from hotlap.bounded import load_json
from hotlap.deepracer.metadata_names import BestModelMetric
from hotlap.deepracer.statuses import STATUS_LABELS
from hotlap.errors import RecordError
from hotlap.records.episode_log import EpisodeRecord
from hotlap.records.store import Store

TRAINING_METRICS = "metrics/TrainingMetrics.json"
METRICS_VERSION = 2.0


@dataclass(frozen=True)
class TrialMetrics:
    """One lap (continuous) or one trial of an evaluation job."""

    start_time: float
    """Simulation clock at reset or at the last crossing of the line [s]."""

    end_time: float
    """Simulation clock at the end, penalties included [s]."""

    progress: float
    """Percent of the lap at the end."""

    status: str
    """Internal status at the end; ``in_progress`` for every lap but the last of a continuous evaluation."""

    trial: int
    """From 1."""

    crash_count: int = 0
    immobilized_count: int = 0
    off_track_count: int = 0
    reversed_count: int = 0

    def to_record(self) -> dict[str, int | str]:
        """The record as it stands in the file."""
        start, end = _milliseconds(self.start_time), _milliseconds(self.end_time)
        return {
            "completion_percentage": int(self.progress),
            "metric_time": end,
            "start_time": start,
            "elapsed_time_in_milliseconds": end - start,
            "episode_status": STATUS_LABELS[self.status],
            "crash_count": self.crash_count,
            "immobilized_count": self.immobilized_count,
            "off_track_count": self.off_track_count,
            "reversed_count": self.reversed_count,
            "reset_count": self.crash_count + self.immobilized_count + self.off_track_count + self.reversed_count,
            "trial": self.trial,
        }


class TrainingMetrics:
    """The growing ``TrainingMetrics.json`` of one worker; the whole file is rewritten at each `save`.

    Args:
        store: Where the model lies.
        best_model_metric: How the best checkpoint is chosen, as written in the file.
        worker: Index of the worker; all but the first have files of their own.
        num_episodes: Continue a file with its first so many training episodes and the evaluations between and after
            them, dropping what a killed run wrote after its last checkpoint. 0 begins anew.

    Raises:
        RecordError: If the file to continue is damaged or shorter than that.
    """

    def __init__(
        self, store: Store, *, best_model_metric: BestModelMetric = "progress", worker: int = 0, num_episodes: int = 0
    ) -> None:
        self.store = store
        self.key = TRAINING_METRICS if worker == 0 else f"metrics/TrainingMetrics_{worker}.json"
        self.best_model_metric = best_model_metric
        # Kept as text: a long training rewrites the file often, and old records never change.
        self._records: list[str] = []
        self.num_episodes = 0
        """Training episodes so far."""
        self.trial = 0
        """That of the last one."""
        self._num_settled = 0  # records up to the last training episode
        if num_episodes:
            for record in read_metrics(store, self.key):
                if record.get("phase") == "training" and self.num_episodes == num_episodes:
                    break
                self._append(record)
            if self.num_episodes < num_episodes:
                raise RecordError(
                    f"{self.key} holds {self.num_episodes} training episodes, the checkpoint to resume from was "
                    f"written after {num_episodes}. Restore the file, or clone the model into a new folder instead of "
                    "resuming it."
                )

    def add(self, episodes: Iterable[EpisodeRecord]) -> None:
        """Append the training episodes of an iteration, in their order."""
        for trial, episode in enumerate(episodes, start=1):
            self._append(_in_file(episode, number=self.num_episodes + 1, trial=trial))

    def set_evaluation(self, episodes: Iterable[EpisodeRecord]) -> None:
        """Let these follow the last training episode, instead of what a killed run may have left there."""
        del self._records[self._num_settled :]
        for episode in episodes:
            self._append(_in_file(episode, number=self.num_episodes, trial=self.trial))

    def _append(self, record: Mapping[str, int | str]) -> None:
        self._records.append(json.dumps(record))
        if record.get("phase") == "training":
            self.num_episodes += 1
            trial = record.get("trial", 0)
            if not isinstance(trial, int):
                raise RecordError(
                    f"{self.key} is damaged: trial is {ascii(trial)[:60]} in record {len(self._records)}, expected a "
                    "whole number. Restore the file, or clone the model into a new folder instead of resuming it."
                )
            self.trial = trial
            self._num_settled = len(self._records)

    def save(self) -> None:
        """Write the file.

        Raises:
            RecordError: If it could not be written; the former file is untouched.
        """
        tail = f'"version": {METRICS_VERSION}, "best_model_metric": {json.dumps(self.best_model_metric)}'
        self.store.put(self.key, f'{{"metrics": [{", ".join(self._records)}], {tail}}}'.encode())


def _in_file(episode: EpisodeRecord, *, number: int, trial: int) -> dict[str, int | str]:
    """The record of an episode as it stands in the file.

    Args:
        episode: Of training, or of an evaluation within the training.
        number: Count of finished training episodes of this worker, from 1; an evaluation repeats the last.
        trial: Training episode of this worker within the iteration, from 1; an evaluation repeats the last.
    """
    start, end = _milliseconds(episode.start_s), _milliseconds(episode.start_s + episode.sim_s)
    return {
        "reward_score": round(episode.reward),
        "metric_time": end,
        "start_time": start,
        "elapsed_time_in_milliseconds": end - start,
        "episode": number,
        "trial": trial,
        "phase": episode.phase,
        "completion_percentage": int(episode.progress),
        "episode_status": STATUS_LABELS[episode.status],
    }


def evaluation_metrics_key(stamp: str) -> str:
    """Key of an evaluation's metrics; ``stamp`` as in `evaluation_trace_key`."""
    return f"metrics/evaluation/evaluation-{stamp}.json"


def write_evaluation_metrics(store: Store, stamp: str, trials: Iterable[TrialMetrics]) -> None:
    """Write the metrics of an evaluation job.

    Raises:
        RecordError: If the file could not be written.
    """
    records = [trial.to_record() for trial in trials]
    store.put(evaluation_metrics_key(stamp), json.dumps({"metrics": records}).encode())


def read_metrics(store: Store, key: str) -> list[dict[str, int | str]]:
    """The records of a metrics file of either kind.

    Raises:
        RecordError: If it is missing or damaged.
    """
    data = store.get(key)
    try:
        records = load_json(data)["metrics"]
        if not all(isinstance(record, dict) for record in records):
            raise TypeError("a record is not an object")
    except (ValueError, TypeError, KeyError) as error:
        raise RecordError(
            f"{key} is damaged ({error}): it should be JSON with a list of records under 'metrics'. "
            "Restore it from a copy, or move it away."
        ) from error
    return records


def _milliseconds(seconds: float) -> int:
    return round(seconds * 1000)

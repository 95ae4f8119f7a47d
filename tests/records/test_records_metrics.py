"""Metrics files: the original's records come out as they went in; resume drops what came after the checkpoint."""

from __future__ import annotations

import itertools
import json

import pytest
from episode_records import episode_record

from hotlap.deepracer.statuses import STATUS_LABELS
from hotlap.errors import RecordError
from hotlap.records.folder import Folder
from hotlap.records.metrics import (
    TRAINING_METRICS,
    TrainingMetrics,
    TrialMetrics,
    evaluation_metrics_key,
    read_metrics,
    write_evaluation_metrics,
)

STATUS_OF = {label: status for status, label in STATUS_LABELS.items()}


@pytest.mark.data
@pytest.mark.parametrize("name", ["TrainingMetrics.json", "TrainingMetrics_droa.json"])
def test_original_training_metrics_are_reproduced_to_the_byte(reference_data, tmp_path, name):
    data = (reference_data / "formats" / name).read_bytes()
    folder = Folder(tmp_path)
    metrics = TrainingMetrics(folder)
    records = json.loads(data)["metrics"]
    begins = [number for number, record in enumerate(records) if record["phase"] == "training" and record["trial"] == 1]
    for begin, end in itertools.pairwise([*begins, len(records)]):
        of_iteration = [
            episode_record(
                record["phase"],
                reward=record["reward_score"],
                progress=record["completion_percentage"],
                status=STATUS_OF[record["episode_status"]],
                start_s=record["start_time"] / 1000,
                end_s=record["metric_time"] / 1000,
            )
            for record in records[begin:end]
        ]
        metrics.add(record for record in of_iteration if record.phase == "training")
        metrics.set_evaluation(record for record in of_iteration if record.phase == "evaluation")
    metrics.save()
    assert folder.get(TRAINING_METRICS) == data


@pytest.mark.data
def test_original_evaluation_metrics_are_reproduced_to_the_byte(reference_data, tmp_path):
    data = (reference_data / "formats" / "EvaluationMetrics.json").read_bytes()
    trials = [
        TrialMetrics(
            record["start_time"] / 1000,
            record["metric_time"] / 1000,
            record["completion_percentage"],
            STATUS_OF[record["episode_status"]],
            record["trial"],
            record["crash_count"],
            record["immobilized_count"],
            record["off_track_count"],
            record["reversed_count"],
        )
        for record in json.loads(data)["metrics"]
    ]
    folder = Folder(tmp_path)
    write_evaluation_metrics(folder, "20260102030405", trials)
    assert folder.get(evaluation_metrics_key("20260102030405")) == data


def test_percent_is_truncated_reward_rounded_and_resets_summed(tmp_path):
    metrics = TrainingMetrics(Folder(tmp_path))
    metrics.add([episode_record(reward=12.6, progress=99.99, status="off_track", start_s=1.0, end_s=3.5004)])
    metrics.save()
    (record,) = read_metrics(Folder(tmp_path), TRAINING_METRICS)
    assert (record["reward_score"], record["completion_percentage"]) == (13, 99)
    assert record["elapsed_time_in_milliseconds"] == 2500
    trial = TrialMetrics(0.0, 9.0, 100.0, "lap_complete", 1, 1, 2, 3, 4).to_record()
    assert trial["reset_count"] == 10


def test_resume_keeps_the_records_of_the_checkpoint(tmp_path):
    folder = Folder(tmp_path)
    metrics = TrainingMetrics(folder, best_model_metric="laptime")
    metrics.add(episode_record(reward=number) for number in (1, 2, 3))
    metrics.save()
    resumed = TrainingMetrics(folder, best_model_metric="laptime", num_episodes=2)
    resumed.add([episode_record(reward=9)])
    resumed.save()
    records = read_metrics(folder, TRAINING_METRICS)
    assert [record["reward_score"] for record in records] == [1, 2, 9]
    assert [(record["episode"], record["trial"]) for record in records] == [(1, 1), (2, 2), (3, 1)]
    assert json.loads(folder.get(TRAINING_METRICS))["best_model_metric"] == "laptime"
    with pytest.raises(RecordError, match="holds 3 training episodes"):
        TrainingMetrics(folder, num_episodes=4)


def test_an_evaluation_follows_its_episodes_and_is_repeated_only_once(tmp_path):
    """A run killed after it wrote an evaluation, but before it said so, evaluates again and writes the same file."""
    one = episode_record
    metrics = TrainingMetrics(Folder(tmp_path))
    metrics.add([one(), one()])
    metrics.set_evaluation([one("evaluation"), one("evaluation")])
    metrics.add([one()])
    metrics.set_evaluation([one("evaluation")])
    metrics.save()
    written = (tmp_path / TRAINING_METRICS).read_bytes()
    phases = [(record["phase"], record["episode"]) for record in read_metrics(Folder(tmp_path), TRAINING_METRICS)]
    assert phases == [
        ("training", 1),
        ("training", 2),
        ("evaluation", 2),
        ("evaluation", 2),
        ("training", 3),
        ("evaluation", 3),
    ]
    again = TrainingMetrics(Folder(tmp_path), num_episodes=3)
    assert (again.num_episodes, again.trial) == (3, 1)
    again.set_evaluation([one("evaluation")])
    again.save()
    assert (tmp_path / TRAINING_METRICS).read_bytes() == written
    earlier = TrainingMetrics(Folder(tmp_path), num_episodes=2)
    earlier.add([one()])
    earlier.set_evaluation([one("evaluation")])
    earlier.save()
    assert (tmp_path / TRAINING_METRICS).read_bytes() == written


@pytest.mark.parametrize("text", ["", "{", "[]", '{"metrics": 3}', '{"metrics": [1]}'])
def test_damaged_metrics_are_reported(tmp_path, text):
    folder = Folder(tmp_path)
    folder.put(TRAINING_METRICS, text.encode())
    with pytest.raises(RecordError, match="damaged"):
        read_metrics(folder, TRAINING_METRICS)

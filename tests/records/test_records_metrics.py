"""Metrics files: the original's records come out as they went in; resume drops what came after the checkpoint."""

from __future__ import annotations

import json

import pytest

from hotlap.deepracer.statuses import STATUS_LABELS
from hotlap.errors import RecordError
from hotlap.records.folder import Folder
from hotlap.records.metrics import (
    TRAINING_METRICS,
    EpisodeMetrics,
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
    for record in json.loads(data)["metrics"]:
        times = record["start_time"] / 1000, record["metric_time"] / 1000
        place = record["episode"], record["trial"], record["phase"]
        status = STATUS_OF[record["episode_status"]]
        metrics.add([EpisodeMetrics(record["reward_score"], *times, *place, record["completion_percentage"], status)])
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


def test_percent_is_truncated_reward_rounded_and_resets_summed():
    record = EpisodeMetrics(12.6, 1.0, 3.5004, 7, 2, "training", 99.99, "off_track").to_record()
    assert (record["reward_score"], record["completion_percentage"]) == (13, 99)
    assert record["elapsed_time_in_milliseconds"] == 2500
    trial = TrialMetrics(0.0, 9.0, 100.0, "lap_complete", 1, 1, 2, 3, 4).to_record()
    assert trial["reset_count"] == 10


def test_resume_keeps_the_records_of_the_checkpoint(tmp_path):
    folder = Folder(tmp_path)
    metrics = TrainingMetrics(folder, best_model_metric="laptime")
    metrics.add([EpisodeMetrics(1, 0, 1, number, 1, "training", 5, "crashed") for number in (1, 2, 3)])
    metrics.save()
    resumed = TrainingMetrics(folder, best_model_metric="laptime", num_episodes=2)
    resumed.add([EpisodeMetrics(1, 0, 1, 9, 1, "training", 5, "crashed")])
    resumed.save()
    assert [record["episode"] for record in read_metrics(folder, TRAINING_METRICS)] == [1, 2, 9]
    assert json.loads(folder.get(TRAINING_METRICS))["best_model_metric"] == "laptime"
    with pytest.raises(RecordError, match="holds 3 training episodes"):
        TrainingMetrics(folder, num_episodes=4)


def test_an_evaluation_follows_its_episodes_and_is_repeated_only_once(tmp_path):
    """A run killed after it wrote an evaluation, but before it said so, evaluates again and writes the same file."""

    def episodes(phase, *numbers):
        return [EpisodeMetrics(1, 0, 1, number, number, phase, 5, "crashed") for number in numbers]

    metrics = TrainingMetrics(Folder(tmp_path))
    metrics.add(episodes("training", 1, 2))
    metrics.set_evaluation(episodes("evaluation", 2, 2))
    metrics.add(episodes("training", 3))
    metrics.set_evaluation(episodes("evaluation", 3))
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
    assert (again.num_episodes, again.trial) == (3, 3)
    again.set_evaluation(episodes("evaluation", 3))
    again.save()
    assert (tmp_path / TRAINING_METRICS).read_bytes() == written
    earlier = TrainingMetrics(Folder(tmp_path), num_episodes=2)
    earlier.add(episodes("training", 3))
    earlier.set_evaluation(episodes("evaluation", 3))
    earlier.save()
    assert (tmp_path / TRAINING_METRICS).read_bytes() == written


@pytest.mark.parametrize("text", ["", "{", "[]", '{"metrics": 3}', '{"metrics": [1]}'])
def test_damaged_metrics_are_reported(tmp_path, text):
    folder = Folder(tmp_path)
    folder.put(TRAINING_METRICS, text.encode())
    with pytest.raises(RecordError, match="damaged"):
        read_metrics(folder, TRAINING_METRICS)

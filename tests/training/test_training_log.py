"""The log of a real training: its numbers are those of the records, and the community's library reads it."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_model import WANDERING, write_model

from hotlap.config.model_folder import ModelFolder
from hotlap.errors import RewardError
from hotlap.evaluation.evaluator import Evaluator
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.events import IterationRecord, ProgressLog
from hotlap.records.folder import Folder
from hotlap.training.listener import Silence
from hotlap.training.trainer import Trainer

SETTINGS: dict[str, Any] = {
    "hyperparameters": {"num_epochs": 2},
    "training": {"max_iterations": 2, "log_steps": True, "best_model_metric": "progress"},
}
LOGS = "logs/training"
STEPS_FORMAT = 5.06e-5  # numbers have four decimals in the lines, and six in traces


class Reader(Silence):
    """Reads the log as it is told."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def on_log(self, lines: Sequence[str]) -> None:
        self.lines += lines


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[ModelFolder, list[str]]:
    """A training of two iterations, and all that its log said."""
    model = write_model(tmp_path_factory.mktemp("finished"), **SETTINGS)
    reader = Reader()
    Trainer(model, listener=reader).run()
    return model, reader.lines


def found(pattern: str, lines: Sequence[str]) -> list[float]:
    return [float(match[1]) for line in lines if (match := re.search(pattern, line))]


def records(model: ModelFolder) -> list[IterationRecord]:
    return ProgressLog(Folder(model.path)).read()


def test_numbers_are_those_of_the_records(finished: tuple[ModelFolder, list[str]]):
    """Metric definitions find every episode, epoch and lap once, with the numbers of progress and metrics."""
    model, said = finished
    lines = (model.path / LOGS / "training-sagemaker.log").read_text().splitlines()
    metrics = json.loads((model.path / "metrics/TrainingMetrics.json").read_text())["metrics"]
    for phase, name in (("training", "Training"), ("evaluation", "Testing")):
        rewards = found(rf"^{name}>.*Total reward=(.*?),", lines)
        assert [round(reward) for reward in rewards] == [
            each["reward_score"] for each in metrics if each["phase"] == phase
        ]
        assert found(rf"^{name}>.*Total reward=(.*?),", said) == rewards
    assert found(r"^Training>.*Episode=(\d+),", lines) == [1, 2, 3, 4, 5, 6]
    assert found(r"^Training>.*Training iteration=(\d+)$", lines) == [0, 0, 0, 1, 1, 1]
    steps = found(r"^Training>.*Steps=(\d+),", lines)
    assert [steps[2], steps[5]] == [record.total_steps for record in records(model)]
    assert steps == sorted(steps)

    assert found(r"^Policy training>.*training epoch=(\d+),", lines) == [0, 1, 0, 1]
    entropy = found(r"Entropy=(.*?),", lines)
    loss = found(r"^Policy training>.*Surrogate loss=(.*?),", lines)
    for record, at in zip(records(model), (0, 2), strict=True):
        assert record.losses["entropy"] == pytest.approx(sum(entropy[at : at + 2]) / 2)
        assert record.losses["policy_loss"] == pytest.approx(sum(loss[at : at + 2]) / 2)

    names = [f"./checkpoint_sagemaker/agent/{name}" for name in CheckpointStore(model.path).list()]
    saved = [line for line in lines if line.startswith("Checkpoint> Saving")]
    assert saved == [f"Checkpoint> Saving in path=['{name}']" for name in names]
    assert found(r"^Uploaded (\d+) files", lines) == [3, 3, 3]
    best = CheckpointStore(model.path).best()
    assert best is not None
    assert lines[-1] == f"Best checkpoint number: {best.name.number}, Last checkpoint number: 2"


def test_the_first_worker_says_how_the_best_is_chosen(finished: tuple[ModelFolder, list[str]]):
    model, said = finished
    lines = (model.path / LOGS / "training-0-robomaker.log").read_text().splitlines()
    selection = [line for line in lines if line.startswith("[BestModelSelection]")]
    assert selection == [line for line in said if line.startswith("[BestModelSelection]")]
    means = found(r"Evaluation episode progress mean: (.*)$", selection)
    assert means == [record.evaluation.completion_mean for record in records(model) if record.evaluation]
    values = [json.loads(line.split("progress: ")[1]) for line in selection if "Number of evaluations: 2 " in line]
    assert [sum(each) / 2 for each in values] == pytest.approx(means)
    better = [line for line in selection if "Updating the best checkpoint" in line]
    assert len(better) == sum(record.is_best for record in records(model))
    assert lines[-1] == said[-1] == "Received termination signal from trainer. Goodbye."


def test_deepracer_utils_reads_the_steps(finished: tuple[ModelFolder, list[str]]):
    """Through `SimulationLogsIO`, in order, with the numbers of the traces."""
    logs = pytest.importorskip("deepracer.logs")
    model, said = finished
    data = logs.SimulationLogsIO.load_data(str(model.path / LOGS / "training-0-robomaker.log"))
    frame = logs.SimulationLogsIO.convert_to_pandas(data, episodes_per_iteration=3)
    log = logs.DeepRacerLog(model_folder=str(model.path))
    log.load_training_trace()
    traces = log.dataframe()
    assert len(frame) == len(traces) == records(model)[-1].total_steps
    assert len([line for line in said if line.startswith("SIM_TRACE_LOG:")]) == len(frame)
    for column in ("iteration", "episode", "steps", "action", "closest_waypoint", "done", "on_track", "episode_status"):
        assert frame[column].tolist() == traces[column].tolist(), column
    for column in ("x", "y", "yaw", "reward", "progress", "tstamp", "pause_duration"):
        assert abs(frame[column] - traces[column]).max() <= STEPS_FORMAT, column


def test_deepracer_utils_reads_the_printed_log_as_one_of_the_console(
    finished: tuple[ModelFolder, list[str]], tmp_path: Path
):
    """What is printed, put where the console puts its log: steps, hyperparameters, actions, sensors, network, world."""
    logs = pytest.importorskip("deepracer.logs")
    model, said = finished
    shutil.copytree(model.path / "training-simtrace", tmp_path / "sim-trace/training/training-simtrace")
    place = tmp_path / "logs/training/training-20260102030405-name-robomaker.log"
    place.parent.mkdir(parents=True)
    place.write_text("".join(f"{line}\n" for line in said))
    log = logs.DeepRacerLog(model_folder=str(tmp_path))
    log.load_robomaker_logs()
    frame = log.dataframe()
    assert len(frame) == records(model)[-1].total_steps
    assert sorted(frame["iteration"].unique()) == [0, 1]
    assert log.hyperparameters() == json.loads((model.path / "ip/hyperparameters.json").read_text())
    assert log.action_space() == WANDERING
    assert log.agent_and_network() == {
        "world": "ring",
        "sensor_list": ["FRONT_FACING_CAMERA"],
        "network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
        "simapp_version": "5.0",
    }


def test_a_log_goes_on_as_if_nothing_had_happened(finished: tuple[ModelFolder, list[str]], tmp_path: Path):
    """Two iterations in two parts: the same files, steps included; what was printed begins anew."""
    whole, _ = finished
    model = write_model(tmp_path, **SETTINGS)
    Trainer(model, job=model.job.updated(training={"max_iterations": 1})).run()
    reader = Reader()
    Trainer(model, resume=True, listener=reader).run()
    files = sorted(path.name for path in (whole.path / LOGS).iterdir())
    assert files == ["training-0-robomaker.log", *(f"training-0-robomaker.log.{n}" for n in (1, 2)), files[-1]]
    assert sorted(path.name for path in (tmp_path / LOGS).iterdir()) == files
    for name in files:
        assert (tmp_path / LOGS / name).read_bytes() == (whole.path / LOGS / name).read_bytes(), name
    assert found(r"^Training>.*Training iteration=(\d+)$", reader.lines) == [1, 1, 1]


def test_an_evaluation_leaves_a_log_as_the_console_does(finished: tuple[ModelFolder, list[str]], tmp_path: Path):
    """deepracer-utils finds it by its name, and its steps are those of the trace."""
    logs = pytest.importorskip("deepracer.logs")
    model, _ = finished
    stamp = "20260102030405"
    evaluator = Evaluator(model, laps=2)
    evaluator.run()
    place = Path(evaluator.record(stamp)["log"])
    assert place.read_text().splitlines() == evaluator.log
    assert evaluator.log[-1] == "Evaluation job complete"
    shutil.copytree(model.path / "training-simtrace", tmp_path / "sim-trace/training/training-simtrace")
    for folder in ("logs/training", "logs/evaluation"):
        shutil.copytree(model.path / folder, tmp_path / folder)
    log = logs.DeepRacerLog(model_folder=str(tmp_path))
    log.load_robomaker_logs(type=logs.LogType.EVALUATION)
    frame = log.dataframe()
    assert frame["stream"].unique().tolist() == [stamp]
    assert frame["episode"].unique().tolist() == [0, 1]
    assert len(frame) == sum(episode.num_steps for episode in evaluator.episodes)


def test_an_error_that_ends_a_training_is_logged(tmp_path: Path):
    """With the error's own words, once; a training that goes on forgets it."""
    model = write_model(tmp_path, reward="def reward_function(params):\n    return 1 / 0\n")
    with pytest.raises(RewardError) as caught:
        Trainer(model).run()
    place = tmp_path / LOGS / "training-sagemaker.log"
    (line,) = [line for line in place.read_text().splitlines() if "simapp_exception" in line]
    said = json.loads(line)["simapp_exception"]
    assert said["message"] == str(caught.value)
    assert (said["eventType"], said["errorCode"]) == ("user_error", "400")
    model.reward_file.write_text("def reward_function(params):\n    return 1.0\n")
    Trainer(ModelFolder(tmp_path), job=model.job.updated(training={"max_iterations": 1}), resume=True).run()
    assert "simapp_exception" not in place.read_text()

"""Whole trainings that are watched: who watches hears everything, and can neither stop nor change anything."""

from __future__ import annotations

import json
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from urllib.request import urlopen

import pytest
from mlflow_server import MLflowServer
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tiny_model import write_model
from trained_folder import curve, weights

from hotlap.cli import main as command_line
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import ConfigError
from hotlap.evaluation.evaluator import Evaluator
from hotlap.monitoring import monitor
from hotlap.records.address import S3Prefix
from hotlap.records.episode_log import EpisodeLog
from hotlap.records.events import IterationRecord
from hotlap.records.folder import Folder
from hotlap.records.metrics import TRAINING_METRICS, read_metrics
from hotlap.records.s3 import Bucket
from hotlap.rl.ppo import METRICS
from hotlap.training.listener import Listener, Silence
from hotlap.training.trainer import Trainer


class Notes(Silence):
    """Notes messages, and acts after the first iteration."""

    def __init__(self, after_first: Callable[[], None]) -> None:
        self.messages: list[str] = []
        self.after_first = after_first

    def on_message(self, message: str) -> None:
        self.messages.append(message)

    def on_iteration(self, record: IterationRecord) -> None:
        if record.iteration == 0:
            self.after_first()


def watched(model: ModelFolder, listener: Listener | None = None, **monitoring: object) -> Trainer:
    return Trainer(model, job=model.job.updated(monitoring=monitoring), listener=listener)


@pytest.fixture(scope="module")
def unwatched(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A training that nobody watched."""
    model = write_model(tmp_path_factory.mktemp("unwatched"))
    watched(model, tensorboard=False).run()
    return model.path


def test_everybody_hears_everything(unwatched: Path, tmp_path: Path):
    """TensorBoard every iteration, Telegraf every episode; and the model is the same."""
    model = write_model(tmp_path)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(60)
        watched(model, telegraf_host="127.0.0.1", telegraf_port=receiver.getsockname()[1]).run()
        packets = [receiver.recv(2048) for _ in range(15)]
    assert weights(tmp_path) == weights(unwatched)
    assert curve(tmp_path) == curve(unwatched)
    reader = EventAccumulator(str(tmp_path / "logs" / "tensorboard" / "iterations"))
    reader.Reload()
    told = [(each.step, each.value) for each in reader.Scalars("training/reward")]
    assert told == [(record.total_steps, pytest.approx(record.reward_mean)) for record in curve(tmp_path)]
    for metric in METRICS:  # a learner says what it measures
        assert reader.SummaryMetadata(f"update/{metric.name}").summary_description == str(metric)
    records = EpisodeLog(Folder(tmp_path)).read()
    progress = [b"progress=%di," % int(record.progress) for record in records]
    assert [part in packet for part, packet in zip(progress, packets, strict=True)] == [True] * 15
    assert not (unwatched / "logs" / "tensorboard").exists()
    Trainer(model, job=model.job.updated(monitoring={"tensorboard": False}), wipe=True).open().close()
    assert not list(tmp_path.rglob("*tfevents*"))


def test_the_lines_of_episodes_are_those_of_traces_and_metrics(unwatched: Path):
    """Three training episodes and two laps for each of three iterations, in the order in which they happened."""
    records = EpisodeLog(Folder(unwatched)).read()
    assert [(each.iteration, each.phase, each.episode) for each in records] == [
        (iteration, phase, number)
        for iteration in range(3)
        for phase, numbers in (("training", range(3 * iteration, 3 * iteration + 3)), ("evaluation", range(2)))
        for number in numbers
    ]
    for record, metrics in zip(records, read_metrics(Folder(unwatched), TRAINING_METRICS), strict=True):
        assert metrics["phase"] == record.phase
        assert metrics["reward_score"] == round(record.reward)
        assert metrics["completion_percentage"] == int(record.progress)
        assert metrics["start_time"] == round(1000 * record.start_s)
        assert metrics["elapsed_time_in_milliseconds"] == pytest.approx(1000 * record.sim_s, abs=1)
        assert record.sim_s == pytest.approx(record.steps / 15)
        assert (record.lap_time_s is not None) == (record.status == "lap_complete")
    for iteration, line in enumerate(curve(unwatched)):
        mine = [each for each in records if (each.iteration, each.phase) == (iteration, "training")]
        assert sum(each.steps for each in mine) == line.num_steps
    # Every training episode has a seed of its own; every checkpoint drives the same evaluation cars.
    trained = [record.seed for record in records if record.phase == "training"]
    assert len(set(trained)) == len(trained)
    assert not set(trained) & {record.seed for record in records if record.phase != "training"}


def test_a_server_that_dies_takes_nothing_with_it(unwatched: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """MLflow's server is killed after the first iteration: the same model, one line when it is gone, one at the end."""
    monkeypatch.setattr(monitor, "END_S", 0.5)
    server = MLflowServer(tmp_path / "server")
    model = write_model(tmp_path / "model")
    notes = Notes(after_first=server.stop)
    try:
        assert watched(model, notes, mlflow_uri=server.uri).run().reason == "max_iterations"
    finally:
        server.stop()
    assert weights(model.path) == weights(unwatched)
    about = [message for message in notes.messages if message.startswith("MLflow")]
    assert len(about) == 2, about
    assert about[0].startswith(f"MLflow at {server.uri} takes nothing: ")
    assert about[1].startswith(f"MLflow at {server.uri} was not told everything: ")


def test_prometheus_asks_while_a_training_runs(tmp_path: Path):
    """And the port is free again afterwards, for the next one."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    for name in ("first", "second"):
        model = write_model(tmp_path / name, training={"max_iterations": 1})
        with watched(model, prometheus_port=port) as trainer:
            with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
                assert answer.status == 200
            trainer.run()


def test_a_port_in_use_ends_the_command_before_anything_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
):
    """Exit code 2 and one paragraph."""
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        port = other.getsockname()[1]
        model = write_model(tmp_path)
        file = tmp_path / "job.toml"
        file.write_text(file.read_text().replace("# prometheus_port = 9100", f"prometheus_port = {port}"))
        before = sorted(tmp_path.rglob("*"))
        monkeypatch.setattr(sys, "argv", ["hotlap", "train", str(model.path)])
        with pytest.raises(SystemExit) as end:
            command_line.main()
    assert end.value.code == 2
    assert f"monitoring.prometheus_port = {port}" in " ".join(capfd.readouterr().err.split())
    assert sorted(tmp_path.rglob("*")) == before


def test_event_files_of_a_training_in_a_bucket_lie_there(s3_bucket: str, tmp_path: Path):
    """Beside the lines of its episodes."""
    model = write_model(tmp_path, training={"max_iterations": 2, "output": f"s3://{s3_bucket}/models/watched"})
    watched(model).run()
    bucket = Bucket(S3Prefix(s3_bucket, "models/watched"))
    (key,) = bucket.list("logs/tensorboard/iterations")
    (tmp_path / key.rpartition("/")[2]).write_bytes(bucket.get(key))
    reader = EventAccumulator(str(tmp_path / key.rpartition("/")[2]))
    reader.Reload()
    assert len(reader.Scalars("training/reward")) == 2
    lines = bucket.get("metrics/episodes.jsonl").decode().splitlines()
    assert [json.loads(line)["iteration"] for line in lines] == [0] * 5 + [1] * 5


@pytest.mark.parametrize("uri", ["http://me:secret-word@host/", "https://secret-word@host"])
def test_a_password_in_an_address_is_refused_and_not_repeated(uri: str, tmp_path: Path):
    model = write_model(tmp_path)
    with pytest.raises(ConfigError, match="MLFLOW_TRACKING") as found:
        model.job.updated(monitoring={"mlflow_uri": uri})
    assert "secret-word" not in str(found.value)


def test_trials_of_an_evaluation_are_told(unwatched: Path):
    """Telegraf hears of each, as of those of the original; nothing else is written or told."""
    model = ModelFolder(unwatched)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as receiver:
        receiver.bind(("127.0.0.1", 0))
        receiver.settimeout(60)
        job = model.job.updated(
            monitoring={"telegraf_host": "127.0.0.1", "telegraf_port": receiver.getsockname()[1]},
            evaluation={"trials": 2, "continuous": False, "number_of_resets": 0},
        )
        evaluator = Evaluator(model, job=job, checkpoint="last")
        evaluator.run()
        evaluator.record("20250101000000")
        packets = [receiver.recv(2048) for _ in range(2)]
    assert all(packet.startswith(b"dr_eval_episodes,model=unwatched0,status=Off\\ track,") for packet in packets)
    assert not (unwatched / "logs" / "tensorboard").exists()

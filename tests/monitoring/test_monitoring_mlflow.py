"""What MLflow's client sends, received by MLflow's own server and asked for again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from mlflow_server import MLflowServer
from news import NOON, beginning, news_of

from hotlap.config.monitoring import Monitoring
from hotlap.errors import MissingExtraError
from hotlap.monitoring.mlflow_tracking import MLflowTracking
from hotlap.monitoring.monitor import Monitor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[MLflowServer]:
    """A server; what one test leaves there the others see."""
    server = MLflowServer(tmp_path_factory.mktemp("mlflow"))
    yield server
    server.stop()


def tell(server: MLflowServer, folder: Path, number: int, *, run: str = "one") -> None:
    """Tell of an iteration, in a process of its own as far as the sink knows."""
    sink = MLflowTracking(server.uri, "racing")
    sink.begin(beginning(folder, run=run))
    sink.send(news_of(number))
    sink.end()


def test_a_training_is_one_run_however_often_it_is_resumed(
    server: MLflowServer, tmp_path: Path, capsys: pytest.CaptureFixture[str]
):
    """Every value with its time and step; another training is another run. Nothing is printed."""
    from mlflow.tracking import MlflowClient

    tell(server, tmp_path, 0)
    tell(server, tmp_path, 1)
    client = MlflowClient(tracking_uri=server.uri)
    experiment = client.get_experiment_by_name("racing")
    assert experiment is not None
    (run,) = client.search_runs([experiment.experiment_id])
    assert (run.info.run_name, run.info.status) == ("my model", "FINISHED")
    history = client.get_metric_history(run.info.run_id, "training/reward")
    assert sorted((each.timestamp, each.step, each.value) for each in history) == [
        (1000 * int(NOON + 3), 100, 1.5),
        (1000 * int(NOON + 103), 200, 2.5),
    ]
    assert run.data.metrics["evaluation/clean_rate"] == 0.5
    assert "update/entropy" not in run.data.metrics
    tell(server, tmp_path, 0, run="another")
    assert len(client.search_runs([experiment.experiment_id])) == 2
    assert capsys.readouterr().out == ""


def test_without_the_library_nothing_begins(monkeypatch: pytest.MonkeyPatch):
    """And the way to get it is named."""
    for name in [each for each in sys.modules if each.split(".")[0] == "mlflow"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "mlflow", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hotlap\[mlflow\]'"):
        Monitor(Monitoring(mlflow_uri="http://127.0.0.1:5000"), print)

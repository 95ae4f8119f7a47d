"""A run on an MLflow server: values of every iteration against environment steps."""

from __future__ import annotations

import os

from hotlap.errors import import_extra
from hotlap.monitoring.sink import Beginning, News, Sink, only
from hotlap.monitoring.values import iteration_values
from hotlap.records.events import IterationRecord

MAX_METRICS = 1000  # of a request
TAG = "hotlap.run"


class MLflowTracking(Sink):
    """Reports through MLflow's own client.

    Args:
        uri: Of the server, or of a folder.
        experiment: Made if it does not exist.

    Raises:
        MissingExtraError: If MLflow is not installed.
    """

    def __init__(self, uri: str, experiment: str) -> None:
        import_extra("mlflow.tracking", "mlflow", "Reporting to MLflow", package="mlflow-skinny")
        # What the client prints when a run ends would stand in the middle of our JSON, and its own retries, which take
        # minutes, would hide that the server is away.
        os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "1")
        os.environ.setdefault("MLFLOW_HTTP_REQUEST_TIMEOUT", "10")
        self.name = f"MLflow at {uri}"
        self._uri, self._experiment = uri, experiment

    def begin(self, training: Beginning) -> None:
        from mlflow.tracking import MlflowClient

        self._client = client = MlflowClient(tracking_uri=self._uri)
        found = client.get_experiment_by_name(self._experiment)
        experiment = found.experiment_id if found else client.create_experiment(self._experiment)
        runs = client.search_runs([experiment], filter_string=f"tags.`{TAG}` = '{training.run}'", max_results=1)
        if runs:
            self._run = runs[0].info.run_id
            client.update_run(self._run, status="RUNNING")
        else:
            self._run = client.create_run(experiment, tags={TAG: training.run}, run_name=training.model).info.run_id

    def send(self, news: list[News]) -> None:
        from mlflow.entities import Metric

        metrics = [
            Metric(name, value, round(1000 * at), record.total_steps)
            for at, record in only(IterationRecord, news)
            for name, value in iteration_values(record).items()
        ]
        for begin in range(0, len(metrics), MAX_METRICS):
            self._client.log_batch(self._run, metrics=metrics[begin : begin + MAX_METRICS])

    def end(self) -> None:
        self._client.set_terminated(self._run)

"""All sinks of a training together: what its settings ask for, opened before it begins, told while it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Self

from hotlap.config.monitoring import Monitoring
from hotlap.monitoring.courier import Courier
from hotlap.monitoring.run_id import run_id
from hotlap.monitoring.sink import Beginning, News, Sink, What
from hotlap.records.episode_log import EpisodeRecord
from hotlap.records.events import IterationRecord
from hotlap.records.metrics import TrialMetrics

END_S = 10.0  # that the end of a training waits for servers
HURRY_S = 3.0  # at an end that nobody planned


class Monitor:
    """Listens to a training and passes on what it hears; close it, or use it in a ``with`` statement.

    Args:
        settings: Who is to be told.
        tell: Is told what the user should know of them, perhaps from another thread.

    Raises:
        ConfigError: If the port for Prometheus cannot be had.
        MissingExtraError: If a library is not installed.
    """

    def __init__(self, settings: Monitoring, tell: Callable[[str], None]) -> None:
        self._tell = tell
        self._sinks = open_sinks(settings)
        self._names_runs = settings.wandb_project is not None or settings.mlflow_uri is not None
        self._couriers: list[Courier] = []
        self._early: list[News] = []  # heard of before it was known which training it is

    def begin(self, training: Beginning) -> None:
        """Let the sinks know which training it is, and what was heard of it before."""
        if self._names_runs:
            training = replace(training, run=run_id(training))
        self._couriers = [Courier(sink, training, self._tell) for sink in self._sinks]
        self._sinks = []
        for courier in self._couriers:
            courier.put(self._early)

    def on_begin(self, name: str, max_s: float, max_iterations: int) -> None:
        """See `begin`, which sinks are told instead."""

    def on_stage(self, stage: str, total: int | None) -> None:
        """Stages are told with their iteration."""

    def on_advance(self, done: int, steps: int) -> None:
        """See `on_stage`."""

    def on_episodes(self, records: Sequence[EpisodeRecord]) -> None:
        """Episodes were recorded."""
        self._put(records)

    def on_iteration(self, record: IterationRecord) -> None:
        """An iteration is finished and recorded."""
        self._put([record])

    def on_message(self, message: str) -> None:
        """Something the user is told."""
        self._put([message])

    def on_log(self, lines: Sequence[str]) -> None:
        """Lines of the log."""
        self._put(lines)

    def on_trials(self, trials: Sequence[TrialMetrics]) -> None:
        """The trials of an evaluation job are recorded."""
        self._put(trials)

    def _put(self, happened: Sequence[What]) -> None:
        now = time.time()
        news = [News(now, each) for each in happened]
        if self._sinks:
            self._early += news
        for courier in self._couriers:
            courier.put(news)

    def close(self, limit_s: float | None = None) -> None:
        """Deliver what is left, for at most ``limit_s``, or `END_S`; closing it again does nothing."""
        for sink in self._sinks:
            sink.release()
        couriers, self._couriers, self._sinks = self._couriers, [], []
        deadline = time.monotonic() + (END_S if limit_s is None else limit_s)
        for courier in couriers:
            courier.end(deadline)
        for courier in couriers:
            courier.join()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close(None if kind is None else HURRY_S)


def open_sinks(settings: Monitoring) -> list[Sink]:
    """The sinks that the settings ask for; what takes a place of this machine comes last."""
    sinks: list[Sink] = []
    if settings.tensorboard:
        from hotlap.monitoring.tensorboard_events import TensorBoardEvents

        sinks.append(TensorBoardEvents())
    if settings.telegraf_host:
        from hotlap.monitoring.telegraf import TelegrafSink

        sinks.append(TelegrafSink(settings.telegraf_host, settings.telegraf_port))
    if settings.cloudwatch_namespace:
        from hotlap.monitoring.cloudwatch import CloudWatchMetrics

        sinks.append(CloudWatchMetrics(settings.cloudwatch_namespace))
    if settings.cloudwatch_log_group:
        from hotlap.monitoring.cloudwatch import CloudWatchLog

        sinks.append(CloudWatchLog(settings.cloudwatch_log_group, settings.cloudwatch_log_stream_prefix))
    if settings.wandb_project:
        from hotlap.monitoring.weights_and_biases import WeightsAndBiases

        sinks.append(WeightsAndBiases(settings.wandb_project))
    if settings.mlflow_uri:
        from hotlap.monitoring.mlflow_tracking import MLflowTracking

        sinks.append(MLflowTracking(settings.mlflow_uri, settings.mlflow_experiment))
    if settings.prometheus_port:
        from hotlap.monitoring.prometheus import PrometheusEndpoint

        sinks.append(PrometheusEndpoint(settings.prometheus_host, settings.prometheus_port))
    return sinks

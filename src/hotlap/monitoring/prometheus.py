"""An endpoint that a Prometheus server asks while the training runs."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from prometheus_client import CollectorRegistry, start_http_server
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from hotlap.errors import ConfigError
from hotlap.monitoring.sink import Beginning, News, Sink, only
from hotlap.records.episode_log import EpisodeRecord
from hotlap.records.events import IterationRecord

_LABELS = ("model", "phase", "worker", "status")

_SUMS = {
    "steps": ("Environment steps trained on", lambda record: record.total_steps),
    "iterations": ("Finished iterations", lambda record: record.iteration + 1),
    "training_seconds": ("Wall-clock spent training", lambda record: record.elapsed_s),
}
_GAUGES = {
    "reward": ("Mean sum of rewards of a training episode", lambda record: record.reward_mean),
    "completion_ratio": ("Mean progress of training episodes", lambda record: record.completion_mean / 100),
    "lap_time_best_seconds": ("Fastest complete lap of training episodes", lambda record: record.lap_time_best_s),
}
_EVALUATION = {
    "evaluation_reward": ("Mean sum of rewards of a lap", lambda record: record.reward_mean),
    "evaluation_completion_ratio": ("Mean progress of laps", lambda record: record.completion_mean / 100),
    "evaluation_clean_ratio": ("Share of laps without a mistake", lambda record: record.clean_rate),
    "evaluation_lap_time_median_seconds": ("Median time of complete laps", lambda record: record.lap_time_median_s),
    "evaluation_lap_time_best_seconds": ("Fastest complete lap", lambda record: record.lap_time_best_s),
}


class PrometheusEndpoint(Collector, Sink):
    """Answers ``GET /metrics`` with the figures of the last iteration; listens as soon as it is made.

    Args:
        host, port: Where.

    Raises:
        ConfigError: If it cannot listen there.
    """

    def __init__(self, host: str, port: int) -> None:
        self.name = f"Prometheus at {host}:{port}"
        self._model = ""
        self._losses = ""
        self._last: IterationRecord | None = None
        self._episodes: Counter[tuple[str, ...]] = Counter()
        registry = CollectorRegistry()
        registry.register(self)
        try:
            self._server, self._thread = start_http_server(port, addr=host, registry=registry)
        except OSError as error:
            raise ConfigError(
                f"monitoring.prometheus_port = {port}: nothing can listen at {host}:{port} "
                f"({error.strerror or error}). It must be a free port of this machine; another training may have it. "
                "Choose another port, or leave it out."
            ) from None

    def collect(self) -> Iterator[Metric]:
        """What is known now; called from a thread of the server's for every request."""
        model, last = self._model, self._last
        played = CounterMetricFamily("hotlap_episodes", "Episodes since this process began", labels=_LABELS)
        for labels, count in list(self._episodes.items()):
            played.add_metric((model, *labels), count)
        yield played
        if last is None:
            return
        for name, (text, value) in _SUMS.items():
            counter = CounterMetricFamily(f"hotlap_{name}", text, labels=("model",))
            counter.add_metric((model,), value(last))
            yield counter
        gauges = [(name, text, value(last)) for name, (text, value) in _GAUGES.items()]
        if last.evaluation is not None:
            gauges += [(name, text, value(last.evaluation)) for name, (text, value) in _EVALUATION.items()]
        for name, text, found in gauges:
            if found is not None:
                gauge = GaugeMetricFamily(f"hotlap_{name}", text, labels=("model",))
                gauge.add_metric((model,), found)
                yield gauge
        yield _by(model, "loss", self._losses, "name", last.losses)
        yield _by(model, "stage_seconds", "Wall-clock of each stage of the last iteration", "stage", last.stages_s)

    def begin(self, training: Beginning) -> None:
        self._model = training.model
        self._losses = "; ".join(["Means over the last update", *map(": ".join, training.measures.items())])

    def send(self, news: list[News]) -> None:
        for _, record in only(IterationRecord, news):
            self._last = record
        for _, episode in only(EpisodeRecord, news):
            self._episodes[episode.phase, str(episode.worker), episode.status] += 1

    def end(self) -> None:
        self.release()

    def release(self) -> None:
        """Stop listening."""
        self._server.shutdown()
        self._server.server_close()


def _by(model: str, name: str, text: str, label: str, values: dict[str, float]) -> Metric:
    gauge = GaugeMetricFamily(f"hotlap_{name}", text, labels=("model", label))
    for key, value in values.items():
        gauge.add_metric((model, key), value)
    return gauge

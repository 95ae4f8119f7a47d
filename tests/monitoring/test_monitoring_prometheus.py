"""The endpoint, asked over HTTP and read by Prometheus' own parser."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen

import pytest
from news import beginning, news_of
from prometheus_client.parser import text_string_to_metric_families

from hotlap.errors import ConfigError
from hotlap.monitoring.prometheus import PrometheusEndpoint


@pytest.fixture
def port() -> int:
    """A port that was free a moment ago."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@pytest.fixture
def endpoint(port: int, tmp_path: Path) -> Iterator[PrometheusEndpoint]:
    endpoint = PrometheusEndpoint("127.0.0.1", port)
    endpoint.begin(beginning(tmp_path))
    yield endpoint
    endpoint.end()


def scrape(port: int) -> dict[tuple[str, ...], float]:
    """Values by name and labels, without the model's."""
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert answer.headers["Content-Type"].startswith("text/plain")
        text = answer.read().decode()
    found = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            assert sample.labels["model"] == "my model"
            found[sample.name, *(value for name, value in sorted(sample.labels.items()) if name != "model")] = (
                sample.value
            )
    return found


def test_the_endpoint_tells_of_the_last_iteration(endpoint: PrometheusEndpoint, port: int):
    """Counters go on, gauges are the last ones; before anything happened there is nothing."""
    assert scrape(port) == {}
    for number in range(3):
        endpoint.send(news_of(number))
    found = scrape(port)
    assert found["hotlap_iterations_total",] == 3
    assert found["hotlap_steps_total",] == 300
    assert found["hotlap_training_seconds_total",] == 30
    assert found["hotlap_reward",] == 3.5
    assert found["hotlap_completion_ratio",] == pytest.approx(0.3)
    assert found["hotlap_evaluation_clean_ratio",] == 0.5
    assert found["hotlap_stage_seconds", "update"] == 8.0
    assert found["hotlap_loss", "policy_loss"] == 0.25
    assert found["hotlap_episodes_total", "training", "off_track", "0"] == 6
    assert found["hotlap_episodes_total", "evaluation", "lap_complete", "0"] == 3
    assert not [name for name, *_ in found if "lap_time_best" in name]  # nobody drove a lap
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        assert "# HELP hotlap_loss Means over the last update; policy_loss: Surrogate [nat]\n" in answer.read().decode()


def test_a_port_in_use_is_said_before_anything_begins(endpoint: PrometheusEndpoint, port: int):
    """With the key, the place and the way out; and it is free again when the training has ended."""
    with pytest.raises(ConfigError, match=rf"monitoring.prometheus_port = {port}: nothing .* 127.0.0.1:{port} .*free"):
        PrometheusEndpoint("127.0.0.1", port)
    endpoint.end()
    PrometheusEndpoint("127.0.0.1", port).end()

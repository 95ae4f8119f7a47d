"""What boto3 sends, received by a server that speaks CloudWatch's protocol and asked for again."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from drfc_folder import write_drfc_folder
from news import NOON, beginning, news_of
from s3_server import hide_aws_settings

from hotlap.cli.doctor_folder import examine_folder
from hotlap.config.monitoring import Monitoring
from hotlap.errors import MissingExtraError
from hotlap.monitoring.cloudwatch import CloudWatchLog, CloudWatchMetrics
from hotlap.monitoring.monitor import Monitor
from hotlap.monitoring.sink import News


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    """Address of a server; what one test leaves there the others see."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    host, port = server.get_host_and_port()
    yield f"http://{host}:{port}"
    server.stop()


@pytest.fixture(autouse=True)
def _settings(server: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a user has them, who is not the one who runs the tests."""
    hide_aws_settings(monkeypatch)
    monkeypatch.setenv("AWS_ENDPOINT_URL", server)
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "tester")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "a-long-secret")
    monkeypatch.setenv("AWS_REGION", "eu-west-1")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "eu-west-1")


def client(service: str) -> Any:
    """A client of the server."""
    import boto3  # takes a third of a second

    return boto3.client(service)


def messages(group: str, stream: str) -> list[tuple[int, str]]:
    """Time [ms] and text of a stream's lines."""
    found = client("logs").get_log_events(logGroupName=group, logStreamName=stream, startFromHead=True)
    return [(event["timestamp"], event["message"]) for event in found["events"]]


def statistics(namespace: str, name: str) -> list[tuple[datetime, float]]:
    """Values of a metric, minute by minute."""
    found = client("cloudwatch").get_metric_statistics(
        Namespace=namespace,
        MetricName=name,
        Dimensions=[{"Name": "Model", "Value": "my model"}],
        StartTime=datetime.fromtimestamp(NOON - 60, UTC),
        EndTime=datetime.fromtimestamp(NOON + 600, UTC),
        Period=60,
        Statistics=["Average"],
    )
    return sorted((point["Timestamp"], point["Average"]) for point in found["Datapoints"])


def test_metrics_of_each_iteration_arrive(tmp_path: Path):
    """With the time of the iteration, however late they are sent, and nothing that costs without use."""
    sink = CloudWatchMetrics("hotlap/test")
    sink.begin(beginning(tmp_path))
    sink.send([*news_of(0), *news_of(1)])
    sink.end()
    assert [value for _, value in statistics("hotlap/test", "training/reward")] == [1.5, 2.5]
    assert [value for _, value in statistics("hotlap/test", "evaluation/clean_rate")] == [0.5, 0.5]
    metrics = client("cloudwatch").list_metrics(Namespace="hotlap/test")["Metrics"]
    assert {metric["MetricName"] for metric in metrics} == {
        "training/reward",
        "training/completion",
        "training/laps",
        "evaluation/reward",
        "evaluation/completion",
        "evaluation/clean_rate",
        "evaluation/lap_time_median",
    }


def test_the_log_arrives_in_a_stream_of_the_model(tmp_path: Path):
    """Group and stream are made where they are missing, and used where they are not."""
    for number in range(2):
        sink = CloudWatchLog("/deepracer-for-cloud", "team:a/")
        sink.begin(beginning(tmp_path))
        sink.send(news_of(number))
        sink.end()
    assert messages("/deepracer-for-cloud", "team-a/my model") == [
        (1000 * int(NOON), "Training> iteration 0"),
        (1000 * int(NOON) + 100_000, "Training> iteration 1"),
    ]


def test_a_long_log_travels_in_requests_that_are_allowed(tmp_path: Path):
    """Neither too many lines nor too many bytes in one, and no line of no length or beyond all."""
    lines = ["", *(f"{number} {'x' * 1000}" for number in range(2500)), "y" * 2_000_000]
    sink = CloudWatchLog("long", "")
    sink.begin(beginning(tmp_path))
    sink.send([News(NOON, line) for line in [*lines, *["short"] * 12_000]])
    logs = client("logs")
    pages, token = [], {}
    while not pages or pages[-1]:
        found = logs.get_log_events(logGroupName="long", logStreamName="my model", startFromHead=True, **token)
        pages.append([event["message"] for event in found["events"]])
        token = {"nextToken": found["nextForwardToken"]}
    arrived = [line for page in pages for line in page]
    assert len(arrived) == 2502 + 12_000
    assert arrived[:2] == [" ", lines[1]]
    assert arrived[2501] == "y" * 200_000


def test_without_the_library_nothing_begins(monkeypatch: pytest.MonkeyPatch):
    """And the way to get it is named."""
    monkeypatch.setitem(sys.modules, "boto3", None)
    for settings in (Monitoring(cloudwatch_namespace="n"), Monitoring(cloudwatch_log_group="g")):
        with pytest.raises(MissingExtraError, match=r"pip install 'hotlap\[cloudwatch\]'"):
            Monitor(settings, print)


def test_the_doctor_misses_the_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """That a folder of DeepRacer-for-Cloud asks for; it could not be trained without."""
    folder = write_drfc_folder(tmp_path, system={"DR_CLOUD_WATCH_ENABLE": True}, run={"DR_WORLD_NAME": "first_lap"})
    assert examine_folder(None, folder).problems == []
    monkeypatch.setitem(sys.modules, "boto3", None)
    (problem,) = examine_folder(None, folder).problems
    assert "pip install 'hotlap[cloudwatch]'" in problem

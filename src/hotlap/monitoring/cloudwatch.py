"""Metrics and the log to Amazon CloudWatch. Region, credentials and endpoint come as for every AWS tool."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from typing import Any

from hotlap.errors import import_extra
from hotlap.monitoring.sink import Beginning, News, Sink, only
from hotlap.monitoring.values import outcome_values
from hotlap.records.events import IterationRecord

MAX_METRICS = 1000  # of a request, as are the next three
MAX_LINES = 10_000
MAX_BYTES = 1_048_576
LINE_OVERHEAD = 26  # [bytes] that each line counts more than it is long
MAX_LINE = 200_000  # [bytes]

_NOT_IN_NAMES = re.compile(r"[:*]")


class CloudWatchMetrics(Sink):
    """How well each iteration drove: about nine metrics, since each one costs.

    Args:
        namespace: Of the metrics; their dimension is the model.

    Raises:
        MissingExtraError: If boto3 is not installed.
    """

    def __init__(self, namespace: str) -> None:
        import_extra("boto3", "cloudwatch", "Reporting to CloudWatch")
        self.name = f"CloudWatch metrics ({namespace})"
        self._namespace = namespace

    def begin(self, training: Beginning) -> None:
        self._model = training.model
        self._client = _client("cloudwatch")

    def send(self, news: list[News]) -> None:
        data = [
            {
                "MetricName": name,
                "Dimensions": [{"Name": "Model", "Value": self._model}],
                "Timestamp": datetime.fromtimestamp(at, UTC),
                "Value": value,
            }
            for at, record in only(IterationRecord, news)
            for name, value in outcome_values(record).items()
        ]
        for begin in range(0, len(data), MAX_METRICS):
            self._client.put_metric_data(Namespace=self._namespace, MetricData=data[begin : begin + MAX_METRICS])

    def end(self) -> None:
        self._client.close()


class CloudWatchLog(Sink):
    """The lines of the log, for metric filters that know those of the original.

    Args:
        group: Made if it does not exist.
        prefix: What the stream's name begins with; the model's name follows.

    Raises:
        MissingExtraError: If boto3 is not installed.
    """

    def __init__(self, group: str, prefix: str) -> None:
        import_extra("boto3", "cloudwatch", "Reporting to CloudWatch")
        self.name = f"CloudWatch log ({group})"
        self._group, self._prefix = group, prefix

    def begin(self, training: Beginning) -> None:
        self._stream = _NOT_IN_NAMES.sub("-", f"{self._prefix}{training.model}")
        self._client = client = _client("logs")
        names = {"logGroupName": self._group}
        try:
            _make(client, client.create_log_stream, **names, logStreamName=self._stream)
        except client.exceptions.ResourceNotFoundException:
            _make(client, client.create_log_group, **names)
            _make(client, client.create_log_stream, **names, logStreamName=self._stream)

    def send(self, news: list[News]) -> None:
        for events in _batches(news):
            self._client.put_log_events(logGroupName=self._group, logStreamName=self._stream, logEvents=events)

    def end(self) -> None:
        self._client.close()


def _batches(news: Sequence[News]) -> Iterator[list[dict[str, Any]]]:
    """The lines among ``news`` in requests that are not too large."""
    events: list[dict[str, Any]] = []
    size = 0
    for at, line in only(str, news):
        line = line.encode()[:MAX_LINE].decode(errors="ignore") or " "  # an empty one is refused
        num_bytes = len(line.encode()) + LINE_OVERHEAD
        if events and (len(events) == MAX_LINES or size + num_bytes > MAX_BYTES):
            yield events
            events, size = [], 0
        events.append({"timestamp": round(1000 * at), "message": line})
        size += num_bytes
    if events:
        yield events


def _make(client: Any, create: Any, **names: str) -> None:
    """Create something that may be there already."""
    with suppress(client.exceptions.ResourceAlreadyExistsException):
        create(**names)


def _client(service: str) -> Any:
    import boto3
    from botocore.config import Config

    # Our own pauses come on top; a courier should not be stuck when the training ends.
    limits = Config(connect_timeout=5, read_timeout=10, retries={"total_max_attempts": 2})
    return boto3.client(service, config=limits)

"""The [monitoring] table, and the variables of DeepRacer-for-Cloud that mean the same."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from drfc_folder import write_drfc_folder

from hotlap.config import Job
from hotlap.config.drfc import DrfcFolder
from hotlap.config.monitoring import Monitoring
from hotlap.errors import ConfigError


def monitoring_of(folder: Path, **variables: object) -> Monitoring:
    return DrfcFolder(write_drfc_folder(folder, system=variables)).job.monitoring


def test_variables_of_the_original_say_who_is_told(tmp_path: Path):
    """Each as the original means it; what is not set stays as it is."""
    assert monitoring_of(tmp_path / "none") == Monitoring()
    assert monitoring_of(tmp_path / "host", DR_TELEGRAF_HOST="telegraf") == Monitoring(telegraf_host="telegraf")
    assert monitoring_of(
        tmp_path / "all",
        DR_TELEGRAF_HOST="10.0.0.5",
        DR_TELEGRAF_PORT=8094,
        DR_CLOUD_WATCH_ENABLE=True,
        DR_CLOUD_WATCH_LOG_STREAM_PREFIX="team-a/",
    ) == Monitoring(
        telegraf_host="10.0.0.5",
        telegraf_port=8094,
        cloudwatch_log_group="/deepracer-for-cloud",
        cloudwatch_log_stream_prefix="team-a/",
    )


def test_nothing_but_files_is_told_by_default():
    """Nobody's numbers leave the machine unless they are told to."""
    assert {name for name, value in Monitoring().model_dump().items() if value is True} == {"tensorboard"}
    assert {name for name, value in Monitoring().model_dump().items() if value is None} == {
        "prometheus_port",
        "telegraf_host",
        "cloudwatch_namespace",
        "cloudwatch_log_group",
        "wandb_project",
        "mlflow_uri",
    }
    assert Monitoring().prometheus_host == "127.0.0.1"


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("prometheus_port", 0),
        ("prometheus_port", 65536),
        ("telegraf_port", -1),
        ("telegraf_host", ""),
        ("cloudwatch_namespace", "my metrics"),
        ("cloudwatch_log_group", "a b"),
        ("cloudwatch_log_stream_prefix", "a:b"),
        ("wandb_project", "team/project"),
        ("mlflow_uri", ""),
    ],
)
def test_what_no_server_takes_is_refused_by_its_key(key: str, value: Any):
    with pytest.raises(ConfigError, match=f"monitoring.{key} "):
        Job().updated(monitoring={key: value})

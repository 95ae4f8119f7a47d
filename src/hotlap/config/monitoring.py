"""The [monitoring] table of job.toml: who else is told how a training goes."""

from __future__ import annotations

from pydantic import Field

from hotlap.config.base import Config


class Monitoring(Config):
    """Who else is told how a training goes; none of them can stop it or slow it down."""

    tensorboard: bool = True
    """Write event files: `tensorboard --logdir logs/tensorboard` below the model shows them."""

    prometheus_port: int | None = Field(default=None, ge=1, le=65535, examples=[9100])
    """Port at which a Prometheus server finds /metrics while the training runs."""

    prometheus_host: str = Field(default="127.0.0.1", min_length=1)
    """Address of that port. 0.0.0.0 lets other machines ask; there is no password."""

    telegraf_host: str | None = Field(default=None, min_length=1, examples=["telegraf"])
    """Where Telegraf listens for UDP packets: a point for each episode, as the original sends it."""

    telegraf_port: int = Field(default=8092, ge=1, le=65535)
    """Its port."""

    cloudwatch_namespace: str | None = Field(default=None, pattern=r"^[A-Za-z0-9._/#:-]{1,255}$", examples=["hotlap"])
    """Send metrics to this namespace of Amazon CloudWatch (needs hotlap[cloudwatch])."""

    cloudwatch_log_group: str | None = Field(
        default=None, pattern=r"^[A-Za-z0-9._/#-]{1,512}$", examples=["/deepracer-for-cloud"]
    )
    """Send the log to this group of Amazon CloudWatch Logs (needs hotlap[cloudwatch])."""

    cloudwatch_log_stream_prefix: str = Field(default="", pattern=r"^[^:*]{0,256}$")
    """What the names of its streams begin with; the model's name follows."""

    wandb_project: str | None = Field(default=None, pattern=r"^[^/\\#?%:]{1,128}$", examples=["hotlap"])
    """Report to this project of Weights & Biases (needs hotlap[wandb]); WANDB_API_KEY or `wandb login` give access."""

    mlflow_uri: str | None = Field(default=None, min_length=1, examples=["http://127.0.0.1:5000"])
    """Report to the MLflow server there (needs hotlap[mlflow]); MLFLOW_TRACKING_USERNAME and the like give access."""

    mlflow_experiment: str = Field(default="hotlap", min_length=1)
    """The experiment to which the run belongs."""

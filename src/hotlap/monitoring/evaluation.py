"""Who is told of an evaluation job: those to whom the original reports its trials and its log."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hotlap.config.monitoring import Monitoring
from hotlap.monitoring.monitor import Monitor
from hotlap.monitoring.sink import Beginning
from hotlap.records.folder import Folder
from hotlap.records.metrics import TrialMetrics

_OF_TRAININGS = {
    "tensorboard": False,
    "prometheus_port": None,
    "cloudwatch_namespace": None,
    "wandb_project": None,
    "mlflow_uri": None,
}


class EvaluationMonitor:
    """Tells Telegraf of every trial, and CloudWatch of the log.

    Args:
        settings: Of the model.
        tell: Is told what the user should know of them, perhaps from another thread.

    Raises:
        MissingExtraError: If a library is not installed.
    """

    def __init__(self, settings: Monitoring, tell: Callable[[str], None]) -> None:
        self._settings = settings.model_copy(update=_OF_TRAININGS)
        self._tell = tell
        self._open().close()

    def report(self, model: str, store: Folder, trials: Sequence[TrialMetrics], log: Sequence[str]) -> None:
        """Tell of an evaluation that is recorded; waits for servers for ten seconds at most."""
        with self._open() as monitor:
            monitor.begin(Beginning(model, store))
            monitor.on_trials(trials)
            monitor.on_log(log)

    def _open(self) -> Monitor:
        return Monitor(self._settings, self._tell)

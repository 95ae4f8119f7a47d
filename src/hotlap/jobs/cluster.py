"""Jobs on a Ray cluster, through the Ray Jobs API of its head."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import shlex
import socket
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.util import find_spec
from typing import Any
from urllib.parse import urlsplit

from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import ConfigError, MissingExtraError, TrainingError
from hotlap.jobs.model_copy import copy_model
from hotlap.jobs.record import ClusterJob, State
from hotlap.unfinished import scratch_folder

POLL_S = 0.5
CONNECT_TIMEOUT_S = 5.0

# Ray's word: ours. What was stopped by `stop_now` counts as finished, like a second Ctrl-C.
STATES: dict[str, State] = {
    "PENDING": "starting",
    "RUNNING": "running",
    "SUCCEEDED": "finished",
    "STOPPED": "finished",
    "FAILED": "failed",
}


class Cluster:
    """A cluster that takes jobs.

    Args:
        address: Of its head's dashboard, ``http://head:8265`` or ``head:8265``.

    Raises:
        ConfigError: If the address cannot be one, or asks for a token that is not there.
        MissingExtraError: If Ray's client for jobs is not installed.
        TrainingError: If nothing answers.
    """

    def __init__(self, address: str) -> None:
        self.address = (address if "://" in address else f"http://{address}").rstrip("/")
        if find_spec("ray") is None or find_spec("aiohttp") is None:
            raise MissingExtraError("ray[default]", "cluster", "Submitting jobs to a cluster")
        self._knock()
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"
        from ray.exceptions import AuthenticationError
        from ray.job_submission import JobSubmissionClient

        for talkative in ("ray.dashboard.modules.dashboard_sdk", "ray._private.runtime_env.packaging"):
            logging.getLogger(talkative).setLevel(logging.WARNING)
        try:
            # Ray prefers the variables to the address given.
            with self._answering(), _without("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
                self._client = JobSubmissionClient(self.address)
        except AuthenticationError as error:
            raise ConfigError(
                f"the cluster at {self.address} wants a token ({_one_line(error)}). Set RAY_AUTH_MODE=token and "
                "RAY_AUTH_TOKEN, or RAY_AUTH_TOKEN_PATH, as its head has them."
            ) from error

    def submit(self, model: ModelFolder, job: Job, output: str, options: Sequence[str], name: str | None) -> ClusterJob:
        """Send a model folder there and let the head train it into a folder of its own.

        Args:
            model: The folder; earlier trainings in it do not travel.
            job: Its settings.
            output: Folder for model and records, as the head sees it.
            options: Of `hotlap train`, beside those that ``job`` holds.
            name: Shown among the cluster's jobs.
        """
        command = ["hotlap", "train", ".", "--output", output, "--cluster", "auto", *options]
        with scratch_folder() as folder:
            copy_model(model, job, folder, portable=True)
            submission = self._submit(command, name or model.path.resolve().name, working_dir=str(folder))
        return ClusterJob(self.address, submission, output)

    def wait(self, job: ClusterJob, until: str | None = None) -> State:
        """Its state when it has ended, or as soon as its output holds the words ``until``."""
        while (state := self.state(job)) in ("starting", "running") and not (until and until in self.logs(job)):
            time.sleep(POLL_S)
        return state

    def state(self, job: ClusterJob) -> State:
        """How it goes; ``lost`` if the cluster does not know it, as after a new start of the head."""
        with self._answering():
            try:
                return STATES[self._client.get_job_status(job.submission_id).value]
            except RuntimeError as error:
                if "does not exist" in str(error):
                    return "lost"
                raise

    def logs(self, job: ClusterJob) -> str:
        """Its output so far."""
        with self._answering():
            return str(self._client.get_job_logs(job.submission_id))

    def follow(self, job: ClusterJob, write: Callable[[str], Any]) -> None:
        """Write its output from the beginning until it ends."""

        async def tail() -> None:
            async for lines in self._client.tail_job_logs(job.submission_id):
                write(lines)

        with self._answering():
            asyncio.run(tail())

    def stop_after_iteration(self, job: ClusterJob) -> None:
        """Let it finish its iteration, and wait for that: Ray itself would give it three seconds.

        Raises:
            TrainingError: If the head could not tell it.
        """
        # `hotlap stop` works on the machine of the training, so it is a second job there.
        helper = ClusterJob(self.address, self._submit(["hotlap", "stop", job.output], "hotlap stop"), job.output)
        if self.wait(helper) != "finished":
            raise TrainingError(
                f"the head of {self.address} could not end the training of {job.output}: {self.logs(helper).strip()} "
                "`hotlap stop` with --now ends it by Ray's means; all finished iterations are saved."
            )

    def stop_now(self, job: ClusterJob) -> None:
        """End it within seconds; all finished iterations are saved."""
        with self._answering():
            self._client.stop_job(job.submission_id)

    def _submit(self, command: Sequence[str], name: str, **runtime_env: Any) -> str:
        with self._answering():
            return str(
                self._client.submit_job(
                    entrypoint=f"exec {shlex.join(command)}",
                    runtime_env={"env_vars": {"RAY_USAGE_STATS_ENABLED": "0"}} | runtime_env,
                    metadata={"name": name},
                )
            )

    def _knock(self) -> None:
        """Find out within seconds that nobody is there; Ray's client would wait for minutes."""
        parts = urlsplit(self.address)
        try:
            place = (parts.hostname or "", parts.port or (443 if parts.scheme == "https" else 80))
        except ValueError:  # a port that is no number
            place = ("", 0)
        if parts.scheme not in ("http", "https") or not place[0]:
            raise ConfigError(
                f"{self.address} is no address of a cluster that takes jobs. Give that of its dashboard, such as "
                "http://head:8265."
            )
        try:
            socket.create_connection(place, CONNECT_TIMEOUT_S).close()
        except OSError as error:
            raise self._no_answer(error.strerror or str(error)) from error

    @contextlib.contextmanager
    def _answering(self) -> Iterator[None]:
        """Turn what Ray's client raises when a request fails into our error."""
        try:
            yield
        except (OSError, RuntimeError) as error:
            raise self._no_answer(_one_line(error)) from error

    def _no_answer(self, why: str) -> TrainingError:
        return TrainingError(
            f"the cluster at {self.address} does not answer as one that takes jobs ({why}). Its head must run "
            "`ray start --head --include-dashboard=true` with ray[default] installed, and be reachable from here."
        )


@contextlib.contextmanager
def _without(*variables: str) -> Iterator[None]:
    """Hide environment variables."""
    hidden = {name: os.environ.pop(name) for name in variables if name in os.environ}
    try:
        yield
    finally:
        os.environ.update(hidden)


def _one_line(error: BaseException) -> str:
    return " ".join(str(error).split())

"""End a job from outside, and wait until it has ended."""

from __future__ import annotations

import time

from hotlap.jobs.cluster import Cluster
from hotlap.jobs.record import ClusterJob, JobRecord
from hotlap.jobs.registry import JobRegistry

POLL_S = 0.2


def stop_job(registry: JobRegistry, job: JobRecord, *, at_once: bool) -> JobRecord:
    """Let a job end after the iteration in hand, or at once. All its finished iterations stay saved.

    Returns:
        Its record when it has ended, in whatever way.

    Raises:
        TrainingError: If its cluster does not answer.
    """
    if job.cluster is not None:
        return _stop_on_cluster(registry, job, job.cluster, at_once)
    registry.ask_to_stop(job.id, 2 if at_once else 1)
    while (job := registry.get(job.id)).live:
        time.sleep(POLL_S)
    return job


def _stop_on_cluster(registry: JobRegistry, job: JobRecord, place: ClusterJob, at_once: bool) -> JobRecord:
    cluster = Cluster(place.address)
    if at_once:
        cluster.stop_now(place)
    else:
        cluster.stop_after_iteration(place)
    return registry.end_of(job, cluster.wait(place))

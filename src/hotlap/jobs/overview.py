"""All of the user's jobs as they are now, also those of clusters."""

from __future__ import annotations

from dataclasses import replace

from hotlap.errors import HotlapError
from hotlap.jobs.cluster import Cluster
from hotlap.jobs.record import LIVE, ClusterJob, JobRecord
from hotlap.jobs.registry import JobRegistry


def overview(registry: JobRegistry) -> tuple[list[JobRecord], list[str]]:
    """Every job, oldest first, and what is to be said about clusters that could not be asked.

    What has ended on a cluster is written down, so that it is not asked for again.
    """
    return _asked(registry, registry.jobs())


def find_job(registry: JobRegistry, target: str, *, with_log: bool = False) -> JobRecord:
    """The job that a user means by a number, a name, or a folder: the newest such job, a live one first.

    Args:
        registry: The list of jobs.
        target: The number, name or folder.
        with_log: Take one whose output can be read, if there is any.

    Raises:
        ConfigError: If there is none.
    """
    jobs, _ = _asked(registry, registry.matching(target))
    readable = [job for job in jobs if job.log or job.cluster] if with_log else []
    return max(readable or jobs, key=lambda job: (job.live, int(job.id)))


def _asked(registry: JobRegistry, records: list[JobRecord]) -> tuple[list[JobRecord], list[str]]:
    """``records`` as their clusters know them; a cluster that does not answer is not asked again."""
    clusters: dict[str, Cluster | None] = {}
    complaints: list[str] = []
    jobs = []
    for job in records:
        if (place := job.cluster) is not None and job.live:
            try:
                job = _on_cluster(registry, job, place, clusters)
            except HotlapError as error:
                clusters[place.address] = None
                complaints.append(str(error))
                job = replace(job, state="unknown")
        jobs.append(job)
    return jobs, complaints


def _on_cluster(
    registry: JobRegistry, job: JobRecord, place: ClusterJob, clusters: dict[str, Cluster | None]
) -> JobRecord:
    if place.address not in clusters:
        clusters[place.address] = Cluster(place.address)
    cluster = clusters[place.address]
    if cluster is None:
        return replace(job, state="unknown")
    state = cluster.state(place)
    if state in LIVE:
        return replace(job, state=state)
    return registry.end_of(job, state)

"""All of the user's jobs as they are now, also those of clusters."""

from __future__ import annotations

from dataclasses import asdict, replace

from hotlap.errors import HotlapError
from hotlap.jobs.cluster import Cluster
from hotlap.jobs.record import LIVE, ClusterJob, JobRecord, now
from hotlap.jobs.registry import JobRegistry, progress_of


def overview(registry: JobRegistry) -> tuple[list[JobRecord], list[str]]:
    """Every job, oldest first, and what is to be said about clusters that could not be asked.

    What has ended on a cluster is written down, so that it is not asked for again.
    """
    return _asked(registry, registry.jobs())


def find_job(registry: JobRegistry, target: str) -> JobRecord:
    """The job that a user means by a number, a name, or a folder: the newest such job, a live one first.

    Raises:
        ConfigError: If there is none.
    """
    jobs, _ = _asked(registry, registry.matching(target))
    return max(jobs, key=lambda job: (job.live, int(job.id)))


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
    return registry.update(job.id, state=state, ended=now(), **asdict(progress_of(place.output)))

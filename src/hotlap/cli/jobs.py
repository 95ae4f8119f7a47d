"""``hotlap jobs``, ``hotlap stop``, ``hotlap logs``: look after trainings from another terminal."""

from __future__ import annotations

import sys
import time
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from hotlap.cli.model_argument import model_place
from hotlap.cli.output import JsonOption, console, print_json, screen
from hotlap.errors import ConfigError, RecordError
from hotlap.shell import as_typed
from hotlap.wording import counted

if TYPE_CHECKING:
    from hotlap.jobs.record import JobRecord
    from hotlap.jobs.registry import JobRegistry

POLL_S = 0.3

Target = Annotated[str, typer.Argument(metavar="JOB", help="Number or name of a job, or the folder it trains.")]


def jobs(as_json: JsonOption = False) -> None:
    """List trainings: those that run, here and on clusters, and the last ones that ended.

    Clean is the share of clean laps in the last evaluation; best that of the best checkpoint, and its lap time.

    JSON keys: jobs (each with id, name, folder, state, started, ended, iterations, clean_rate, best_checkpoint,
    best_clean_rate, best_lap_time_s, reason, error, log, process, cluster), notes.
    """
    from hotlap.jobs.overview import overview
    from hotlap.jobs.registry import JobRegistry

    found, complaints = overview(JobRegistry())
    found = [_with_progress(job) for job in found]
    if as_json:
        print_json({"jobs": [asdict(job) for job in found], "notes": complaints})
        return

    from rich.markup import escape
    from rich.table import Table

    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("job", "state", "started", "iter", "clean", "best"):
        table.add_column(column, no_wrap=True, justify="left" if column in ("state", "started") else "right")
    table.add_column("folder", overflow="fold")
    for job in found:
        table.add_row(
            job.id,
            f"[{_COLORS[job.state]}]{job.state}[/]",
            job.started_here[:16],
            "–" if job.iterations is None else str(job.iterations),
            "–" if job.clean_rate is None else f"{job.clean_rate:.0%}",
            _best(job),
            escape(_place(job) + (f" ({job.name})" if job.name else "")),
        )
    out = screen()
    if found:
        out.print(table)
    else:
        out.print("No jobs. `hotlap train DIR` makes one; with --detach it runs in the background.")
    for complaint in complaints:
        console().print(f"[yellow]{escape(complaint)}[/]")


def stop(
    target: Target,
    now: Annotated[bool, typer.Option("--now", help="At once, not after the iteration in hand.")] = False,
    as_json: JsonOption = False,
) -> None:
    """End a training as Ctrl-C does, and wait until it has ended; all finished iterations stay saved.

    Exit code 1 if it ended in another way. JSON keys: those of a job in `hotlap jobs`.
    """
    from hotlap.jobs.overview import find_job
    from hotlap.jobs.registry import JobRegistry
    from hotlap.jobs.stopping import stop_job

    out = console()
    registry = JobRegistry()
    job = find_job(registry, model_place(target))
    was_live = job.live
    if was_live:
        try:
            with out.status(f"Waiting until job {job.id} has ended{'' if now else ' its iteration'} …"):
                job = stop_job(registry, job, at_once=now)
        except KeyboardInterrupt:
            out.print(f"Job {job.id} ends all the same; `hotlap jobs` shows when.")
            raise typer.Exit(130) from None
    if as_json:
        print_json(asdict(job))
    elif not was_live:
        out.print(f"Job {job.id} is {job.state}: there is nothing to end.")
    elif job.state == "finished":
        done = f" after {counted(job.iterations, 'iteration')}" if job.iterations else ""
        out.print(f"Job {job.id} has ended{done}. The same command with --resume goes on from there.", soft_wrap=True)
    else:
        out.print(f"Job {job.id} is {job.state}{f': {job.error}' if job.error else '.'}", soft_wrap=True)
    if was_live and job.state != "finished":
        raise typer.Exit(1)


def logs(
    target: Target,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
) -> None:
    """Print what a background job, or one on a cluster, has written."""
    from hotlap.jobs.cluster import Cluster
    from hotlap.jobs.overview import find_job
    from hotlap.jobs.registry import JobRegistry

    registry = JobRegistry()
    job = find_job(registry, model_place(target))
    try:
        if job.cluster:
            cluster = Cluster(job.cluster.address)
            if follow:
                cluster.follow(job.cluster, _write)
            else:
                _write(cluster.logs(job.cluster))
        elif job.log:
            _print_file(registry, job, follow)
        else:
            raise ConfigError(
                f"job {job.id} has no log: it trains {job.folder} in the foreground of a terminal, which shows what it "
                "writes. `hotlap train DIR --detach` trains in the background with a log."
            )
    except KeyboardInterrupt:
        raise typer.Exit(130) from None


_COLORS = {
    "starting": "yellow",
    "running": "green",
    "stopping": "yellow",
    "finished": "dim",
    "failed": "red",
    "lost": "red",
    "unknown": "yellow",
}


def _with_progress(job: JobRecord) -> JobRecord:
    """While it runs, and if it never said how it ended, with the progress of its folder; else as it was at its end."""
    from hotlap.jobs.registry import progress_of

    if not job.live and job.state != "lost":
        return job
    return replace(job, **asdict(progress_of(job.cluster.output if job.cluster else job.folder)))


def _best(job: JobRecord) -> str:
    if job.best_clean_rate is None:
        return "–"
    lap_time = "" if job.best_lap_time_s is None else f" {job.best_lap_time_s:.1f} s"
    return f"{job.best_clean_rate:.0%}{lap_time}"


def _place(job: JobRecord) -> str:
    """Where it trains."""
    if job.cluster:
        return f"{job.cluster.output} on {job.cluster.address}"
    folder = as_typed(job.folder)
    return folder if job.process is None or job.process.here else f"{folder} on {job.process.host}"


def _print_file(registry: JobRegistry, job: JobRecord, follow: bool) -> None:
    """Write a job's log; with ``follow`` until the job has ended."""
    assert job.log is not None
    try:
        with open(job.log, encoding="utf-8", errors="replace") as log:
            while True:
                live = follow and registry.get(job.id).live
                _write(log.read())  # after the question, so that the job's last words are not missed
                if not live:
                    return
                time.sleep(POLL_S)
    except OSError as error:
        raise RecordError(f"the log of job {job.id}, {job.log}, cannot be read ({error.strerror}).") from error


def _write(text: str) -> None:
    sys.stdout.write(text)
    sys.stdout.flush()

"""``hotlap jobs``, ``hotlap stop``, ``hotlap logs``: look after trainings from another terminal."""

from __future__ import annotations

import re
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, replace
from typing import TYPE_CHECKING, Annotated

import typer

from hotlap.cli.console import JsonOption, columns, console, print_json, print_table, screen
from hotlap.cli.model_argument import model_place
from hotlap.errors import ConfigError, RecordError
from hotlap.shell import as_typed
from hotlap.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

    from hotlap.jobs.record import JobRecord
    from hotlap.jobs.registry import JobRegistry

POLL_S = 0.3
PATIENCE_S = 10.0  # of who waits for the end of an iteration without a word
VANISHED = "its process has vanished, perhaps because the memory was full"

Target = Annotated[str, typer.Argument(metavar="JOB", help="Number or name of a job, or the folder it trains.")]


def jobs(as_json: JsonOption = False) -> None:
    """List trainings: those that run, here and on clusters, and the last ones that ended.

    Clean is the share of clean laps in the last evaluation; best that of the best checkpoint, and its lap time. All
    are as the job itself left them; a dash: it finished no iteration.

    JSON keys: jobs (each with id, name, folder, state, started, ended, iterations_before, iterations, clean_rate,
    best_checkpoint, best_clean_rate, best_lap_time_s, reason, error, log, process, cluster), notes.
    """
    from hotlap.jobs.overview import overview
    from hotlap.jobs.registry import JobRegistry

    registry = JobRegistry()
    found, complaints = overview(registry)
    found = [replace(job, **asdict(registry.progress(job))) if job.live else job for job in found]
    if as_json:
        print_json({"jobs": [asdict(job) for job in found], "notes": complaints})
        return

    from rich.markup import escape

    headings = ("job", "state", "started", "iter", "clean", "best", "folder", "why")
    table = columns(*headings, left=("state", "started"), fold=("folder", "why"))
    for job in found:
        table.add_row(
            job.id,
            f"[{_COLORS[job.state]}]{job.state}[/]",
            job.started_here[:16],
            "–" if job.iterations is None else str(job.iterations),
            "–" if job.clean_rate is None else f"{job.clean_rate:.0%}",
            _best(job),
            escape(_place(job) + (f" ({job.name})" if job.name else "")),
            escape(_why(job)),
        )
    out = screen()
    if found:
        print_table(out, table)
    else:
        out.print("No jobs. `hotlap train DIR` makes one; with --detach it runs in the background.")
    for complaint in complaints:
        console().print(complaint, style="yellow")


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
            waits = f"Waiting until job {job.id} has ended{'' if now else ' its iteration'} …"
            with out.status(waits), _said_after(PATIENCE_S, out, "" if now else _still_waiting(job)):
                job = stop_job(registry, job, at_once=now)
        except KeyboardInterrupt:
            out.print(f"Job {job.id} ends all the same; `hotlap jobs` shows when.")
            raise typer.Exit(130) from None
    if as_json:
        print_json(asdict(job))
    elif not was_live:
        gone = f"; {VANISHED}" if job.state == "lost" else ""
        out.print(f"Job {job.id} is {job.state}: there is nothing to end{gone}.")
    elif job.state == "finished":
        done = f" after {counted(job.iterations, 'iteration')}" if job.iterations else ""
        out.print(f"Job {job.id} has ended{done}. The same command with --resume goes on from there.")
    elif job.state == "lost":
        out.print(f"Job {job.id} is lost: {VANISHED}. The same command with --resume goes on.")
    else:
        error = f": {job.error}" if job.error else "."
        out.print(f"Job {job.id} is {job.state}{error}")
    if was_live and job.state != "finished":
        raise typer.Exit(1)


def logs(
    target: Target,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
) -> None:
    """Print what a background job, or one on a cluster, has written; of a folder the newest that wrote something."""
    from hotlap.jobs.cluster import Cluster
    from hotlap.jobs.overview import find_job
    from hotlap.jobs.registry import JobRegistry

    registry = JobRegistry()
    place = model_place(target)
    job, newest = find_job(registry, place, with_log=True), registry.matching(place)[-1]
    if int(newest.id) > int(job.id):
        console().print(f"This is what job {job.id} wrote; job {newest.id}, which is newer, has no log.")
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
    if registry.get(job.id).state == "lost":
        console().print(f"Job {job.id} is lost: {VANISHED}.")


@contextmanager
def _said_after(seconds: float, out: Console, sentence: str) -> Iterator[None]:
    """Print a sentence if the block takes so long."""
    timer = threading.Timer(seconds, lambda: out.print(sentence))
    timer.daemon = True
    if sentence:
        timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _still_waiting(job: JobRecord) -> str:
    return f"Waiting for the iteration in hand; `hotlap stop {job.id} --now` ends it at once."


_COLORS = {
    "starting": "yellow",
    "running": "green",
    "stopping": "yellow",
    "finished": "dim",
    "failed": "red",
    "lost": "red",
    "unknown": "yellow",
}


_ENDS = {
    "goal": "goal reached",
    "plateau": "not better any more",
    "max_minutes": "time up",
    "minutes": "time up",
    "max_iterations": "iterations done",
    "iterations": "iterations done",
    "term_cond_max_episodes": "iterations done",
    "term_cond_avg_score": "score reached",
    "stopped": "stopped; --resume goes on",
    "interrupted": "stopped at once; --resume goes on",
}
MAX_WHY = 60  # characters of an error in the list


def _why(job: JobRecord) -> str:
    """Why it ended, in a few words; of an error its beginning, with file and line but not the way to the file."""
    if job.state == "lost":
        return "killed, or the memory was full; --resume goes on"
    if job.error:
        error = re.sub(r"^[^,:]*[/\\](?=[^/\\,:]+[,:])", "", job.error)
        return textwrap.shorten(re.sub(r", episode \d+, step \d+", "", error), MAX_WHY, placeholder=" …")
    return _ENDS.get(job.reason or "", job.reason or "")


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

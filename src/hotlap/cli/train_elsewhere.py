"""The ways of `hotlap train` to return while the training goes on: in the background, or on a cluster."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from hotlap.cli.console import console, print_json

if TYPE_CHECKING:
    from rich.console import Console

    from hotlap.config.job import Job
    from hotlap.config.model_folder import ModelFolder

READY = "ready after"  # what a training says, wherever it runs, as soon as all that the user gave has proved usable


def train_in_background(context: typer.Context, folder: str | Path, name: str | None, *, as_json: bool) -> None:
    """Start the command of ``context`` again as a background job that trains ``folder``.

    Returns when it trains. If it fails before that, its output goes to standard error, and its exit code is passed on.
    """
    from hotlap.jobs.starting import BackgroundJob

    out = console()
    words = [word for word in context.obj if word not in ("--detach", "--json")]
    job = BackgroundJob(words, folder, name)
    try:
        with out.status("Starting in the background …"):
            begun = job.wait_until_begun()
    except KeyboardInterrupt:
        job.registry.ask_to_stop(job.id, 2)
        out.print(f"Job {job.id} ends instead of beginning.")
        raise typer.Exit(130) from None
    if not begun:
        sys.stderr.write(job.log.read_text(encoding="utf-8", errors="replace"))
        raise typer.Exit(job.process.returncode or 1)
    _tell(out, job.id, folder, f"{folder} in the background (process {job.process.pid})", job.log, as_json)


def submit_training(
    model: ModelFolder,
    job: Job,
    address: str,
    output: str,
    name: str | None,
    options: Sequence[str],
    *,
    as_json: bool,
) -> None:
    """Hand a model to the cluster at ``address``, which trains it in ``output``.

    Returns when it trains. If it fails before that, its output goes to standard error, and the exit code is 2.
    """
    from hotlap.jobs.cluster import Cluster
    from hotlap.jobs.registry import JobRegistry, progress_of

    out = console()
    registry = JobRegistry()
    with out.status(f"Submitting to {address} …"):
        cluster = Cluster(address)
        iterations_before = 0 if "--wipe" in options else progress_of(output).iterations or 0
        submitted = cluster.submit(model, job, output, options, name)
        number = registry.add(
            model.path, process=None, name=name, cluster=submitted, iterations_before=iterations_before
        ).id
        state = cluster.wait(submitted, until=READY)
    if state in ("failed", "lost"):
        registry.drop(number)
        sys.stderr.write(cluster.logs(submitted))
        raise typer.Exit(2)
    _tell(out, number, output, f"{output} on {cluster.address} ({submitted.submission_id})", None, as_json)


def _tell(out: Console, number: str, folder: str | Path, what: str, log: Path | None, as_json: bool) -> None:
    if as_json:
        print_json({"job": number, "folder": str(folder), "log": str(log) if log else None})
        return
    from rich.markup import escape

    out.print(f"[bold]Job {number}[/] trains {escape(what)}.", markup=True)
    if log:
        out.print(f"Log:    {log}")
    out.print(f"Follow: hotlap logs {number} -f\nStop:   hotlap stop {number}")

"""``hotlap train``: train the model in a folder."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hotlap.cli.checkpoint_option import last_by_default
from hotlap.cli.clone_option import with_clone
from hotlap.cli.console import (
    JsonOption,
    PrintLogOption,
    check_outputs,
    console,
    prints_log_errors,
    prints_to_stderr,
)
from hotlap.cli.earlier_model import earlier_model
from hotlap.cli.model_argument import Choice, DrfcOption, check_model, choose_model, model_place
from hotlap.cli.train_display import TrainingDisplay, go_on, mend, report
from hotlap.cli.train_elsewhere import READY, submit_training, train_in_background
from hotlap.errors import ConfigError, RecordError, RewardError
from hotlap.shell import quoted

if TYPE_CHECKING:
    from hotlap.config.job import Job
    from hotlap.training.trainer import Trainer


def train(
    context: typer.Context,
    folder: Annotated[
        str | None,
        typer.Argument(
            metavar="DIR",
            help="Model folder; `hotlap new DIR` makes one. Or a folder of DeepRacer-for-Cloud, or a trained "
            "s3://bucket/prefix.",
        ),
    ] = None,
    drfc: DrfcOption = None,
    resume: Annotated[bool, typer.Option(help="Continue where the last checkpoint ends, or begin.")] = False,
    wipe: Annotated[bool, typer.Option(help="Delete an earlier training of this folder first.")] = False,
    clone: Annotated[
        str | None,
        typer.Option(
            metavar="FROM",
            help="Begin with the weights of another model: its folder, s3://bucket/prefix, or what `hotlap import` "
            "reads. Numbering goes on after its checkpoint's.",
        ),
    ] = None,
    clone_checkpoint: Annotated[
        str | None,
        typer.Option(help="Which checkpoint of it: best (the default), last, a number, or a name such as 5_Step-4912."),
    ] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same training.")] = None,
    track: Annotated[str | None, typer.Option(help="Where to drive, see `hotlap tracks list`.")] = None,
    minutes: Annotated[
        float | None,
        typer.Option(help="Train so many minutes from now (training.max_minutes counts over all resumes)."),
    ] = None,
    iterations: Annotated[
        int | None,
        typer.Option(help="Train so many iterations from now (training.max_iterations counts over all resumes)."),
    ] = None,
    goal: Annotated[
        float | None,
        typer.Option(help="Stop when so many of the evaluation laps are clean: 0.9 is nine of ten, 0 never stops."),
    ] = None,
    workers: Annotated[int | None, typer.Option(help="How many processes play episodes side by side.")] = None,
    cluster: Annotated[str | None, typer.Option(metavar="ADDRESS", help="Running Ray cluster for the workers.")] = None,
    output: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Train a copy of the model in this folder. Or leave model and records at s3://bucket/prefix: endpoint "
            "and credentials as for every AWS tool (AWS_PROFILE, AWS_ENDPOINT_URL, …).",
        ),
    ] = None,
    log_steps: Annotated[bool | None, typer.Option(help="Log a line for each step, too.")] = None,
    print_log: PrintLogOption = False,
    detach: Annotated[bool, typer.Option("--detach", help="Train in the background; see `hotlap jobs`.")] = False,
    submit: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS",
            help="Let a Ray cluster train, given the address of its dashboard (http://head:8265). Needs --output: a "
            "folder that the cluster's head can write to, on a shared file system if you are to reach the results, or "
            "s3://bucket/prefix.",
        ),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Train a model until its goal, its time limit or its iteration limit.

    Ctrl-C ends it after the iteration in hand, a second one at once; --resume goes on.

    JSON keys: folder, reason, iterations, total_steps, total_episodes, elapsed_s, stages_s, first_lap, best,
    learning_curve. With --detach or --submit: job, folder, log.
    """
    from hotlap.records.address import S3Prefix, is_s3

    check_outputs(as_json, print_log)
    _check_limits({"minutes": minutes, "iterations": iterations})
    choice = choose_model(folder, drfc)
    model = choice.model
    job = with_clone(choice.job, clone and model_place(clone), clone_checkpoint).updated(
        training={
            "seed": seed,
            "max_minutes": minutes if submit else None,  # a job that is handed in begins now
            "max_iterations": iterations if submit else None,
            "goal_clean_share": goal,
            "workers": workers,
            "log_steps": log_steps,
        },
        race={"track": track},
    )
    output = output or job.training.output
    if is_s3(output):
        output = str(S3Prefix.parse(str(output)))
        job = job.updated(training={"output": output})
    else:
        job = job.model_copy(update={"training": job.training.model_copy(update={"output": None})})
    check_model(model, job)  # what is wrong with the files shows here, not in a log
    if choice.drfc and output is None and not wipe and (foreign := earlier_model(model.path, choice.drfc).foreign):
        raise RecordError(foreign)
    run = choice.run_id or os.environ.get("DR_RUN_ID")
    name = f"deepracer-{run}" if run else None  # as DeepRacer-for-Cloud calls the stack of a run
    if submit is not None:
        if output is None or detach or cluster:
            raise ConfigError(
                f"--submit {submit} goes with --output PLACE, and without --detach and --cluster: the cluster that "
                "takes the job also trains it, and deletes the job's own folder at the end. PLACE must be a folder "
                "that the cluster's head can write to, such as one on a shared file system, or s3://bucket/prefix."
            )
        options = {"--resume": resume, "--wipe": wipe, "--print-log": print_log}
        submit_training(model, job, submit, output, name, [word for word in options if options[word]], as_json=as_json)
        return
    if detach:
        train_in_background(context, output or model.path, name, as_json=as_json)
        return
    with prints_log_errors(print_log):
        _train(
            choice,
            job,
            output or model.path,
            cluster,
            name,
            resume=resume,
            wipe=wipe,
            as_json=as_json,
            print_log=print_log,
            minutes=minutes,
            iterations=iterations,
        )


def _check_limits(limits: Mapping[str, float | None]) -> None:
    """0 means no limit in job.toml; on the command line it would mean the opposite of what it says.

    Raises:
        ConfigError: If one is not above 0.
    """
    for name, limit in limits.items():
        if limit is not None and not 0 < limit < math.inf:
            raise ConfigError(
                f"--{name} must be above 0, got {limit:g}; leave it out for no limit but training.max_{name} of "
                "job.toml."
            )


def _train(
    choice: Choice,
    job: Job,
    place: str | Path,
    cluster: str | None,
    name: str | None,
    *,
    resume: bool,
    wipe: bool,
    as_json: bool,
    print_log: bool,
    minutes: float | None,
    iterations: int | None,
) -> None:
    """Train here and now, as a job that is listed; ``place`` is where the model and its records go."""
    from rich.markup import escape

    from hotlap.jobs.interruption import Interruption
    from hotlap.jobs.model_copy import trained_copy
    from hotlap.jobs.running import running_job
    from hotlap.records.address import is_s3

    out = console()
    model = choice.model
    in_bucket = is_s3(place)
    words = choice.words if place == model.path else quoted(place)
    trainer: Trainer | None = None
    try:
        with running_job(place, name) as listed, Interruption(listed.stop_level) as interruption:
            model, job = trained_copy(model, job, place)
            job = job.updated(training={"cluster": cluster})
            display = TrainingDisplay(out, job.training, print_log=print_log)

            def on_first_wish() -> None:
                display.on_message("Ending after this iteration. Once more (Ctrl-C or hotlap stop --now): at once.")
                listed.stopping()

            def on_forced() -> None:
                said = f"Stopped by force: the interrupt was swallowed. {go_on(words)}"
                out.print(said, markup=False, soft_wrap=True)
                listed.finished("interrupted")

            with out.status("Starting (the first run compiles the simulator, about half a minute) …"):
                begin = time.perf_counter()
                from hotlap.api import open_trainer

                trainer = open_trainer(
                    model,
                    job,
                    resume=resume,
                    wipe=wipe,
                    listener=display,
                    minutes=minutes,
                    iterations=iterations,
                )
                limits = trainer.stop_rules
                display.max_s, display.max_iterations = limits.max_s, limits.max_iterations
            with trainer:
                if in_bucket:
                    from hotlap.jobs.bucket_model import put_model

                    put_model(model, job, trainer.store)
                out.print(
                    f"[bold]{escape(str(place))}[/]: {escape(', '.join(track.name for track in trainer.tracks))}, "
                    f"{trainer.network.num_parameters():,} weights, arithmetic in {trainer.arithmetic}, "
                    f"{READY} {time.perf_counter() - begin:.1f} s",
                    soft_wrap=True,
                )
                if trainer.cloned:
                    source = str(job.training.clone_from)
                    variable = "DR_LOCAL_S3_PRETRAINED_CHECKPOINT"
                    why = ""
                    if job.training.clone_checkpoint == "last":
                        why = last_by_default(choice.drfc, variable, "--clone-checkpoint", source, trainer.cloned)
                    sentence = f"Begins with checkpoint {trainer.cloned} of {source}{why}."
                    out.print(sentence, markup=False, soft_wrap=True)
                for key, content in choice.launch_files.items():
                    trainer.store.put(key, content)
                listed.began()
                finishing = interruption.finishing(trainer.stop, on_first=on_first_wish, on_forced=on_forced)
                before = trainer.state
                with display, prints_to_stderr(as_json), finishing:
                    result = trainer.run()
            report(
                result,
                trainer.progress.read(),
                place,
                words,
                out,
                as_json,
                job=job,
                metadata=model.metadata,
                before=before,
            )
            listed.finished(result.reason)
    except KeyboardInterrupt:
        out.print(f"Stopped at once. {go_on(words)}", markup=False, soft_wrap=True)
        raise typer.Exit(130) from None
    except RewardError as error:
        saved = trainer.state.iteration if trainer else 0
        error.add_note(mend(model.reward_file, saved))
        raise

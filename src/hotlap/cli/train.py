"""``hotlap train``: train the model in a folder."""

from __future__ import annotations

import math
import os
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotlap.cli.checkpoint_option import last_by_default, parse_checkpoint
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
    from hotlap.training.course import Course


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
    teacher: Annotated[
        bool | None,
        typer.Option(
            "--teacher",
            help="Let a teacher that sees the simulator's state learn the reward function first, then the model from "
            "it: clean laps at high speed in minutes (docs/teacher.md).",
        ),
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
    output = output or choice.job.training.output
    if is_s3(output):
        output = str(S3Prefix.parse(str(output)))
    place = output or model.path
    job = _with_clone(choice.job, clone and model_place(clone), clone_checkpoint).updated(
        training={
            "method": "teacher" if teacher else None,
            "seed": seed,
            "max_minutes": minutes if submit else None,  # a job that is handed in begins now
            "max_iterations": iterations if submit else None,
            "goal_clean_share": goal,
            "workers": workers,
            "log_steps": log_steps,
        },
        race={"track": track},
    )
    if iterations is not None and job.training.method == "teacher":
        raise ConfigError(
            "--iterations counts those of one training, but with a teacher there are three, one after the other. Set "
            "iterations of [teacher], [student] and [polish] in job.toml, or --minutes for all of them."
        )
    check_model(model, job)  # what is wrong with the files shows here, not in a log
    if choice.drfc and output is None and not wipe and (foreign := earlier_model(model.path, choice.drfc)[1]):
        raise RecordError(foreign)
    run = (choice.drfc and choice.drfc.run_id) or os.environ.get("DR_RUN_ID")
    name = f"deepracer-{run}" if run else None  # as DeepRacer-for-Cloud calls the stack of a run
    if submit is not None:
        if output is None or detach or cluster:
            raise ConfigError(
                f"--submit {submit} goes with --output PLACE, and without --detach and --cluster: the cluster that "
                "takes the job also trains it, and deletes the job's own folder at the end. PLACE must be a folder "
                "that the cluster's head can write to, such as one on a shared file system, or s3://bucket/prefix."
            )
        given = {"--resume": resume, "--wipe": wipe, "--print-log": print_log}
        submit_training(model, job, submit, output, name, [word for word in given if given[word]], as_json=as_json)
    elif detach:
        train_in_background(context, place, name, as_json=as_json)
    else:
        options = {"resume": resume, "wipe": wipe, "minutes": minutes, "iterations": iterations, "cluster": cluster}
        with prints_log_errors(print_log):
            _train(choice, job, output, name, as_json, print_log, **options)


def _with_clone(job: Job, source: str | None, checkpoint: str | None) -> Job:
    """The job with what ``--clone`` and ``--clone-checkpoint`` say, if they say something.

    What the job says of the checkpoint is about the model that the job names, not about the one on the command line.
    """
    from hotlap.records.address import absolute

    if checkpoint is not None and not (source or job.training.clone_from):
        raise ConfigError(
            f"--clone-checkpoint {checkpoint} says which checkpoint to take, but not of which model. Add --clone FROM."
        )
    if source and checkpoint is None:
        checkpoint = "best"
    return job.updated(
        training={
            "clone_from": None if source is None else absolute(source),
            "clone_checkpoint": None if checkpoint is None else parse_checkpoint(checkpoint, "--clone-checkpoint"),
        }
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
    choice: Choice, job: Job, output: str | None, name: str | None, as_json: bool, print_log: bool, **options: Any
) -> None:
    """Train here and now, as a job that is listed; ``options`` as of `hotlap.api.open_course`."""
    from rich.markup import escape

    from hotlap.jobs.interruption import Interruption
    from hotlap.jobs.running import running_job

    out = console()
    place = output or choice.model.path
    words = quoted(output) if output else choice.words
    display = TrainingDisplay(out, print_log=print_log)
    course: Course | None = None
    try:
        with running_job(place, name) as listed, Interruption(listed.stop_level) as interruption:

            def on_first_wish() -> None:
                display.on_message("Ending after this iteration. Once more (Ctrl-C or hotlap stop --now): at once.")
                listed.stopping()

            def on_forced() -> None:
                out.print(f"Stopped by force: the interrupt was swallowed. {go_on(words)}")
                listed.finished("interrupted")

            with out.status("Starting (the first run compiles the simulator, about half a minute) …"):
                begin = time.perf_counter()
                from hotlap.api import open_course

                files = choice.drfc.launch_files() if choice.drfc else None
                course = open_course(choice.model, job, output=output, listener=display, files=files, **options)
            with course:
                trainer = course.trainer
                out.print(
                    f"[bold]{escape(str(place))}[/]: {escape(', '.join(map(str, trainer.pools)))}, "
                    f"{trainer.network.num_parameters():,} weights, arithmetic in {trainer.arithmetic}, "
                    f"{READY} {time.perf_counter() - begin:.1f} s",
                    markup=True,
                )
                if trainer.cloned:
                    source, variable = str(job.training.clone_from), "DR_LOCAL_S3_PRETRAINED_CHECKPOINT"
                    why = ""
                    if job.training.clone_checkpoint == "last":
                        why = last_by_default(choice.drfc, variable, "--clone-checkpoint", source, trainer.cloned)
                    out.print(f"Begins with checkpoint {trainer.cloned} of {source}{why}.")
                listed.began()
                finishing = interruption.finishing(course.stop, on_first=on_first_wish, on_forced=on_forced)
                with display, prints_to_stderr(as_json), finishing:
                    result = course.run()
            report(course.trainer, result, words, out, as_json)
            listed.finished(result.reason)
    except KeyboardInterrupt:
        out.print(f"Stopped at once. {go_on(words)}")
        raise typer.Exit(130) from None
    except RewardError as error:
        error.add_note(mend(choice.model.reward_file, course.trainer.state.iteration if course else 0))
        raise

"""``hotlap evaluate``: drive a trained model, count its laps, film it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hotlap.cli.checkpoint_option import parse_checkpoint
from hotlap.cli.model_argument import DrfcOption, choose_model
from hotlap.cli.output import (
    JsonOption,
    PrintLogOption,
    check_outputs,
    console,
    print_json,
    print_log_lines,
    prints_log_errors,
    prints_to_stderr,
    progress_bar,
)
from hotlap.cli.video_option import NoVideoOption, VideoOption, parse_video
from hotlap.errors import RecordError

if TYPE_CHECKING:
    from rich.console import Console

    from hotlap.evaluation.evaluator import Evaluator

MAX_ROWS = 20  # rows of the printed table


def evaluate(
    folder: Annotated[
        str | None, typer.Argument(metavar="DIR", help="Model folder with a trained model, or s3://bucket/prefix.")
    ] = None,
    drfc: DrfcOption = None,
    laps: Annotated[
        int | None,
        typer.Option(min=1, help="So many laps side by side, each ended by its first mistake, instead of the trials."),
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Override evaluation.trials.")] = None,
    continuous: Annotated[bool | None, typer.Option(help="Override evaluation.continuous.")] = None,
    resets: Annotated[int | None, typer.Option(help="Override evaluation.number_of_resets.")] = None,
    checkpoint: Annotated[str | None, typer.Option(help="best, last, or a number.")] = None,
    track: Annotated[str | None, typer.Option(help="Override race.track.")] = None,
    seed: Annotated[int | None, typer.Option(help="Override evaluation.seed.")] = None,
    video: VideoOption = None,
    no_video: NoVideoOption = False,
    print_log: PrintLogOption = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a model: trials with penalties as in a race, or many laps for statistics.

    JSON keys: those of the report (num_laps, completion_rate, clean_rate, completion_mean, lap_time_s,
    clean_lap_time_s, off_tracks_per_lap, crashes_per_lap, resets_per_lap, laps) and folder, checkpoint, track, metrics,
    trace, log, figure, videos (of each filmed trial its number, from 1, and the files pip, chase, top and car),
    stages_s.
    """
    check_outputs(as_json, print_log)
    choice = choose_model(folder, drfc)
    model = choice.model
    job = choice.evaluation_job.updated(
        race={"track": track},
        evaluation={"trials": trials, "continuous": continuous, "number_of_resets": resets, "seed": seed},
    )
    which = parse_checkpoint(checkpoint or job.evaluation.checkpoint)
    to_film = parse_video(video, no_video, laps=laps, wanted=choice.film)

    out = console()
    stages: dict[str, float] = {}
    with out.status("Starting …"):
        begin = time.perf_counter()
        from hotlap.evaluation.evaluator import Evaluator

        def tell(message: str) -> None:
            out.print(message, markup=False, soft_wrap=True)

        evaluator = Evaluator(model, job=job, checkpoint=which, laps=laps, tell=tell)
        stages["start"] = time.perf_counter() - begin
    begin = time.perf_counter()
    with progress_bar(out) as bar, prints_to_stderr(as_json), prints_log_errors(print_log):
        task = bar.add_task("driving", total=evaluator.num_episodes, note="")
        report = evaluator.run(
            on_step=lambda done, steps: bar.update(task, completed=done, note=f"{steps:,} steps"),
        )
    stages["drive"] = time.perf_counter() - begin
    begin = time.perf_counter()
    stamp = time.strftime("%Y%m%d%H%M%S")
    files = evaluator.record(stamp, choice.evaluation_files(stamp))
    stages["record"] = time.perf_counter() - begin
    if print_log:
        print_log_lines(evaluator.log)
    films: dict[int, dict[str, str | Path]] = {}
    failure = None
    if to_film:
        begin = time.perf_counter()
        try:
            with progress_bar(out) as bar:
                task = bar.add_task("filming", total=None, note="steps")
                films = evaluator.film(
                    to_film, on_frame=lambda done, total: bar.update(task, completed=done, total=total)
                )
        except RecordError as error:  # told after the results, which are worth more
            failure = error
        stages["film"] = time.perf_counter() - begin
    if as_json:
        print_json(
            {
                "folder": str(evaluator.place),
                "checkpoint": evaluator.checkpoint_name,
                "track": evaluator.track.name,
                **report.to_json(),
                **{name: str(path) for name, path in files.items()},
                "videos": [
                    {"trial": number + 1, **{name: str(path) for name, path in of_trial.items()}}
                    for number, of_trial in films.items()
                ],
                "stages_s": {name: round(seconds, 3) for name, seconds in stages.items()},
            }
        )
    else:
        from rich.console import Console

        screen = out if print_log else Console(highlight=False)
        _print_results(screen, evaluator, stages)
        for name, path in files.items():
            screen.print(f"{name}: {path}")
        for number, of_trial in films.items():
            screen.print(f"videos of trial {number + 1}: {', '.join(map(str, of_trial.values()))}", soft_wrap=True)
    if failure is not None:
        raise failure


def _print_results(screen: Console, evaluator: Evaluator, stages: Mapping[str, float]) -> None:
    from hotlap.evaluation.table import summary_table, trials_table

    screen.print(f"[bold]{evaluator.place}[/], checkpoint {evaluator.checkpoint_name}, track {evaluator.track.name}")
    screen.print(trials_table(evaluator.report, max_rows=MAX_ROWS))
    screen.print(summary_table(evaluator.report))
    screen.print("  ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.items()))

"""``hotlap evaluate``: drive trained models, count their laps, compare them, film them."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, Literal

import typer

from hotlap.cli.checkpoint_option import last_by_default, parse_checkpoint, split_checkpoint
from hotlap.cli.checkpoints import how_sure
from hotlap.cli.console import (
    JsonOption,
    PrintLogOption,
    check_outputs,
    console,
    print_json,
    print_log_lines,
    print_table,
    prints_log_errors,
    prints_to_stderr,
    progress_bar,
    screen,
)
from hotlap.cli.evaluate_tracks import evaluate_tracks
from hotlap.cli.model_argument import Choice, choose_model
from hotlap.cli.video_option import NoVideoOption, VideoOption, parse_video
from hotlap.errors import ConfigError, RecordError

if TYPE_CHECKING:
    from rich.console import Console

    from hotlap.config.job import Job
    from hotlap.evaluation.evaluator import Evaluator

MAX_ROWS = 20  # rows of the printed table


def evaluate(
    folders: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="DIR...",
            help="Model folders with a trained model, or s3://bucket/prefix; several are compared. DIR@12, DIR@best or "
            "DIR@last chooses a checkpoint of one of them.",
        ),
    ] = None,
    drfc: Annotated[
        list[Path] | None,
        typer.Option("--drfc", metavar="DIR", help="An unchanged folder of DeepRacer-for-Cloud; can be repeated."),
    ] = None,
    laps: Annotated[
        int | None,
        typer.Option(min=1, help="So many laps side by side, each ended by its first mistake, instead of the trials."),
    ] = None,
    rules: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE",
            help="Rules for all models: a TOML file with keys of [race] and [evaluation], which count before job.toml.",
        ),
    ] = None,
    trials: Annotated[int | None, typer.Option(help="Laps, or attempts that each start anew.")] = None,
    continuous: Annotated[bool | None, typer.Option(help="Drive all laps in one go, or start each anew.")] = None,
    resets: Annotated[
        int | None,
        typer.Option(help="How often the car is put back on the track: 0, or at least 2."),
    ] = None,
    off_track_penalty: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Seconds for leaving the track or driving backwards.",
        ),
    ] = None,
    collision_penalty: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Seconds for hitting something."),
    ] = None,
    checkpoint: Annotated[str | None, typer.Option(help="best, last, a number, or a name such as 5_Step-4912.")] = None,
    track: Annotated[str | None, typer.Option(help="Where to drive, see `hotlap tracks list`.")] = None,
    tracks: Annotated[
        str | None,
        typer.Option(
            metavar="PATTERN",
            help="Drive --laps laps (default 20) on each of many tracks and print a table: names or paths with * "
            "and ?, separated by commas, in quotes; or generated, for made-up tracks that nobody trained on.",
        ),
    ] = None,
    direction: Annotated[str | None, typer.Option(help="Which way round: as_is, cw, ccw or reversed.")] = None,
    seed: Annotated[int | None, typer.Option(help="Same seed, same cars.")] = None,
    disturb: Annotated[
        str | None,
        typer.Option(
            metavar="KIND",
            help="Change what the car sees, in each trial in another way: light, blur, noise, dirt, mounting (of the "
            "camera) or all.",
        ),
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="How many processes drive laps side by side.")] = 1,
    reward: Annotated[
        bool,
        typer.Option(
            "--reward", help="Ask the reward function, for rewards in the trace and the films; without it they are 0."
        ),
    ] = False,
    video: VideoOption = None,
    no_video: NoVideoOption = False,
    verbose: Annotated[bool, typer.Option("--verbose", help="Name all films, not only the first.")] = False,
    print_log: PrintLogOption = False,
    as_json: JsonOption = False,
) -> None:
    """Evaluate a model: trials with penalties as in a race, or many laps for statistics; compare several.

    Several models drive by the rules of the first one, with the same cars. No reward function is needed.

    JSON keys: those of the report (num_laps, completion_rate, clean_rate, completion_mean, lap_time_s,
    clean_lap_time_s, off_tracks_per_lap, crashes_per_lap, resets_per_lap, race_time_s, laps) and folder, checkpoint,
    in_training (what the checkpoint drove then, in words), track,
    rules, metrics, trace, log, figure, videos (of each filmed trial its number, from 1, and the files pip,
    chase, top and car), stages_s. Of several models: models (each with these keys but stages_s), rules, differences
    (beyond chance: measure, better and worse by their places in models, better_value, worse_value, p_value), figure,
    stages_s. With --tracks: folder, checkpoint, rules, tracks (each with its track, the keys of the report, and
    mistakes: how many laps ended at which waypoint).
    """
    check_outputs(as_json, print_log)
    named: list[tuple[str | None, str | None, Path | None]] = [
        *((*split_checkpoint(words), None) for words in folders or []),
        *((None, None, each) for each in drfc or []),
    ]
    named = named or [(None, None, None)]
    choices = [choose_model(folder, each, command="evaluate", needs_reward=reward) for folder, _, each in named]
    several = len(choices) > 1
    trial_rules = {
        "trials": trials,
        "continuous": continuous,
        "number_of_resets": resets,
        "off_track_penalty": off_track_penalty,
        "collision_penalty": collision_penalty,
    }
    if laps is not None:
        _warn_about_vain_options(trial_rules)
    jobs = _jobs(
        choices,
        rules,
        race={"track": track, "direction": direction},
        evaluation={**trial_rules, "seed": seed, "disturb": disturb},
    )
    which = [
        parse_checkpoint(own or checkpoint or job.evaluation.checkpoint, f"{folder}@" if own else "--checkpoint")
        for (folder, own, _), job in zip(named, jobs, strict=True)
    ]
    if tracks is not None and (several or track is not None):
        raise ConfigError("--tracks drives one model, and instead of --track. Name one folder, and leave --track out.")
    from hotlap.envs.race_tracks import tracks_of
    from hotlap.records.checkpoints import CheckpointStore

    first = jobs[0].updated(race={"track": tracks})
    place = first.training.output or choices[0].model.path
    pool = tracks_of(first.race, seed=CheckpointStore(place).seed(first.training.seed))
    if tracks is not None or len(pool.tracks) > 1:
        if several:
            raise ConfigError(
                f"race.track = {first.race.track!r} means {len(pool.tracks)} tracks, but several models are compared "
                "on one. Name it with --track, or name one folder."
            )
        if tracks is None:
            never = ", on which it was never trained" if pool.num_held_out else ""
            console().print(
                f"{choices[0].words} drives on {len(pool.evaluated)} tracks{never}. Trials on one, with films: --track."
            )
        driven = [pool.tracks[index] for index in pool.evaluated]
        evaluate_tracks(choices[0], first, driven, which[0], laps=laps, workers=workers, as_json=as_json)
        return
    to_film = parse_video(
        video, no_video, laps=laps, wanted=(not choices[0].drfc or choices[0].drfc.film) and not several
    )

    out = console()
    stages: dict[str, float] = {}
    with out.status("Starting …"), _timed(stages, "start"):
        from hotlap.config.base import warn
        from hotlap.evaluation.evaluator import Evaluator, drive

        drives: list[_Drive] = []
        for choice, job, one, (_, own, _) in zip(choices, jobs, which, named, strict=True):
            evaluator = Evaluator(
                choice.model, job=job, checkpoint=one, laps=laps, reward=reward, workers=workers, tell=out.print
            )
            drives.append(_Drive(choice, evaluator))
            taken = evaluator.checkpoint_name
            if one == "last" and not (own or checkpoint):
                why = last_by_default(choice.drfc, "DR_EVAL_CHECKPOINT", "--checkpoint", evaluator.place, taken)
                if why:
                    out.print(f"{choice.words}: checkpoint {taken} drives{why}.")
        evaluators = [each.evaluator for each in drives]
        if workers > 1 and evaluators[0].num_workers == 1:
            warn("--workers has no effect where a single car drives: laps in one go. Use --laps or --no-continuous.")
        evaluators[0].open()
    with _timed(stages, "drive"), progress_bar(out) as bar, prints_to_stderr(as_json), prints_log_errors(print_log):
        task = bar.add_task("driving", total=sum(each.num_episodes for each in evaluators), note="")
        drive(evaluators, on_step=lambda done, steps: bar.update(task, completed=done, note=f"{steps:,} steps"))
    picture: str | Path | None = None
    failure: RecordError | None = None  # told after the results, which are worth more
    with _timed(stages, "record"):
        try:
            taken_stamps: set[tuple[str, str]] = set()
            for each in drives:
                stamp = _stamp(str(each.evaluator.place), taken_stamps)
                each.files = each.evaluator.record(stamp, each.choice.evaluation_files(stamp))
            picture = evaluators[0].record_comparison(evaluators[1:]) if several else None
        except RecordError as error:
            failure = RecordError(f"the files of the evaluation could not be written. {error}")
    if print_log:
        for evaluator in evaluators:
            print_log_lines(evaluator.log)
    if to_film and failure is None:
        with _timed(stages, "film"):
            try:
                for each in drives:
                    each.films = _film(out, each.evaluator, to_film)
            except RecordError as error:
                failure = error
    if as_json:
        models = [_as_json(each) for each in drives]
        found = _comparison_as_json(evaluators, models, picture) if several else models[0]
        print_json(found | {"stages_s": {name: round(seconds, 3) for name, seconds in stages.items()}})
    else:
        to = out if print_log else screen()
        if several:
            _print_comparison(to, evaluators, picture)
        for each in drives:
            _print_results(to, each, alone=not several, verbose=verbose)
        to.print("  ".join(f"{name} {seconds:.1f} s" for name, seconds in stages.items()))
        if not any(choice.in_bucket for choice in choices):
            to.print(f"Next: hotlap analyze {' '.join(dict.fromkeys(choice.words for choice in choices))}")
    if failure is not None:
        raise failure


@dataclass
class _Drive:
    """The evaluation of one model, and what is left of it."""

    choice: Choice
    evaluator: Evaluator
    files: Mapping[str, str | Path] = field(default_factory=dict)
    """Where its files lie, by their names."""
    films: Mapping[int, Mapping[str, str | Path]] = field(default_factory=dict)
    """Where its films lie, by the number of the trial, from 0, and their names."""


@contextmanager
def _timed(stages: dict[str, float], name: str) -> Iterator[None]:
    """Note the wall-clock of the block [s]."""
    begin = time.perf_counter()
    yield
    stages[name] = time.perf_counter() - begin


def _jobs(
    choices: Sequence[Choice], rules: Path | None, *, race: Mapping[str, Any], evaluation: Mapping[str, Any]
) -> list[Job]:
    """The settings of each model: rules from options, then the rules file, then the first model's own."""
    from hotlap.config.rules_file import with_rules_file, with_rules_of

    jobs: list[Job] = []
    for choice in choices:
        job = choice.evaluation_job
        if rules is not None:
            job = with_rules_file(job, rules)
        job = job.updated(race=race, evaluation=evaluation)
        same = with_rules_of(job, jobs[0]) if jobs else job
        if (same.race, same.evaluation) != (job.race, job.evaluation):
            console().print(
                f"{choice.words} asks for another race or evaluation; it drives by the rules of {choices[0].words}."
            )
        jobs.append(same)
    return jobs


def _warn_about_vain_options(trial_rules: Mapping[str, object]) -> None:
    from hotlap.config.base import warn

    vain = [name for name, value in trial_rules.items() if value is not None]
    if vain:
        options = ", ".join(f"--{name.removeprefix('number_of_').replace('_', '-')}" for name in vain)
        warn(f"{options} has no effect with --laps, where every lap ends by its first mistake.")


def _film(
    out: Console, evaluator: Evaluator, which: Literal["all", "first"] | int
) -> Mapping[int, Mapping[str, str | Path]]:
    with progress_bar(out) as bar:
        task = bar.add_task("filming", total=None, note="steps")
        return evaluator.film(which, on_frame=lambda done, total: bar.update(task, completed=done, total=total))


def _stamp(place: str, taken: set[tuple[str, str]]) -> str:
    """A time that names the files of an evaluation: now, or the next second that no other of the model has."""
    from hotlap.records.address import is_s3

    for second in itertools.count(int(time.time())):
        stamp = time.strftime("%Y%m%d%H%M%S", time.localtime(second))
        there = not is_s3(place) and (Path(place) / f"evaluation-{stamp}").exists()
        if not there and (place, stamp) not in taken:
            break
    taken.add((place, stamp))
    return stamp


def _as_json(drive: _Drive) -> dict[str, Any]:
    evaluator = drive.evaluator
    return {
        "folder": str(evaluator.place),
        "checkpoint": evaluator.checkpoint_name,
        "in_training": how_sure(evaluator.place, evaluator.checkpoint_name),
        "track": evaluator.track.name,
        "rules": evaluator.conditions.to_json(),
        **evaluator.report.to_json(),
        **dict.fromkeys(("metrics", "trace", "log", "figure")),
        **{name: str(path) for name, path in drive.files.items()},
        "videos": [
            {"trial": number + 1, **{name: str(path) for name, path in films.items()}}
            for number, films in drive.films.items()
        ],
    }


def _comparison_as_json(
    evaluators: Sequence[Evaluator], models: Sequence[dict[str, Any]], picture: str | Path | None
) -> dict[str, Any]:
    from hotlap.evaluation.comparison import differences

    return {
        "models": models,
        "rules": evaluators[0].conditions.to_json(),
        "differences": [asdict(each) for each in differences([each.report for each in evaluators])],
        "figure": str(picture) if picture else None,
    }


def _print_comparison(out: Console, evaluators: Sequence[Evaluator], picture: str | Path | None) -> None:
    from hotlap.evaluation.comparison import differences
    from hotlap.evaluation.table import comparison_table, differences_in_words

    names = [each.name for each in evaluators]
    reports = [each.report for each in evaluators]
    print_table(out, comparison_table(names, reports))
    for sentence in differences_in_words(names, reports, differences(reports)):
        out.print(sentence)
    out.print(f"Rules: {evaluators[0].conditions}.")
    if picture:
        out.print(f"figure: {picture}")


def _print_results(out: Console, drive: _Drive, *, alone: bool, verbose: bool) -> None:
    """What came of one evaluation: its tables where it is the only one, and where its files lie."""
    from rich.markup import escape

    from hotlap.evaluation.table import summary_table, trials_table

    evaluator, films = drive.evaluator, drive.films
    driven = f"checkpoint {evaluator.checkpoint_name}, track {escape(evaluator.track.name)}"
    out.print(f"[bold]{escape(str(evaluator.place))}[/], {driven}", markup=True)
    out.print(f"In training: {how_sure(evaluator.place, evaluator.checkpoint_name)}.")
    if alone:
        out.print(f"Rules: {evaluator.conditions}.")
        print_table(out, trials_table(evaluator.report, max_rows=MAX_ROWS))
        print_table(out, summary_table(evaluator.report))
    for name, path in drive.files.items():
        out.print(f"{name}: {path}")
    if films:
        trial, first = next(iter(films.items()))
        out.print(f"watch first (trial {trial + 1}): {first['pip']}")
    if verbose:
        for number, of_trial in films.items():
            out.print(f"videos of trial {number + 1}: {', '.join(map(str, of_trial.values()))}")
    elif films and (more := sum(map(len, films.values())) - 1):
        out.print(f"{more} more videos; --verbose names them.")

"""`hotlap reward`: check a reward function, look at the shipped ones."""

from __future__ import annotations

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hotlap.cli.console import JsonOption, columns, print_json, print_table, screen

if TYPE_CHECKING:
    from hotlap.envs.practice import Practice
    from hotlap.rewards.report import RewardReport
    from hotlap.rewards.source_check import Problem

# A loop and an open track.
TRACKS = ("first_lap", "river_run")

CHECK_S = 9.0  # for one file; with the start and the end of Python 10 s
NOT_FINISHED = 3  # exit code

app = typer.Typer(help="Check a reward function, or look at the shipped ones.", no_args_is_help=True)


@app.command()
def check(
    files: Annotated[
        list[str],
        typer.Argument(
            help="Reward files, folders with a reward_function.py, or names of shipped ones.",
            metavar="FILE...",
        ),
    ],
    track: Annotated[str | None, typer.Option(help="Track to drive on; otherwise a loop and an open one.")] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Show where the time goes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Play good and bad episodes with a reward function; report failures, doubts, values and cost.

    The file is RUN with your rights: it can do whatever you can. Read it first if somebody else wrote it.

    A file takes 10 s at most. Several are checked one after the other, and a table at the end sums them up.

    Exit code 2 if training would stop with a file, 3 if there was no time to try everything.
    """
    end = time.monotonic() + CHECK_S
    from hotlap.errors import RewardError

    alone = len(files) == 1
    practice = functools.cache(lambda: _practice([track] if track else TRACKS))
    reports: list[RewardReport] = []
    for name in files:
        report = _check(name, practice, profile, end if alone else None)
        if not as_json:
            if alone and report.fails and not report.calls:
                raise RewardError(report.problems[0].message)
            if reports:
                print()
            _print_report(report, alone=alone)
        reports.append(report)
    if as_json:
        shown = [report.to_dict() for report in reports]
        print_json(shown[0] if alone else {"reports": shown})
    elif not alone:
        _print_table(files, reports)
    if any(report.fails for report in reports):
        raise typer.Exit(2)
    if not all(report.complete for report in reports):
        raise typer.Exit(NOT_FINISHED)


def _practice(tracks: Sequence[str]) -> Practice:
    from hotlap.envs.practice import Practice
    from hotlap.tracks.catalog import load_track

    return Practice([load_track(name) for name in tracks])


def _check(name: str, practice: Callable[[], Practice], profile: bool, end: float | None) -> RewardReport:
    """Check one file until ``end``, as of `time.monotonic`; None: for as long as `check_watched` takes by itself."""
    from hotlap.envs.cornering import speed_doubts
    from hotlap.envs.practice import model_around
    from hotlap.errors import RewardError
    from hotlap.rewards.report import RewardReport
    from hotlap.rewards.source_check import Problem
    from hotlap.rewards.watched import check_watched

    try:
        file = _file_of(name)
    except RewardError as error:
        return RewardReport(name, problems=[Problem("error", str(error))])
    metadata, job = around = model_around(Path(file))
    races, routes, needed = practice().races_for(file, around)
    report = check_watched(file, races, routes, needed=needed, profile=profile, end=end)
    if metadata is not None and job is not None:
        report.problems += [Problem("warning", sentence) for sentence in speed_doubts(job, metadata)]
    return report


def _file_of(name: str) -> str:
    """The reward file that a folder holds; what is no folder stays as it is.

    Raises:
        RewardError: If there is none in it.
    """
    from hotlap.errors import RewardError

    folder = Path(name)
    if not folder.is_dir():
        return name
    for place in (folder, folder / "custom_files"):
        if (file := place / "reward_function.py").is_file():
            return str(file)
    raise RewardError(
        f"{folder}: there is no reward_function.py in this folder; name a file, or several: {folder}/*.py."
    )


@app.command()
def examples(
    name: Annotated[str | None, typer.Argument(help="Print this one.", metavar="[NAME]")] = None,
    as_json: JsonOption = False,
) -> None:
    """List the shipped reward functions, or print one."""
    from hotlap.rewards.loader import example_file, example_names

    if name is not None:
        source = example_file(name).read_text(encoding="utf-8")
        if as_json:
            print_json({"name": name, "source": source})
        else:
            print(source, end="")
        return
    about = {each: _first_line(example_file(each)) for each in example_names()}
    if as_json:
        print_json({"examples": about})
        return
    for each, line in about.items():
        print(f"{each:<22}{line}")


def _first_line(file: Path) -> str:
    """The first line of a file's docstring."""
    import ast

    return (ast.get_docstring(ast.parse(file.read_text(encoding="utf-8"))) or "").partition("\n")[0]


def _print_report(report: RewardReport, *, alone: bool) -> None:
    """All that was found; of one among several files only what there is to say about it."""
    from hotlap.rewards.source_check import CONSOLE

    if alone:
        _print_episodes(report)
    else:
        print(f"== {report.path}")
    for problem in report.problems:
        if problem.level != "note":
            at = f" (line {problem.line})" if problem.line and f"line {problem.line}" not in problem.message else ""
            print(f"\n{problem.level}{at}: {problem.message}")
            if inputs := _inputs_read(problem):
                print(f"    Inputs that it reads: {inputs}.")
    notes = [note for note in report.problems if note.level == "note"]
    for note in notes:
        if not note.message.startswith(CONSOLE):
            print(f"\nnote: {note.message}.")
    console = [f"{note.message.removeprefix(CONSOLE)}{f' (line {note.line})' if note.line else ''}"
               for note in notes if note.message.startswith(CONSOLE)]  # fmt: skip
    if console:
        rest = f", and {len(console) - 3} more" if len(console) > 3 else ""
        print(f"\nnote: {CONSOLE}{'; '.join(console[:3])}{rest}.")
    if report.printed and alone:
        print(f"\nThe function printed {report.num_printed} lines, the first of them:")
        print("\n".join(f"  {line}" for line in report.printed))
    print(f"\n{report.path}: {_verdict(report)}.")


def _print_episodes(report: RewardReport) -> None:
    words = ("episode", "ended by")
    table = columns(*words, "steps", "lowest", "mean", "highest", "total", fold=words)
    shown = ""
    for each in report.episodes:
        if each.race_type != shown and len(report.works) > 1:
            table.add_row(f"[bold]{each.race_type.replace('_', ' ')}[/bold]")
        shown = each.race_type
        numbers = (f"{value:.4g}" for value in (each.lowest, each.mean, each.highest, each.total))
        table.add_row(each.name, each.ending.replace("_", " "), str(each.calls), *numbers)
    if report.episodes:
        print_table(screen(), table)
    cost = report.cost
    if cost is not None:
        print(
            f"\n{report.calls} calls; each took {_time(cost.mean_us)} on average, {_time(cost.p50_us)} at the median, "
            f"{_time(cost.p99_us)} at the 99th percentile, {_time(cost.max_us)} at most."
        )
    for spot in report.hot_spots:
        print(f"  {spot.own_us:9.0f} µs {spot.calls:7d} calls  {spot.place}")


def _time(us: float) -> str:
    return f"{us:.3g} µs" if us < 1000.0 else f"{us / 1e3:.3g} ms"


def _inputs_read(problem: Problem) -> str:
    from hotlap.rewards.explain import describe

    return describe({key: problem.inputs[key] for key in problem.reads if key in problem.inputs})


def _print_table(names: list[str], reports: list[RewardReport]) -> None:
    from rich.markup import escape

    headings = ("file", "verdict", "what it says first")
    table = columns(*headings, fold=headings)
    for name, report in zip(names, reports, strict=True):
        table.add_row(escape(name), _VERDICTS[report.verdict], escape(report.first_sentence))
    print()
    print_table(screen(), table)


_VERDICTS = {
    "error": "would stop", "not finished": "not finished", "warning": "has warnings", "ok": "ready",
}  # fmt: skip


def _verdict(report: RewardReport) -> str:
    if report.verdict == "error":
        return "training would stop with this file"
    if report.verdict == "not finished":
        slow = report.cost is not None and report.cost.p50_us > 500.0
        why = "the function is slow" if slow else "this machine is busy, or the function slow"
        tried = f"{report.num_played} of {report.num_episodes} episodes tried, " if report.num_episodes else ""
        return f"not finished, as {why}: {tried}not tried: {', '.join(report.not_tried)}"
    if report.verdict == "warning":
        count = sum(problem.level == "warning" for problem in report.problems)
        those = "the warning" if count == 1 else f"the {count} warnings"
        return f"runs, but read {those} above before you train"
    works = [race_type.replace("_", " ") for race_type, good in report.works.items() if good]
    not_tried = [name for name in ("object_avoidance", "head_to_bot") if name not in report.works]
    rest = " (it reads no inputs about objects, so races with them were not tried)" if len(not_tried) == 2 else ""
    return f"ready to train for {', '.join(works)}{rest}"

"""`hotlap reward`: check a reward function, look at the shipped ones."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hotlap.cli.output import JsonOption, print_json

if TYPE_CHECKING:
    from hotlap.rewards.check import RewardReport

# A loop and an open track.
TRACKS = ("first_lap", "river_run")

app = typer.Typer(help="Check a reward function, or look at the shipped ones.", no_args_is_help=True)


@app.command()
def check(
    file: Annotated[str, typer.Argument(help="A reward function file, or the name of a shipped one.", metavar="FILE")],
    track: Annotated[str | None, typer.Option(help="Track to drive on; otherwise a loop and an open one.")] = None,
    profile: Annotated[bool, typer.Option("--profile", help="Show where the time goes.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Play good and bad episodes with a reward function; report failures, doubts, values and cost.

    Exit code 2 if training would fail.
    """
    from hotlap.envs.cornering import speed_doubts
    from hotlap.envs.practice import model_around, races_for
    from hotlap.errors import RewardError
    from hotlap.rewards.source_check import Problem
    from hotlap.rewards.watched import check_watched
    from hotlap.tracks.catalog import load_track

    tracks = [load_track(name) for name in ([track] if track else TRACKS)]
    metadata, job = around = model_around(Path(file))
    races, routes, needed = races_for(file, tracks, around)
    report = check_watched(file, races, routes, needed=needed, profile=profile)
    if metadata is not None and job is not None:
        report.problems += [Problem("warning", sentence) for sentence in speed_doubts(job, metadata)]
    if as_json:
        print_json(report.to_dict())
    elif not report.calls:
        raise RewardError(report.problems[0].message)
    else:
        _print_report(report)
    if not report.ok:
        raise typer.Exit(2)


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


def _print_report(report: RewardReport) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("episode", "ended by", "steps", "lowest", "mean", "highest", "total", box=None, pad_edge=False)
    for column in table.columns[2:]:
        column.justify = "right"
    shown = ""
    for each in report.episodes:
        if each.race_type != shown and len(report.works) > 1:
            table.add_row(f"[bold]{each.race_type.replace('_', ' ')}[/bold]")
        shown = each.race_type
        numbers = (f"{value:.4g}" for value in (each.lowest, each.mean, each.highest, each.total))
        table.add_row(each.name, each.ending.replace("_", " "), str(each.calls), *numbers)
    if report.episodes:
        console.print(table)
    cost = report.cost
    if cost is not None:
        print(
            f"\n{report.calls} calls; each took {cost.mean_us:.1f} µs on average, {cost.p50_us:.1f} µs at the median, "
            f"{cost.p99_us:.1f} µs at the 99th percentile, {cost.max_us:.0f} µs at most."
        )
    for spot in report.hot_spots:
        print(f"  {spot.own_us:9.0f} µs {spot.calls:7d} calls  {spot.place}")
    for problem in report.problems:
        if problem.level == "note":
            continue
        at = f" (line {problem.line})" if problem.line and f"line {problem.line}" not in problem.message else ""
        print(f"\n{problem.level}{at}: {problem.message}")
    notes = [f"{note.message} (line {note.line})" for note in report.problems if note.level == "note"]
    if notes:
        rest = f", and {len(notes) - 3} more" if len(notes) > 3 else ""
        print(f"\nnote: the DeepRacer console, now shut down, would have refused: {'; '.join(notes[:3])}{rest}.")
    if report.printed:
        print(f"\nThe function printed {report.num_printed} lines, the first of them:")
        print("\n".join(f"  {line}" for line in report.printed))
    print(f"\n{report.path}: {_verdict(report)}.")


def _verdict(report: RewardReport) -> str:
    if not report.ok:
        return "training would stop with this file"
    works = [race_type.replace("_", " ") for race_type, good in report.works.items() if good]
    not_tried = [name for name in ("object_avoidance", "head_to_bot") if name not in report.works]
    rest = " (it reads no inputs about objects, so races with them were not tried)" if len(not_tried) == 2 else ""
    return f"ready to train for {', '.join(works)}{rest}"

"""``hotlap validate logs``: the simulator against recorded drives of the original."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotlap.cli.console import JsonOption, console, print_json, screen

if TYPE_CHECKING:
    from rich.table import Table

GOAL = 0.995  # share of rows


def logs(
    paths: Annotated[
        list[Path],
        typer.Argument(help="Traces, logs, folders or archives of them, patterns; or folders with an index.csv."),
    ],
    tracks: Annotated[
        Path | None, typer.Option(help="Folder of route files to try. Default: `tracks` beside the recordings.")
    ] = None,
    version: Annotated[
        str | None, typer.Option(help="Their car, if it is not found out: v1 to v5 (or 1 to 5), or droa.")
    ] = None,
    track: Annotated[str | None, typer.Option(help="Their track, by name or route file, if two fit.")] = None,
    direction: Annotated[
        str | None, typer.Option(help="Whether they drove along the route file or against it: as_is or reversed.")
    ] = None,
    figure: Annotated[Path | None, typer.Option(help="Draw recorded and replayed drives into this PNG.")] = None,
    device: Annotated[str, typer.Option(help="Where to compute: cpu, cuda:0, …")] = "cpu",
    as_json: JsonOption = False,
) -> None:
    """Compare the simulator with recorded drives of the original.

    Recomputes the reward inputs from the logged poses and counts the rows that agree with the log; and lets the car
    repeat the logged actions, to see how far it drifts from the recorded path, beside a naive bicycle. What cannot be
    compared is listed.
    """
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

    from hotlap.validation.logs import validate_logs
    from hotlap.validation.recordings import open_traces
    from hotlap.validation.traces import Recording

    out = console()
    with open_traces(paths, version=version, track=track, direction=direction, tracks=tracks) as recordings:
        files = recordings.files
        for sentence in recordings.taken:
            out.print(sentence, markup=False, soft_wrap=True)
        columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        with Progress(*columns, console=out, transient=True, disable=not out.is_terminal) as progress:
            task = progress.add_task("reading traces", total=len(files))

            def on_trace(file: Recording) -> None:
                progress.update(task, advance=1, description=file.name)

            result = validate_logs(files, tracks=tracks, device=device, on_trace=on_trace)

        result["left_out"] = [*recordings.left_out, *result["left_out"]]
        for sentence in result["left_out"]:
            out.print(f"Left out: {sentence}", style="yellow", markup=False, soft_wrap=True)
        drawn = figure if figure is not None and result["replay"] else None
        if drawn is not None:
            from hotlap.validation.replay_figure import draw_replays

            sound = [file for file in files if file.name in result["logs"]]
            draw_replays(sound, drawn, device=device)
            result["figure"] = str(drawn)

    if as_json:
        print_json(result)
        return

    stdout = screen()
    stdout.print(_agreement_table(result))
    for name, difference in result["differences"].items():
        stdout.print(f"[dim]{name}: {difference}[/dim]")
    if result["replay"]:
        stdout.print(_replay_table(result["replay"]))
    for name, why in result["no_replay"].items():
        stdout.print(f"No replay of {name}: {why}", markup=False, soft_wrap=True)
    if figure is not None:
        stdout.print(f"Paths drawn to {figure}" if drawn else "No paths to draw.", markup=False, soft_wrap=True)


def _agreement_table(result: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(
        title="Rows on which log and simulator agree [%]",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
    )
    table.add_column("trace", overflow="fold")
    table.add_column("rows", justify="right", no_wrap=True)
    for column in ("progress", "waypoint", "wheels", "off track", "length"):
        table.add_column(column, justify="right", no_wrap=True)
    for log, shares in result["rows_agree"].items():
        table.add_row(log, str(result["logs"][log]["rows"]), *map(_percent, shares.values()))
    for version, shares in result["rows_agree_version"].items():
        rows = sum(log["rows"] for log in result["logs"].values() if log["version"] == version)
        table.add_row(f"all of {version}", str(rows), *map(_percent, shares.values()), style="bold")
    return table


def _percent(share: float) -> str:
    text = f"{100.0 * share:.2f}"
    return text if share >= GOAL else f"[red]{text}[/red]"


def _replay_table(replay: dict[str, Any]) -> Table:
    from rich.table import Table

    table = Table(
        title="\nReplay of recorded actions: median / 90th percentile of the error",
        title_justify="left",
        title_style="bold",
        box=None,
        pad_edge=False,
    )
    for column in ("car", "after"):
        table.add_column(column, no_wrap=True)
    for column in ("n", "\\[m]", "\\[deg]", "bicycle\n\\[m]", "bicycle\n\\[deg]"):
        table.add_column(column, justify="right", no_wrap=True)
    for group, figures in replay.items():
        for number, (seconds, windows) in enumerate(figures["windows"].items()):
            if windows == 0:
                continue
            bicycle = figures["bicycle"]
            table.add_row(
                group if number == 0 else "",
                f"{seconds} s",
                str(windows),
                f"{figures['median_m'][seconds]:.3f} / {figures['p90_m'][seconds]:.3f}",
                f"{figures['heading_deg'][seconds]:.1f} / {figures['heading_p90_deg'][seconds]:.1f}",
                f"{bicycle['median_m'][seconds]:.3f} / {bicycle['p90_m'][seconds]:.3f}",
                f"{bicycle['heading_deg'][seconds]:.1f} / {bicycle['heading_p90_deg'][seconds]:.1f}",
            )
    return table

"""``hotlap validate``: compare the simulator with recordings of the original."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotlap.cli.console import JsonOption, columns, console, print_json, print_table, progress_bar, screen

if TYPE_CHECKING:
    from rich.progress import TaskID
    from rich.table import Table

GOAL = 0.995  # share of rows

app = typer.Typer(help="Compare the simulator with recordings of the original.", no_args_is_help=True)


@app.command()
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
    from hotlap.validation.logs import validate_logs
    from hotlap.validation.recordings import open_traces

    out = console()
    with open_traces(paths, version=version, track=track, direction=direction, tracks=tracks) as recordings:
        files = recordings.files
        for sentence in recordings.taken:
            out.print(sentence)
        with progress_bar(out) as bar:
            task = bar.add_task("reading", total=len(files), note="traces")
            result = validate_logs(
                files,
                tracks=tracks,
                device=device,
                on_trace=lambda file: bar.update(task, advance=1, note=file.name),
            )
        result["left_out"] = [*recordings.left_out, *result["left_out"]]
        for sentence in result["left_out"]:
            out.print(f"Left out: {sentence}", style="yellow")
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
    print_table(stdout, _agreement_table(result))
    for name, difference in result["differences"].items():
        stdout.print(f"{name}: {difference}", style="dim")
    if result["replay"]:
        print_table(stdout, _replay_table(result["replay"]))
    for name, why in result["no_replay"].items():
        stdout.print(f"No replay of {name}: {why}")
    if figure is not None:
        stdout.print(f"Paths drawn to {figure}" if drawn else "No paths to draw.")


def _agreement_table(result: dict[str, Any]) -> Table:
    shares_of = ("progress", "waypoint", "wheels", "off track", "length")
    title = "Rows on which log and simulator agree [%]"
    table = columns("trace", "rows", *shares_of, fold=("trace",), title=title)
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
    errors = ("n", "[m]", "[deg]", "bicycle\n[m]", "bicycle\n[deg]")
    title = "\nReplay of recorded actions: median / 90th percentile of the error"
    table = columns("car", "after", *errors, left=("car", "after"), title=title)
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


@app.command()
def camera(
    frames: Annotated[Path, typer.Argument(help="Folder of consecutive real frames, PNG of 160×120.")],
    route: Annotated[
        Path | None,
        typer.Option(help="Route file of the track they show. Default: ../tracks/reinvent_base.npy beside the folder."),
    ] = None,
    every: Annotated[int, typer.Option(min=1, help="Use every so many frames only.")] = 1,
    out: Annotated[Path, typer.Option(help="Folder for the pictures: real, ours, difference.")] = Path(
        "validate-camera"
    ),
    pictures: Annotated[int, typer.Option(min=0, help="Number of pictures.")] = 12,
    as_json: JsonOption = False,
) -> None:
    """Compare our camera with real frames.

    Finds the pose that explains each frame, and once for all the camera's height, pitch and field of view and the
    distances of the walls; then compares grey levels and what is seen where.

    JSON keys: grey_diff_median (median over the frames of the mean absolute grey difference, of 255), class_agreement
    (share of pixels of the same class: road, edge_line, center_line, field, wall), num_frames, camera (height_m,
    pitch_rad, hfov_rad, forward_m), field_margin_m (per wall), confusion (share of pixels, real class by ours), frames
    (name, x, y, yaw_deg, grey_diff, class_agreement of each), pictures (paths).
    """
    from hotlap.tracks.catalog import load_track
    from hotlap.validation.camera_report import draw_comparison, load_frames, validate_camera

    names, images = load_frames(frames, every=every)
    track = load_track(str(route or frames.resolve().parent / "tracks" / "reinvent_base.npy"))
    with progress_bar(console()) as bar:
        tasks: dict[str, TaskID] = {}

        def show(step: str, share: float) -> None:
            if step not in tasks:
                tasks[step] = bar.add_task("fitting", total=100, note=step)
            bar.update(tasks[step], completed=round(100 * share))

        report = validate_camera(names, images, track, every=every, progress=show)
    paths = draw_comparison(report, images, track, out, num=pictures) if pictures else []
    result = {**report.to_json(), "pictures": [str(path) for path in paths]}
    if as_json:
        print_json(result)
        return
    fitted = report.setting.camera
    stdout = screen()
    stdout.print(f"mean grey difference   {result['grey_diff_median']} of 255 (median of {len(names)} frames)")
    stdout.print(f"classes that agree     {100 * float(report.agreement.mean()):.2f} % of pixels")
    stdout.print(
        f"camera                 {fitted.height_m:.4f} m high, pitched {fitted.pitch_rad:.4f} rad, "
        f"{fitted.hfov_rad:.3f} rad wide"
    )
    if paths:
        stdout.print(f"pictures               {out}")

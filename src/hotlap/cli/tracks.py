"""``hotlap tracks``: list the known tracks, look at one, add a route file, make up a new one."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotlap.cli.output import JsonOption, print_json

if TYPE_CHECKING:
    from hotlap.tracks import Track

app = typer.Typer(help="List, show, add and make tracks.", no_args_is_help=True)


@app.command("list")
def list_(as_json: JsonOption = False) -> None:
    """List the tracks that can be named: built-in ones, and those in your own folder."""
    from hotlap.errors import TrackError
    from hotlap.tracks.catalog import DEFAULT_TRACK, list_tracks, load_track, user_folder

    tracks: list[dict[str, Any]] = []
    for entry in list_tracks():
        row: dict[str, Any] = {"name": entry.name, "built_in": entry.built_in, "default": entry.name == DEFAULT_TRACK}
        try:
            row |= _figures(load_track(entry.name))
        except TrackError as error:  # one damaged file of the user's must not hide the others
            row["error"] = str(error)
        tracks.append(row)
    if as_json:
        print_json({"user_folder": str(user_folder()), "tracks": tracks})
        return

    from rich.console import Console
    from rich.table import Table

    table = Table(header_style="bold", box=None, pad_edge=False)
    table.add_column("track", no_wrap=True)
    for column in ("length\n[m]", "width\n[m]", "tightest\nbend [m]", "extent\n[m]"):
        table.add_column(column.replace("[", "\\["), justify="right", no_wrap=True)
    table.add_column("runs", no_wrap=True)
    table.add_column("from", no_wrap=True)
    for row in tracks:
        name = f"[bold]{row['name']}[/bold]" + (" (default)" if row["default"] else "")
        origin = "hotlap" if row["built_in"] else "you"
        if "error" in row:
            table.add_row(name, *["–"] * 4, "[red]unusable[/red]", origin)
            continue
        low, high = row["width_min_m"], row["width_max_m"]
        x_min, y_min, x_max, y_max = row["bounds_m"]
        table.add_row(
            name,
            f"{row['length_m']:.2f}",
            f"{row['width_median_m']:.2f}" if high - low < 0.02 else f"{low:.2f}–{high:.2f}",
            "–" if row["min_radius_m"] is None else f"{row['min_radius_m']:.2f}",
            f"{x_max - x_min:.1f} × {y_max - y_min:.1f}",
            row["direction"],
            origin,
        )
    console = Console()
    console.print(table)
    console.print(f"\nYour own tracks live in {user_folder()}: hotlap tracks add FILE.npy", style="dim", soft_wrap=True)


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a track, or path of a route file (.npy).")],
    direction: Annotated[str, typer.Option(help="as_is, cw, ccw or reversed.")] = "as_is",
    out: Annotated[Path | None, typer.Option(help="The picture; by default NAME.png.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Draw a track as a PNG and print its figures."""
    from hotlap.tracks.catalog import load_track
    from hotlap.tracks.figure import draw_track

    track = load_track(name, direction=direction)  # type: ignore[arg-type]  # checked there
    picture = out or Path(f"{track.name}.png")
    draw_track(track, picture)
    _report(track, as_json, picture=str(picture))


@app.command()
def add(
    file: Annotated[Path, typer.Argument(help="Route file (.npy) of N rows: center, inner and outer x, y.")],
    name: Annotated[str | None, typer.Option(help="Name of the track; by default the file's.")] = None,
    close: Annotated[bool, typer.Option("--close", help="Join the ends of a loop that was saved open.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace your track of that name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check a route file and copy it to your own tracks, to be used by name from then on."""
    from hotlap.tracks.catalog import add_track, user_folder

    track = add_track(file, name, closed=True if close else None, overwrite=force)
    _report(track, as_json, file=str(user_folder() / f"{track.name}.npy"))


@app.command()
def new(
    seed: Annotated[int, typer.Option(help="Another seed, another track; the same seed, the same track.")] = 0,
    length: Annotated[float, typer.Option(help="Length of the center line [m].")] = 20.0,
    width: Annotated[float, typer.Option(help="Width of the road [m].")] = 1.0,
    min_radius: Annotated[float, typer.Option(help="Radius of the tightest bend [m].")] = 0.8,
    winding: Annotated[float, typer.Option(help="From 0 (few wide bends) to 1 (hairpins).")] = 0.7,
    name: Annotated[str | None, typer.Option(help="Name of the track; by default random_SEED.")] = None,
    out: Annotated[Path | None, typer.Option(help="Route file to write, instead of adding to your tracks.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace your track or file of that name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make up a random track that can be driven, and add it to your tracks or write it to a file."""
    from hotlap.errors import TrackError
    from hotlap.tracks.catalog import check_name, user_folder
    from hotlap.tracks.generator import random_track
    from hotlap.tracks.route_file import write_route

    track_name = check_name(name or (out.stem if out else f"random_{seed}"))
    path = out or user_folder() / f"{track_name}.npy"
    if path.suffix != ".npy":
        raise TrackError(f"--out is {path}, expected a file that ends in .npy.")
    if path.exists() and not force:
        raise TrackError(f"{path} exists already. Give another --name or --out, or use --force.")
    track = random_track(seed, length=length, width=width, min_radius=min_radius, winding=winding, name=track_name)
    write_route(track, path)
    _report(track, as_json, file=str(path))


def _figures(track: Track) -> dict[str, Any]:
    """The figures of a track, JSON-ready; the keys are stable."""
    import numpy as np

    widths = track.width_at(track.arc)
    x, y, yaw = (float(value) for value in track.pose_at(0.0))
    return {
        "length_m": track.length,
        "width_min_m": float(widths.min()),
        "width_median_m": float(np.median(widths)),
        "width_max_m": float(widths.max()),
        "min_radius_m": None if np.isinf(track.min_radius) else track.min_radius,
        "direction": ("ccw" if track.ccw else "cw") if track.closed else "open",
        "closed": track.closed,
        "num_waypoints": len(track.center),
        "start": {"x": x, "y": y, "yaw_deg": float(np.degrees(yaw))},
        "bounds_m": list(track.bounds),
        "theme": track.theme,
    }


def _report(track: Track, as_json: bool, **written: str) -> None:
    figures = _figures(track)
    if as_json:
        print_json({"name": track.name, **figures, **written})
        return

    from rich.console import Console
    from rich.table import Table

    x_min, y_min, x_max, y_max = figures["bounds_m"]
    start = figures["start"]
    words = {"ccw": "counter-clockwise", "cw": "clockwise", "open": "open, driven in the order of its rows"}
    radius = figures["min_radius_m"]
    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    table.add_row("length", f"{track.length:.2f} m, {figures['num_waypoints']} waypoints")
    table.add_row(
        "width",
        f"{figures['width_min_m']:.3f} / {figures['width_median_m']:.3f} / {figures['width_max_m']:.3f} m "
        f"(min / median / max)",
    )
    table.add_row("tightest bend", "none" if radius is None else f"{radius:.2f} m radius")
    table.add_row("direction", words[figures["direction"]])
    table.add_row("start", f"({start['x']:.3f}, {start['y']:.3f}) m, heading {start['yaw_deg']:.1f}°")
    table.add_row("extents", f"x {x_min:.2f} … {x_max:.2f}, y {y_min:.2f} … {y_max:.2f} m")
    table.add_row("theme", track.theme)
    for what, path in written.items():
        table.add_row(what, path, style="bold")
    console = Console(file=sys.stdout)
    console.print(f"[bold]{track.name}[/bold]")
    console.print(table)

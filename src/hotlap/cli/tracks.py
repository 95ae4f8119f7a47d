"""``hotlap tracks``: list the known tracks, look at one, bring those of the original, add files, make up a new one."""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotlap.cli.console import JsonOption, columns, console, facts, print_json, print_table, progress_bar, screen
from hotlap.errors import ConfigError, TrackError
from hotlap.wording import counted

if TYPE_CHECKING:
    from hotlap.tracks import Track
    from hotlap.tracks.fetching import Fetched

MAX_NAMED = 10  # routes that a line names

app = typer.Typer(help="List, show, get, add and make tracks.", no_args_is_help=True)


@app.command("list")
def list_(
    everything: Annotated[
        bool, typer.Option("--all", help="Also routes of the original that `hotlap tracks get` can bring.")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """List the tracks that can be named: built-in ones, and those in your own folder.

    JSON keys: user_folder, tracks; with --all also original_routes (each with name, console_name, length_m, here).
    """
    from hotlap.deepracer.driving import DEFAULT_TRACK
    from hotlap.tracks.catalog import list_tracks, load_track, user_folder
    from hotlap.tracks.originals import original_routes

    tracks: list[dict[str, Any]] = []
    for entry in list_tracks():
        row: dict[str, Any] = {"name": entry.name, "built_in": entry.built_in, "default": entry.name == DEFAULT_TRACK}
        try:
            row |= _figures(load_track(entry.name))
        except TrackError as error:  # one damaged file of the user's must not hide the others
            row["error"] = str(error)
        tracks.append(row)
    names = {row["name"] for row in tracks}
    absent = [route for route in original_routes().values() if route.name not in names]
    if as_json:
        originals = [
            {
                "name": route.name,
                "console_name": route.console_name,
                "length_m": route.length_m,
                "here": route not in absent,
            }
            for route in original_routes().values()
        ]
        shown = {"user_folder": str(user_folder()), "tracks": tracks}
        print_json({**shown, "original_routes": originals} if everything else shown)
        return

    figures = ("length\n[m]", "width\n[m]", "tightest\nbend [m]", "extent\n[m]")
    table = columns("track", *figures, "runs", "from", left=("track", "runs", "from"))
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
    out = screen()
    print_table(out, table)
    out.print(f"\nYour own tracks live in {user_folder()}: hotlap tracks add FILE.npy", style="dim")
    if everything and absent:
        headings = ("route of the original", "length\n[m]", "in its console")
        table = columns(*headings, left=headings[:1], fold=headings[2:])
        for route in absent:
            table.add_row(route.name, f"{route.length_m:.2f}", route.console_name or "")
        out.print()
        print_table(out, table)
    if absent:
        more = "" if everything else "; hotlap tracks list --all names them"
        out.print(
            f"{counted(len(absent), 'route')} of the original can be brought with hotlap tracks get NAME{more}.",
            style="dim",
        )


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="Name of a track, or path of a route file (.npy).")],
    direction: Annotated[str, typer.Option(help="as_is, cw, ccw or reversed.")] = "as_is",
    out: Annotated[
        Path | None, typer.Option(help="Draw a picture: a file (.png), or a folder for NAME.png.", metavar="PLACE")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Print the figures of a track and sketch it in the terminal; with --out, draw it as a PNG."""
    from hotlap.tracks.catalog import load_track
    from hotlap.tracks.figure import draw_track
    from hotlap.tracks.sketch import sketch

    track = load_track(name, direction=direction)  # type: ignore[arg-type]  # checked there
    if out is None:
        _report(track, as_json)
        if not as_json and (sys.stdout.encoding or "").lower().startswith("utf"):
            print(f"\n{sketch(track)}")
        return
    picture = out / f"{track.name}.png" if out.is_dir() else out if out.suffix else out.with_suffix(".png")
    draw_track(track, picture)
    _report(track, as_json, picture=str(picture))


@app.command()
def get(
    names: Annotated[
        list[str] | None,
        typer.Argument(metavar="NAME...", help="Names of the original, in any spelling, or patterns such as '2022_*'."),
    ] = None,
    everything: Annotated[bool, typer.Option("--all", help="All that the source has.")] = False,
    source: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="An address (http, https) that serves NAME.npy or an archive; a folder, a git checkout, the file "
            "system of the simulator's image; a .tar, .tar.gz or .zip of one. Otherwise HOTLAP_TRACK_SOURCE, or where "
            "the community publishes them.",
        ),
    ] = None,
    any_hash: Annotated[
        bool, typer.Option("--any-hash", help="Take routes that differ from the published ones.")
    ] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace other tracks of yours with these names.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Bring routes of the original to your own tracks, with their source and license (SOURCES.json).

    What is here already is not fetched again. Exit code 1 if some could not be brought. JSON keys: folder, source,
    tracks (each with name, status, file, sha256, length_m, source, license, note).
    """
    from dataclasses import asdict

    from hotlap.tracks.catalog import user_folder
    from hotlap.tracks.download import Downloader
    from hotlap.tracks.fetching import choose_names, fetch_routes
    from hotlap.tracks.originals import original_routes
    from hotlap.tracks.route_sources import open_source

    if bool(names) == everything:
        raise ConfigError("name the routes that you want, or give --all; `hotlap tracks list --all` shows them.")
    out = console()
    place, fetched = None, _all_here(names or [])
    if fetched is None:
        opened = open_source(source, original_routes(), Downloader())
        place = opened.shown
        chosen = choose_names(names or [], opened.names, all_of_them=everything)
        with progress_bar(out) as bar:
            task = bar.add_task("get", total=len(chosen), note="")

            def tell(one: Fetched) -> None:
                bar.update(task, advance=1, note=one.name)
                if one.note:
                    out.print(f"{one.name}: {one.note}", style="red" if one.status == "failed" else "yellow")

            fetched = fetch_routes(chosen, opened, any_hash=any_hash, overwrite=force, tell=tell)
    rows = [{**asdict(each), "file": str(each.file)} for each in fetched]
    if as_json:
        print_json({"folder": str(user_folder()), "source": place, "tracks": rows})
    else:
        for status, words in (("new", "New"), ("here", "Here already"), ("failed", "Not brought")):
            if came := [each.name for each in fetched if each.status == status]:
                more = f" and {len(came) - MAX_NAMED} more" if len(came) > MAX_NAMED else ""
                print(f"{words}: {', '.join(came[:MAX_NAMED])}{more}.")
        licenses = ", ".join(sorted({each.license for each in fetched if each.license}))
        terms = f" (license: {licenses}; see SOURCES.json there)" if licenses else ""
        print(f"Your tracks lie in {user_folder()}{terms}.")
    if any(each.status == "failed" for each in fetched):
        raise typer.Exit(1)


@app.command()
def add(
    files: Annotated[
        list[Path],
        typer.Argument(
            metavar="FILE...",
            help="Route files (.npy) of N rows: center, inner and outer x, y; folders and archives (.tar, .tar.gz, "
            ".zip) of such files.",
        ),
    ],
    name: Annotated[str | None, typer.Option(help="Name of the one track; by default the file's.")] = None,
    close: Annotated[bool, typer.Option("--close", help="Join the ends of a loop that was saved open.")] = False,
    force: Annotated[bool, typer.Option("--force", help="Replace your tracks of those names.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Check route files and copy them to your own tracks, to be used by name from then on.

    Of one file the figures are printed; of several a line each. Exit code 1 if one of several could not be added. JSON
    keys: those of `show`, and file; of several a list of such objects, or of name and error, under tracks.
    """
    from hotlap.archives.archive import is_archive
    from hotlap.tracks.catalog import add_route, add_track, user_folder
    from hotlap.tracks.found_routes import routes_in_archive, routes_in_folder

    closed = True if close else None
    if len(files) == 1 and not files[0].is_dir() and not is_archive(files[0]):
        track = add_track(files[0], name, closed=closed, overwrite=force)
        _report(track, as_json, file=str(user_folder() / f"{track.name}.npy"))
        return
    if name is not None:
        raise ConfigError("--name names one track; add the files one by one, or leave their names as they are.")
    rows: list[dict[str, Any]] = []

    def add_one(stem: str, add: Callable[[], Track]) -> None:
        try:
            track = add()
        except TrackError as error:
            rows.append({"name": stem, "error": str(error)})
            console().print(f"{stem}: {error}", style="red")
            return
        rows.append({"name": track.name, **_figures(track), "file": str(user_folder() / f"{track.name}.npy")})

    for path in files:
        if not path.is_dir() and not is_archive(path):
            add_one(path.stem, partial(add_track, path, closed=closed, overwrite=force))
            continue
        if path.is_dir():
            found = routes_in_folder(path)
        else:
            with path.open("rb") as file:
                found = routes_in_archive(file, str(path))
        for stem, (content, *_) in found.items():
            source = f"{path}: {stem}.npy"
            add_one(stem, partial(add_route, content, stem, source=source, closed=closed, overwrite=force))
    failed = [row for row in rows if "error" in row]
    if as_json:
        print_json({"tracks": rows})
    else:
        for row in rows:
            if "error" not in row:
                print(f"{row['name']:<28}{row['length_m']:>8.2f} m")
        print(f"{len(rows) - len(failed)} added to {user_folder()}, {len(failed)} refused.")
    if failed:
        raise typer.Exit(1)


@app.command()
def new(
    seed: Annotated[int, typer.Option(help="Another seed, another track; the same seed, the same track.")] = 0,
    length: Annotated[float, typer.Option(help="Length of the center line in meters.")] = 20.0,
    width: Annotated[float, typer.Option(help="Width of the road in meters.")] = 1.0,
    min_radius: Annotated[float, typer.Option(help="Radius of the tightest bend in meters.")] = 0.8,
    winding: Annotated[float, typer.Option(help="From 0 (few wide bends) to 1 (hairpins).")] = 0.7,
    name: Annotated[str | None, typer.Option(help="Name of the track; by default random_SEED.")] = None,
    out: Annotated[Path | None, typer.Option(help="Route file to write, instead of adding to your tracks.")] = None,
    force: Annotated[bool, typer.Option("--force", help="Replace your track or file of that name.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Make up a random track that can be driven, and add it to your tracks or write it to a file."""
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


def _all_here(names: list[str]) -> list[Fetched] | None:
    """The named routes, if all of them are here; then no source need be asked."""
    from hotlap.tracks.fetching import here
    from hotlap.tracks.names import match_name
    from hotlap.tracks.originals import console_names, original_routes

    matches = [match_name(name, original_routes(), console_names()) for name in names]
    found = [here(match.name) if match else None for match in matches]
    return [each for each in found if each] if names and all(found) else None


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

    from rich.markup import escape

    x_min, y_min, x_max, y_max = figures["bounds_m"]
    start = figures["start"]
    words = {"ccw": "counter-clockwise", "cw": "clockwise", "open": "open, driven in the order of its rows"}
    radius = figures["min_radius_m"]
    widths = " / ".join(f"{figures[f'width_{which}_m']:.3f}" for which in ("min", "median", "max"))
    out = screen()
    out.print(track.name, style="bold")
    print_table(
        out,
        facts(
            {
                "length": f"{track.length:.2f} m, {figures['num_waypoints']} waypoints",
                "width": f"{widths} m (min / median / max)",
                "tightest bend": "none" if radius is None else f"{radius:.2f} m radius",
                "direction": words[figures["direction"]],
                "start": f"({start['x']:.3f}, {start['y']:.3f}) m, heading {start['yaw_deg']:.1f}°",
                "extents": f"x {x_min:.2f} … {x_max:.2f}, y {y_min:.2f} … {y_max:.2f} m",
                "theme": track.theme,
            }
        ),
    )
    for what, path in written.items():
        out.print(f"[dim]{what}[/]  [bold]{escape(path)}[/]", markup=True)

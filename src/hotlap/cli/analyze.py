"""``hotlap analyze``: a report about one run, or about several side by side."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from hotlap.cli.console import JsonOption, console, print_json, progress_bar, screen
from hotlap.cli.model_argument import DrfcOption, choose_model, model_place, which_folder
from hotlap.errors import ConfigError, TrackError

if TYPE_CHECKING:
    from hotlap.analysis.read.run_data import Run
    from hotlap.tracks.track import Track


def analyze(
    folders: Annotated[
        list[Path] | None,
        typer.Argument(metavar="DIR...", help="Model folders; log folders, log archives or traces of DeepRacer."),
    ] = None,
    drfc: DrfcOption = None,
    output: Annotated[
        Path | None,
        typer.Option(
            help="HTML file to write, or a folder to write it into. Default: DIR/analysis.html, of an archive or a "
            "trace ./NAME.html, of several models ./comparison.html."
        ),
    ] = None,
    track: Annotated[
        list[str] | None,
        typer.Option(help="Name or route file of a track driven on, if it is not recognized. May be repeated."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Write a report: learning curves, where the car leaves the track, what it does, whether it still explores.

    One HTML file that needs nothing else, and its figures as PNGs in the folder of the same name. It reads what a
    training leaves, ours and the original's; with several folders it sets the models side by side.

    JSON keys: report, figures, seconds, and models: name, folder, taken, headline, findings, notes.
    """
    places = [Path(model_place(str(folder))) for folder in folders or []]
    if drfc is not None:
        places.append(choose_model(None, drfc, needs_reward=False, quiet=True).model.path)
    if not places:
        raise which_folder("analyze")
    page = _page(output, places)
    begin = time.perf_counter()
    out = console()
    from hotlap.analysis.read.run_reader import read_run
    from hotlap.analysis.report.chapters import findings
    from hotlap.analysis.report.headline import headline
    from hotlap.analysis.report.report_writer import MAX_MODELS, write_report

    if len(places) > MAX_MODELS:
        raise ConfigError(f"at most {MAX_MODELS} models can be told apart side by side, got {len(places)} folders.")
    names = _names(places)
    runs = []
    with progress_bar(out) as bar:
        task = bar.add_task("reading", total=None, note="")
        for place, name in zip(places, names, strict=True):
            runs.append(
                read_run(
                    place,
                    name=name,
                    tracks=[*(track or []), *_tracks_of(place)],
                    on_file=lambda done, total: bar.update(task, completed=done, total=total, note="traces"),
                )
            )
            bar.reset(task)
        bar.update(task, description="drawing")
        report = write_report(
            runs, page, on_figure=lambda done, total: bar.update(task, completed=done, total=total, note="figures")
        )
    seconds = time.perf_counter() - begin
    if as_json:
        print_json(
            {
                "report": str(report.page),
                "figures": [str(path) for path in report.figures],
                "seconds": round(seconds, 3),
                "models": [
                    {
                        "name": run.name,
                        "folder": str(place),
                        "taken": run.taken,
                        "headline": {fact.label: fact.value for fact in headline(run)},
                        "findings": findings(run),
                        "notes": run.notes,
                    }
                    for run, place in zip(runs, places, strict=True)
                ],
            }
        )
        return
    for run in runs:
        _print(run, several=len(runs) > 1)
    print(f"Report: {report.page}, with {len(report.figures)} figures, in {seconds:.1f} s")


def _page(output: Path | None, places: list[Path]) -> Path:
    """The file to write.

    A folder takes the report into it; a name without an ending gets ``.html``, and one
    that is a file already is taken as it is.

    Raises:
        ConfigError: If the place cannot be written to.
    """
    if len(places) > 1:
        name = "comparison.html"
    elif places[0].is_file():
        name = f"{places[0].name.split('.')[0]}.html"
    else:
        name = "analysis.html"
    if output is None:
        page = places[0] / name if name == "analysis.html" else Path(name)
        if page.parent.is_dir() and not os.access(page.parent, os.W_OK):
            raise ConfigError(
                f"{page.parent}: the report cannot be written there, this user may not write into it. Name another "
                "place with --output FILE."
            )
        return page
    if output.is_dir():
        page = output / name
    elif output.is_file() or output.suffix.lower() in (".html", ".htm"):
        page = output
    else:
        page = output.with_name(f"{output.name}.html")
    try:
        page.parent.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise ConfigError(
            f"--output {output}: the folder {page.parent} cannot be made ({error.strerror}). Name another file."
        ) from None
    return page


def _print(run: Run, *, several: bool) -> None:
    from hotlap.analysis.report.chapters import findings
    from hotlap.analysis.report.headline import headline

    out = screen()
    if several:
        out.print(run.name, style="bold")
    if run.taken:
        console().print(run.taken)
    for fact in headline(run):
        detail = f" ({fact.detail})" if fact.detail else ""
        out.print(f"{fact.label + ':':<23}{fact.value}{detail}")
    for sentence in findings(run):
        out.print(f"· {sentence}")
    for note in run.notes:
        console().print(f"note: {note}")


def _names(places: list[Path]) -> list[str]:
    """What to call the models: as their folders, with as much of the path as makes them different."""
    resolved = [place.resolve() for place in places]
    if len(set(resolved)) < len(resolved):
        raise ConfigError("a folder is named twice. Name each model once.")
    for depth in range(1, max(len(path.parts) for path in resolved)):
        names = ["/".join(path.parts[-depth:]) for path in resolved]
        if len(set(names)) == len(names):
            return names
    return [str(path) for path in resolved]


def _tracks_of(folder: Path) -> list[Track]:
    """The tracks that the folder's job names, if it has one; the traces say whether it was these."""
    from hotlap.config.job import Job
    from hotlap.envs.race_tracks import tracks_of
    from hotlap.records.checkpoints import CheckpointStore

    try:
        job = Job.load(folder / "job.toml")
        seed = CheckpointStore(folder).seed(job.training.seed)
        return [track for race in job.races for track in tracks_of(race, seed=seed).tracks]
    except (ConfigError, TrackError):
        return []

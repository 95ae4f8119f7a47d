"""The ``hotlap`` command: gathers the commands, turns user errors into one paragraph and exit code 2."""

from __future__ import annotations

import sys
import textwrap
import warnings
from typing import Annotated, Any

import typer

from hotlap.cli import (
    analyze,
    bench,
    checkpoints,
    doctor,
    evaluate,
    export,
    help_,
    import_,
    jobs,
    new,
    reward,
    tracks,
    train,
    upload,
    validate,
)
from hotlap.errors import HotlapError


def _print_version(wanted: bool) -> None:
    if wanted:
        from hotlap import __version__

        print(f"hotlap {__version__}")
        raise typer.Exit


app = typer.Typer(
    name="hotlap",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.command("new")(new.new)
app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("export")(export.export)
app.command("import")(import_.import_)
app.command("checkpoints")(checkpoints.checkpoints)
app.command("analyze")(analyze.analyze)
app.command("jobs")(jobs.jobs)
app.command("stop")(jobs.stop)
app.command("logs")(jobs.logs)
app.command("upload")(upload.upload)
app.add_typer(tracks.app, name="tracks")
app.add_typer(reward.app, name="reward")
app.add_typer(validate.app, name="validate")
app.add_typer(bench.app, name="bench")
app.command("doctor")(doctor.doctor)
app.command("help")(help_.help_)


@app.callback()
def hotlap(
    version: Annotated[
        bool, typer.Option("--version", is_eager=True, callback=_print_version, help="Print the version.")
    ] = False,
) -> None:
    """Train a self-driving race car that sees only through its camera."""


def main() -> None:
    """Entry point of the command line."""
    warnings.showwarning = _show_warning
    try:
        app(standalone_mode=True)
    except HotlapError as error:
        print(_paragraph(f"hotlap: {error}"), file=sys.stderr)
        sys.exit(2)


def _paragraph(text: str) -> str:
    """Each line filled by itself; what is indented stays so."""
    return "\n".join(
        textwrap.fill(
            line.strip(),
            width=110,
            initial_indent=(indent := line[: len(line) - len(line.lstrip())]),
            subsequent_indent=indent,
            break_long_words=False,
            break_on_hyphens=False,
        )
        for line in text.splitlines()
    )


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(_paragraph(f"hotlap: warning: {message}"), file=sys.stderr)


if __name__ == "__main__":
    main()

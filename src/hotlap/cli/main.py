"""The ``hotlap`` command: gathers the commands, turns user errors into one paragraph and exit code 2."""

from __future__ import annotations

import re
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

_NO_BREAK = "\x00"


def _print_version(wanted: bool) -> None:
    if wanted:
        from hotlap import __version__

        print(f"hotlap {__version__}")
        raise typer.Exit


START, TRAININGS, REST = "Start here", "Trainings and models", "Reward functions, tracks, this machine"

app = typer.Typer(
    name="hotlap",
    cls=help_.HelpfulGroup,
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


app.command("new", rich_help_panel=START)(new.new)
app.command("train", rich_help_panel=START)(train.train)
app.command("evaluate", rich_help_panel=START)(evaluate.evaluate)
app.command("analyze", rich_help_panel=START)(analyze.analyze)
app.command("export", rich_help_panel=START)(export.export)
app.command("import", rich_help_panel=TRAININGS)(import_.import_)
app.command("checkpoints", rich_help_panel=TRAININGS)(checkpoints.checkpoints)
app.command("jobs", rich_help_panel=TRAININGS)(jobs.jobs)
app.command("stop", rich_help_panel=TRAININGS)(jobs.stop)
app.command("logs", rich_help_panel=TRAININGS)(jobs.logs)
app.command("upload", rich_help_panel=TRAININGS)(upload.upload)
app.add_typer(reward.app, name="reward", rich_help_panel=REST)
app.add_typer(tracks.app, name="tracks", rich_help_panel=REST)
app.add_typer(validate.app, name="validate", rich_help_panel=REST)
app.add_typer(bench.app, name="bench", rich_help_panel=REST)
app.command("doctor", rich_help_panel=REST)(doctor.doctor)
app.command("help", rich_help_panel=REST)(help_.help_)
help_.make_helpful(app)


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
        print(_paragraph("\n".join([f"hotlap: {error}", *getattr(error, "__notes__", ())])), file=sys.stderr)
        sys.exit(2)


def _paragraph(text: str) -> str:
    """Lines of a readable length; a command in backticks stays in one of them, so that it can be copied."""
    whole = re.sub(r"`[^`\n]*`", lambda command: command[0].replace(" ", _NO_BREAK), text)
    return "\n".join(map(_filled, whole.splitlines())).replace(_NO_BREAK, " ")


def _filled(line: str) -> str:
    indent = line[: len(line) - len(line.lstrip())]
    return textwrap.fill(line, width=110, subsequent_indent=2 * indent, break_long_words=False, break_on_hyphens=False)


def _show_warning(message: Warning | str, *_: Any, **__: Any) -> None:
    print(_paragraph(f"hotlap: warning: {message}"), file=sys.stderr)


if __name__ == "__main__":
    main()

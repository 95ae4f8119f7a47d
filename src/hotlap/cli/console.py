"""What commands have in common: where they print, and how they show progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotlap.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]
PrintLogOption = Annotated[
    bool,
    typer.Option("--print-log", help="Print the log on standard output, line by line as DeepRacer does, for tools."),
]


def check_outputs(as_json: bool, print_log: bool) -> None:
    """One thing at a time on standard output.

    Raises:
        ConfigError: If both are wanted.
    """
    if as_json and print_log:
        raise ConfigError("--json and --print-log both print on standard output; choose one of them.")


def console() -> Console:
    """For people: standard error, so that standard output stays free for results."""
    return _console(stderr=True)


def screen() -> Console:
    """For results as people read them: standard output."""
    return _console(stderr=False)


def _console(*, stderr: bool) -> Console:
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False)  # ":x:" of a user's text stays as it is


def progress_bar(out: Console) -> Progress:
    """A bar for long work, shown on a terminal only; its tasks have a field ``note``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<11}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}", markup=False),
        TimeElapsedColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )


def print_json(value: dict[str, Any]) -> None:
    """The one JSON object of a ``--json`` command."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


def print_log_lines(lines: Sequence[str]) -> None:
    """Lines of a log on standard output, at once."""
    if lines:
        sys.stdout.write("".join(f"{line}\n" for line in lines))
        sys.stdout.flush()


@contextmanager
def prints_log_errors(active: bool) -> Iterator[None]:
    """Let whoever reads a log on standard output know of an error that ends the command."""
    try:
        yield
    except Exception as error:
        if active:
            from hotlap.records.log_lines import exception_line

            print_log_lines([exception_line(error)])
        raise


@contextmanager
def prints_to_stderr(active: bool) -> Iterator[None]:
    """Keep what a user's reward function prints out of the JSON on standard output."""
    if not active:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield

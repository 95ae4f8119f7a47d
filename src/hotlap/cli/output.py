"""What commands have in common: where they print, and how they show progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress

JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object instead of text.")]


def console() -> Console:
    """For people: standard error, so that standard output stays free for results."""
    from rich.console import Console

    return Console(stderr=True, highlight=False)


def progress_bar(out: Console) -> Progress:
    """A bar for long work, shown on a terminal only; its tasks have a field ``note``."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, SpinnerColumn, TextColumn, TimeElapsedColumn

    return Progress(
        SpinnerColumn(),
        TextColumn("{task.description:<11}"),
        BarColumn(bar_width=28),
        MofNCompleteColumn(),
        TextColumn("{task.fields[note]}"),
        TimeElapsedColumn(),
        console=out,
        transient=True,
        disable=not out.is_terminal,
    )


def print_json(value: dict[str, Any]) -> None:
    """The one JSON object of a ``--json`` command."""
    json.dump(value, sys.stdout, indent=2, allow_nan=False)
    sys.stdout.write("\n")


@contextmanager
def prints_to_stderr(active: bool) -> Iterator[None]:
    """Keep what a user's reward function prints out of the JSON on standard output."""
    if not active:
        yield
        return
    with redirect_stdout(sys.stderr):
        yield

"""What commands have in common: where they print, and how they show progress."""

from __future__ import annotations

import json
import sys
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from typing import TYPE_CHECKING, Annotated, Any

import typer

from hotlap.errors import ConfigError

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress
    from rich.table import Table

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
    """Sentences are printed as they are: brackets and ":x:" of a user's text stay, and no path is broken in two."""
    from rich.console import Console

    return Console(stderr=stderr, highlight=False, emoji=False, markup=False, soft_wrap=True)


def columns(*headings: str, left: Collection[str] = (), fold: Collection[str] = (), title: str | None = None) -> Table:
    """A table with a line for each thing; cells may hold markup.

    Args:
        headings: Of its columns, from left to right; a number in a cell stands on the right.
        left: Those of columns of words.
        fold: Those of columns of words that are broken where the terminal is narrow.
        title: Above it.
    """
    from rich.markup import escape
    from rich.table import Table

    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    for each in headings:
        words = each in left or each in fold
        table.add_column(escape(each), justify="left" if words else "right", no_wrap=each not in fold, overflow="fold")
    return table


def facts(rows: Mapping[str, str]) -> Table:
    """A table of names and what is to be said of each; the latter may hold markup."""
    from rich.table import Table

    table = Table(show_header=False, box=None, pad_edge=False)
    table.add_column(style="dim")
    table.add_column()
    for name, text in rows.items():
        table.add_row(name, text)
    return table


def print_table(out: Console, table: Table) -> None:
    """Print a table as wide as the terminal at most."""
    out.print(table, markup=True, soft_wrap=False)


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
    print(json.dumps(value, indent=2, allow_nan=False))


def print_log_lines(lines: Sequence[str]) -> None:
    """Lines of a log on standard output, at once."""
    if lines:
        print("\n".join(lines), flush=True)


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


def prints_to_stderr(active: bool) -> AbstractContextManager[Any]:
    """Keep what a user's reward function prints out of the JSON on standard output."""
    return redirect_stdout(sys.stderr) if active else nullcontext()

"""``hotlap help``: what ``--help`` says."""

from __future__ import annotations

from typing import Annotated

import typer


def help_(
    context: typer.Context,
    words: Annotated[list[str] | None, typer.Argument(metavar="[COMMAND]...", help="Such as: tracks show.")] = None,
) -> None:
    """Say what hotlap, or one of its commands, does and takes; the same as --help."""
    root = context.find_root()
    root.command.main([*(words or []), "--help"], prog_name=root.command_path)

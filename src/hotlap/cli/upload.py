"""``hotlap upload``: bring to a bucket what a training or an evaluation could not upload."""

from __future__ import annotations

from typing import Annotated

import typer

from hotlap.cli.console import JsonOption, console, print_json
from hotlap.errors import ConfigError, HotlapError
from hotlap.wording import counted


def upload(
    place: Annotated[
        str | None, typer.Argument(metavar="PLACE", help="Only what waits for this s3://bucket/prefix.")
    ] = None,
    discard: Annotated[bool, typer.Option("--discard", help="Drop what waits for PLACE instead.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Upload the files that wait on this machine because a bucket did not answer.

    Exit code 1 if some still wait. JSON keys: places (each with place, folder, files, bytes, left, error).
    """
    from rich.markup import escape

    from hotlap.records.address import S3Prefix
    from hotlap.records.leftovers import leftovers

    if discard and place is None:
        raise ConfigError("--discard needs a PLACE: it drops the only copy of what waits for it.")
    out = console()

    def tell(message: str) -> None:
        out.print(escape(message), soft_wrap=True)

    rows = []
    for each in leftovers(str(S3Prefix.parse(place)) if place else None):
        left, error = each.num_files, None
        try:
            if discard:
                each.discard()
                left = 0
            else:
                tell(f"{each.model}: {counted(each.num_files, 'file')}, {each.num_bytes / 1e6:.1f} MB …")
                left = each.upload(tell)
        except HotlapError as problem:  # the next model may be on another server
            error = str(problem)
            out.print(f"[red]{escape(error)}[/]", soft_wrap=True)
        rows.append(
            {
                "place": each.model,
                "folder": str(each.folder),
                "files": each.num_files,
                "bytes": each.num_bytes,
                "left": left,
                "error": error,
            }
        )
        if not left:
            tell(f"{each.model}: {'dropped' if discard else 'everything is there'}.")
    if as_json:
        print_json({"places": rows})
    elif not rows:
        out.print("Nothing waits for an upload.")
    if any(row["left"] for row in rows):
        raise typer.Exit(1)

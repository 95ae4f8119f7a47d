"""``--video``: which trials of an evaluation a command films."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from hotlap.errors import ConfigError

VideoOption = Annotated[
    str | None,
    typer.Option(
        "--video",
        metavar="WHICH",
        help="Trials to film: all, first (the first clean one), so many, or none. Without it all; with --laps the "
        "first; with --drfc as DR_EVAL_SAVE_MP4 says; of several models none.",
    ),
]
NoVideoOption = Annotated[bool, typer.Option("--no-video", help="The same as --video none.")]


def parse_video(words: str | None, no_video: bool, *, laps: int | None, wanted: bool) -> Literal["all", "first"] | int:
    """Which trials are filmed; 0: none.

    Args:
        words: What ``--video`` says, if anything.
        no_video: Whether there is ``--no-video``.
        laps: What ``--laps`` says, if anything: many laps side by side.
        wanted: Whether films are made where neither is said.

    Raises:
        ConfigError: If it is nothing of what it may be.
    """
    if no_video:
        if words not in (None, "none"):
            raise ConfigError(f"--video {words} and --no-video contradict each other; leave one out.")
        return 0
    if words is None:
        return "first" if wanted and laps is not None else "all" if wanted else 0
    if words == "all":
        return "all"
    if words == "first":
        return "first"
    if words == "none":
        return 0
    if not (words.isascii() and words.isdigit() and len(words) < 10):
        raise ConfigError(f"--video must be all, first, none or a number of trials, got {words!r}.")
    return int(words)

"""``--checkpoint``: which checkpoint of a model a command is about."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from hotlap.errors import ConfigError
from hotlap.records.checkpoints import CheckpointName


def parse_checkpoint(words: str | int, option: str = "--checkpoint") -> Literal["best", "last"] | int | CheckpointName:
    """``best``, ``last``, a number, or a name such as ``5_Step-4912``, with or without ``.ckpt``.

    Raises:
        ConfigError: If it is none of these.
    """
    words = str(words)
    if words == "best":
        return "best"
    if words == "last":
        return "last"
    if name := CheckpointName.parse(f"{words.removesuffix('.ckpt')}.ckpt"):
        return name
    if not (words.isascii() and words.isdigit() and len(words) < 10):
        raise ConfigError(f"{option} must be best, last, a number or a name such as 5_Step-4912, got {words!r}.")
    return int(words)


def split_checkpoint(words: str) -> tuple[str, str | None]:
    """``DIR@CHECKPOINT`` as a model and which of its checkpoints; without an @ None.

    A folder with an @ in its name is that folder.
    """
    folder, at, checkpoint = words.rpartition("@")
    if not at or "/" in checkpoint or Path(words).exists():
        return words, None
    return folder, checkpoint

"""``--checkpoint``: which checkpoint of a model a command is about."""

from __future__ import annotations

import re
from pathlib import Path

from hotlap.errors import ConfigError


def parse_checkpoint(words: str | int, option: str = "--checkpoint") -> str | int:
    """``best``, ``last``, a number, or a name such as ``5_Step-4912``, with or without ``.ckpt``.

    Raises:
        ConfigError: If it is none of these.
    """
    words = str(words)
    if words in ("best", "last"):
        return words
    if re.fullmatch(r"[0-9]{1,9}_Step-[0-9]{1,18}(\.ckpt)?", words):
        return words
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

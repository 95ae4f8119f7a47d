"""``--checkpoint``: which checkpoint of a model a command is about."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from hotlap.errors import ConfigError

if TYPE_CHECKING:
    from hotlap.config.drfc import DrfcFolder


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


def last_by_default(drfc: DrfcFolder | None, variable: str, option: str, place: str | Path, taken: object) -> str:
    """Why the last checkpoint was taken though another is the best, to stand behind its name; or nothing.

    Args:
        drfc: The folder of DeepRacer-for-Cloud that the model is of, if it is of one.
        variable: Its variable that chooses.
        option: What chooses on the command line.
        place: Where the checkpoints are.
        taken: Name of the one that was taken.
    """
    from hotlap.records.checkpoints import CheckpointStore

    if drfc is None or drfc.says(variable):
        return ""
    best = CheckpointStore(place).best()
    if best is None or str(best.name) == str(taken):
        return ""
    return f" (last: {variable} is not set; the best is {best.name.number}, {option} best)"


def split_checkpoint(words: str) -> tuple[str, str | None]:
    """``DIR@CHECKPOINT`` as a model and which of its checkpoints; without an @ None.

    A folder with an @ in its name is that folder.
    """
    folder, at, checkpoint = words.rpartition("@")
    if not at or "/" in checkpoint or Path(words).exists():
        return words, None
    return folder, checkpoint

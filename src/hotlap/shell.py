"""Words of the command lines that messages propose."""

from __future__ import annotations

import shlex
import subprocess
import sys
from pathlib import Path


def quoted(word: object) -> str:
    """A path, name or address as one word of a command line: in quotes if it holds spaces and the like."""
    return subprocess.list2cmdline([str(word)]) if sys.platform == "win32" else shlex.quote(str(word))


def as_typed(path: str | Path) -> str:
    """A path as one would type it here: relative if it lies below the present folder."""
    path = Path(path)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else str(path)

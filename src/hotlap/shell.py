"""Words of the command lines that messages propose."""

from __future__ import annotations

import shlex
import subprocess
import sys


def quoted(word: object) -> str:
    """A path, name or address as one word of a command line: in quotes if it holds spaces and the like."""
    return subprocess.list2cmdline([str(word)]) if sys.platform == "win32" else shlex.quote(str(word))

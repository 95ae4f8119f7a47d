"""Where a user's own files live, by the customs of the platform. The folders may not exist yet."""

from __future__ import annotations

import os
import sys
from pathlib import Path

STATE_VARIABLE = "HOTLAP_STATE"


def data_folder() -> Path:
    """What the user wants to keep, such as own tracks."""
    return _place("XDG_DATA_HOME", ".local/share") / "hotlap"


def state_folder() -> Path:
    """What hotlap remembers from one command to the next: ``HOTLAP_STATE``, or the platform's place for that."""
    return given_folder(STATE_VARIABLE) or _place("XDG_STATE_HOME", ".local/state") / "hotlap"


def given_folder(variable: str) -> Path | None:
    """The folder that an environment variable names; None if it is unset or empty."""
    given = os.environ.get(variable)
    return Path(given).expanduser() if given else None


def _place(variable: str, otherwise: str) -> Path:
    """Windows and macOS have one place for data and state; elsewhere the ``variable`` of XDG names it."""
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or Path.home() / "AppData" / "Local")
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Application Support"
    return Path(os.environ.get(variable) or Path.home() / otherwise)

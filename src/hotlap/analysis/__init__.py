"""Figures and reports from records.

read_run        reads a folder
figures         all that can be drawn of it
findings        what it says, in sentences
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

__all__ = ["figures", "findings", "read_run"]

if TYPE_CHECKING:
    from hotlap.analysis import figures
    from hotlap.analysis.read.run_reader import read_run
    from hotlap.analysis.report.chapters import findings

_HOMES = {"read_run": "hotlap.analysis.read.run_reader", "findings": "hotlap.analysis.report.chapters"}


def __getattr__(name: str) -> Any:
    """Import public names when they are first used: who only reads a table must not load Matplotlib."""
    if name not in _HOMES:
        raise AttributeError(f"module 'hotlap.analysis' has no attribute {name!r}; it has {', '.join(__all__)}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)

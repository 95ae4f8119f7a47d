"""``hotlap doctor FOLDER_OF_FOLDERS``: a line for each folder below, whether it is ready and if not what to do."""

from __future__ import annotations

import os
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotlap.errors import HotlapError
from hotlap.wording import counted

if TYPE_CHECKING:
    from rich.console import Console

MAX_DEPTH = 3  # COLLECTION/USER/experiments/NAME
MAX_FOLDERS = 2000  # looked into, whatever they hold
PIECES = ("reward_function.py", "model_metadata.json", "hyperparameters.json")

_PARTS_OF_A_MODEL = {"agent", "ip", "logs", "metrics", "model", "mp4", "sim-trace", "tracks", "training-simtrace"}
_DRFC = "DeepRacer-for-Cloud"
_TRAINED = "DeepRacer model"
_MODEL = "model folder"


@dataclass(frozen=True)
class FolderLine:
    """What was found in one of several folders."""

    folder: str
    kind: str
    ok: bool
    """Whether it can be trained on this machine."""
    text: str
    """What to do if not; nothing if so."""
    trained: str | None
    """What there is to go on with, if there is an earlier training, and how."""
    warnings: list[str]
    """What is possible but probably not meant, or has no effect."""


@dataclass(frozen=True)
class FoldersReport:
    """What was found in all of them."""

    folder: str
    lines: list[FolderLine]
    complete: bool
    """Whether every folder was looked into; there may be too many."""

    @property
    def ok(self) -> bool:
        return self.complete and all(line.ok for line in self.lines)

    def to_json(self) -> dict[str, Any]:
        """JSON values under the keys that the command documents."""
        folders = [asdict(line) for line in self.lines]
        return {"ok": self.ok, "folder": self.folder, "complete": self.complete, "folders": folders}


def examine_folders(folder: Path) -> FoldersReport | None:
    """Look into the folders below ``folder``, or None if it is itself one, or if there are none.

    Folders are looked for three levels deep; links are not followed, and parts of a model are no folders of their own.
    """
    if not folder.is_dir() or _is_whole(folder):
        return None
    found: list[Path] = []
    complete = True
    for number, each in enumerate(_walk(folder, MAX_DEPTH)):
        if number == MAX_FOLDERS:
            complete = False
            break
        if _kind(each):
            found.append(each)
    if not [each for each in found if each != folder]:
        return None
    return FoldersReport(str(folder), [_examine(each) for each in found], complete)


def print_folders(report: FoldersReport, screen: Console) -> None:
    """A table with a line for each folder, and how many are ready."""
    from rich.markup import escape
    from rich.table import Table

    table = Table(header_style="bold", box=None, pad_edge=False)
    for column in ("", "folder", "kind", "what to do"):
        table.add_column(column, overflow="fold")
    for line in report.lines:
        remarks = line.trained or "ready"
        if line.warnings:
            remarks += f"; {counted(len(line.warnings), 'remark')}"
        name = os.path.relpath(line.folder, report.folder)
        table.add_row(
            "[green]✓[/]" if line.ok else "[red]✗[/]",
            escape(name),
            line.kind,
            f"[dim]{remarks}[/]" if line.ok else escape(line.text),
        )
    screen.print(table)
    ready = sum(line.ok for line in report.lines)
    color = "green" if report.ok else "yellow"
    screen.print(f"[{color}]{ready} of {len(report.lines)} folders are ready to train.[/]")
    if not report.complete:
        screen.print(f"[red]Only the first {MAX_FOLDERS:,} folders were looked into. Name a smaller part.[/]")
    screen.print("All about one of them: hotlap doctor DIR")


def _walk(folder: Path, depth: int) -> Iterator[Path]:
    """The folder and those below it, in order; none inside of a whole one."""
    yield folder
    if depth == 0 or _is_whole(folder):
        return
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in entries if entry.is_dir(follow_symlinks=False))
    except OSError:
        return  # whoever may not look into it does not train it
    for name in names:
        if not name.startswith((".", "__")) and name not in _PARTS_OF_A_MODEL:
            yield from _walk(folder / name, depth - 1)


def _kind(folder: Path) -> str | None:
    """What a folder is, by what lies in it; None if it is no such folder."""
    from hotlap.cli.model_argument import is_trained_by_deepracer
    from hotlap.config.drfc import is_drfc_folder

    if is_drfc_folder(folder):
        return _DRFC
    pieces = [name for name in PIECES if (folder / name).is_file()]
    if len(pieces) < len(PIECES) and is_trained_by_deepracer(folder):
        return _TRAINED
    return _MODEL if pieces else None


def _is_whole(folder: Path) -> bool:
    """Whether nothing in the folder is looked for any further."""
    return _kind(folder) in (_DRFC, _TRAINED) or all((folder / name).is_file() for name in PIECES)


def _examine(folder: Path) -> FolderLine:
    from hotlap.cli.doctor_folder import examine_folder

    kind = _kind(folder) or _MODEL
    if kind == _TRAINED:
        text = f"DeepRacer trained this. `hotlap import {folder} DIR` makes a model folder of it."
        return FolderLine(str(folder), kind, False, text, None, [])
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error is what counts in a line
            report = examine_folder(folder, None)
    except HotlapError as error:
        return FolderLine(str(folder), kind, False, _short(str(error), folder), None, [])
    problems = " ".join(report.problems)
    return FolderLine(str(folder), kind, not problems, _short(problems, folder), report.trained, report.warnings)


def _short(text: str, folder: Path) -> str:
    """A message without the folder's own name at its head and before the names of its files."""
    return text.removeprefix(f"{folder}: ").replace(f"{folder}{os.sep}", "")

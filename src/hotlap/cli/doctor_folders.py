"""``hotlap doctor FOLDER_OF_FOLDERS``: a line for each folder below, whether it is ready and if not what to do."""

from __future__ import annotations

import itertools
import os
import re
import warnings
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from hotlap.cli.console import columns, print_table
from hotlap.errors import HotlapError
from hotlap.shell import quoted

if TYPE_CHECKING:
    from rich.console import Console

MAX_DEPTH = 3  # COLLECTION/USER/experiments/NAME
MAX_FOLDERS = 2000  # looked into, whatever they hold
PIECES = ("reward_function.py", "model_metadata.json", "hyperparameters.json")

_PARTS_OF_A_MODEL = {"agent", "ip", "logs", "metrics", "model", "mp4", "sim-trace", "tracks", "training-simtrace"}
_DRFC = "DeepRacer-for-Cloud"
_TRAINED = "DeepRacer model"
_MODEL = "model folder"
_NONE = "no model folder"


@dataclass(frozen=True)
class FolderLine:
    """What was found in one of several folders."""

    folder: str
    kind: str
    ok: bool
    """Whether it can be trained on this machine."""
    text: str
    """What to do if not; nothing if so."""
    trained: str | None = None
    """What there is to go on with, if there is an earlier training, and how."""
    warnings: tuple[str, ...] = ()
    """What is possible but probably not meant, or has no effect."""


@dataclass(frozen=True)
class FoldersReport:
    """What was found in all of them."""

    folder: str
    complete: bool
    """Whether every folder was looked into; there may be too many."""
    folders: list[FolderLine]

    @property
    def ok(self) -> bool:
        return self.complete and all(line.ok for line in self.folders)

    def to_json(self) -> dict[str, Any]:
        """JSON values under the keys that the command documents."""
        return {"ok": self.ok, **asdict(self)}


def examine_folders(folder: Path) -> FoldersReport | None:
    """Look into the folders below ``folder``, or None if it is itself one, or if there are none.

    Folders are looked for three levels deep; links are not followed, and parts of a model are no folders of their own.
    Of those directly in ``folder`` each has a line, also one with no model in it.
    """
    if not folder.is_dir() or _is_whole(folder):
        return None
    walked = list(itertools.islice(_walk(folder, MAX_DEPTH), MAX_FOLDERS + 1))
    complete = len(walked) <= MAX_FOLDERS
    walked = walked[:MAX_FOLDERS]
    found = [each for each in walked if _kind(each)]
    if not {*found} - {folder}:
        return None
    holding = {above for each in found for above in (each, *each.parents)}
    lines = [
        _examine(each) if each in found else _nothing(each)
        for each in walked
        if each in found or (each.parent == folder and each not in holding)
    ]
    return FoldersReport(str(folder), complete, lines)


def print_folders(report: FoldersReport, out: Console) -> None:
    """A table with a line for each folder, and how many are ready."""
    from rich.markup import escape

    headings = ("", "folder", "kind", "what to do")
    table = columns(*headings, fold=headings)
    for line in report.folders:
        mark = "[red]✗[/]" if not line.ok else "[yellow]![/]" if line.warnings else "[green]✓[/]"
        name = os.path.relpath(line.folder, report.folder)
        table.add_row(mark, escape(name), line.kind, _ready(line) if line.ok else escape(line.text))
    print_table(out, table)
    ready = sum(line.ok for line in report.folders)
    out.print(f"{ready} of {len(report.folders)} folders are ready to train.", style="green" if report.ok else "yellow")
    if not report.complete:
        out.print(f"Only the first {MAX_FOLDERS:,} folders were looked into. Name a smaller part.", style="red")
    out.print("All about one of them: hotlap doctor DIR")


def _ready(line: FolderLine) -> str:
    """That a folder is ready, and what is to be said of it all the same."""
    from rich.markup import escape

    ready = line.trained or "ready"
    if not line.warnings:
        return f"[dim]{escape(ready)}[/]"
    first, *more = line.warnings
    return f"{escape(ready)}; {escape(_short(first, Path(line.folder)))}" + (f" (and {len(more)} more)" if more else "")


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
    from hotlap.config.model_folder import misnamed_file

    if is_drfc_folder(folder):
        return _DRFC
    pieces = _pieces(folder)
    if len(pieces) < len(PIECES) and is_trained_by_deepracer(folder):
        return _TRAINED
    return _MODEL if pieces or any(misnamed_file(folder, name) for name in PIECES) else None


def _pieces(folder: Path) -> list[str]:
    return [name for name in PIECES if (folder / name).is_file()]


def _is_whole(folder: Path) -> bool:
    """Whether nothing in the folder is looked for any further."""
    return _kind(folder) in (_DRFC, _TRAINED) or len(_pieces(folder)) == len(PIECES)


def _nothing(folder: Path) -> FolderLine:
    """The line of a folder without anything of a model in it."""
    try:
        empty = not any(folder.iterdir())
    except OSError as error:
        return FolderLine(str(folder), _NONE, False, f"it cannot be read ({error.strerror})")
    text = "it is empty" if empty else f"it holds none of {', '.join(PIECES[:-1])} and {PIECES[-1]}"
    return FolderLine(str(folder), _NONE, False, text)


def _examine(folder: Path) -> FolderLine:
    from hotlap.cli.doctor_folder import examine_folder

    kind = _kind(folder) or _MODEL
    if kind == _TRAINED:
        text = f"DeepRacer trained this. `hotlap import {quoted(folder)} DIR` makes a model folder of it."
        return FolderLine(str(folder), kind, False, text)
    if kind == _MODEL and _pieces(folder) == ["reward_function.py"]:
        text = f"only a reward function; `hotlap new {quoted(folder)}` adds the rest"
        return FolderLine(str(folder), kind, False, text)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # the error is what counts in a line
            report = examine_folder(folder, None)
    except HotlapError as error:
        return FolderLine(str(folder), kind, False, _short(" ".join(str(error).split()), folder))
    problems = " ".join(report.problems)
    return FolderLine(str(folder), kind, not problems, _short(problems, folder), report.trained, tuple(report.warnings))


def _short(text: str, folder: Path) -> str:
    """A message without the folder's own name at its head and before the names of its files.

    Only where a path begins with it: another path may well have a part of that name.
    """
    names = "|".join(re.escape(each) for each in {str(folder), str(folder.resolve())})
    text = re.sub(rf"^(?:{names}): ", "", text)
    return re.sub(rf"(?<![^\s'\"`(])(?:{names}){re.escape(os.sep)}", "", text)

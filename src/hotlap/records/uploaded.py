"""What of a folder's files lies in its bucket already, noted beside them so that a killed process loses nothing.

``.uploaded.jsonl`` has a line for each key that changed there, ``[key, state]``; the last one counts:

    [size, mtime, inode]   of the file whose bytes lie there
    null                   something may lie there: a request was on its way
    "unread"               more lies there than here, where an empty file stands for it
    "gone"                 nothing lies there any more
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from hotlap.bounded import load_json
from hotlap.errors import RecordError
from hotlap.records.folder import Folder
from hotlap.unfinished import is_unfinished

NOTES = ".uploaded.jsonl"

Signature = tuple[int, int, int]
"""Size [bytes], time of the last change [ns] and inode of a file: other bytes, another signature."""

State = Signature | Literal["unread"] | None
Gone = Literal["gone"]


@dataclass(frozen=True)
class Differences:
    """What is to be done until the bucket holds what the folder holds."""

    changed: Mapping[str, Signature]
    """Files that are not there as they are here."""
    gone: Sequence[str]
    """Keys that may be there and are not here."""

    def __len__(self) -> int:
        return len(self.changed) + len(self.gone)

    @property
    def num_bytes(self) -> int:
        """Of the files that are to be uploaded."""
        return sum(size for size, _, _ in self.changed.values())


class Uploaded:
    """The notes of a folder, which one process at a time may write.

    Args:
        root: The folder; files and folders in it whose names begin with a dot are not for the bucket.
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._notes = Folder(root, sync=False)
        self._states: dict[str, State] = {}
        self._appends = False
        if self._notes.exists(NOTES):
            for line in self._notes.get(NOTES).splitlines():
                self._read(line)

    def note(self, key: str, state: State | Gone) -> None:
        """Write down what lies under a key.

        Raises:
            RecordError: If it could not be written.
        """
        self._take(key, state)
        if self._appends:
            self._notes.append(NOTES, _line(key, state))
        else:  # what counts of the lines of earlier processes, and no torn one
            self._notes.put(NOTES, b"".join(_line(*each) for each in self._states.items()))
            self._appends = True

    def differences(self) -> Differences:
        """Compare the folder as it is now with what was noted.

        Raises:
            RecordError: If the folder cannot be read.
        """
        files = self.files()
        changed = {key: signature for key, signature in files.items() if not self._holds(key, signature)}
        return Differences(changed, sorted(set(self._states) - set(files)))

    def files(self) -> Mapping[str, Signature]:
        """Keys and signatures of all files for the bucket."""
        found: dict[str, Signature] = {}
        try:
            self._walk(self.root, "", found)
        except OSError as error:
            raise RecordError(
                f"{self.root}, whose files are to be uploaded, could not be read ({error.strerror}). Check its "
                "permissions."
            ) from error
        return found

    def _walk(self, folder: Path, prefix: str, found: dict[str, Signature]) -> None:
        try:
            entries = list(os.scandir(folder))
        except FileNotFoundError:
            return
        for entry in entries:
            if (not prefix and entry.name.startswith(".")) or is_unfinished(entry.name):
                continue
            if entry.is_dir(follow_symlinks=False):
                self._walk(folder / entry.name, f"{prefix}{entry.name}/", found)
            elif signature := signature_of(entry):
                found[f"{prefix}{entry.name}"] = signature

    def _holds(self, key: str, signature: Signature) -> bool:
        state = self._states.get(key)
        return signature[0] == 0 if state == "unread" else state == signature

    def _read(self, line: bytes) -> None:
        """Take a line; one that a kill has torn says nothing that is not found out anew."""
        try:
            key, state = load_json(line)
        except (ValueError, TypeError):
            return
        if isinstance(state, list) and len(state) == 3 and all(isinstance(each, int) for each in state):
            state = tuple(state)
        if isinstance(key, str) and (state in (None, "unread", "gone") or isinstance(state, tuple)):
            self._take(key, state)

    def _take(self, key: str, state: State | Gone) -> None:
        if state == "gone":
            self._states.pop(key, None)
        else:
            self._states[key] = state


def _line(key: str, state: State | Gone) -> bytes:
    return f"{json.dumps([key, state])}\n".encode()


def signature_of(file: Path | os.DirEntry[str]) -> Signature | None:
    """The signature of a file; None if it is gone."""
    try:
        found = file.stat()
    except FileNotFoundError:
        return None
    return found.st_size, found.st_mtime_ns, found.st_ino

"""The files that wait for their upload, on the local disk.

    {number}-put-{key}      bytes that are to be put under the key
    {number}-delete-{key}   empty; what lies under the key is to be removed
    {number}-kept-{key}     bytes that were uploaded and are kept for reading

Numbers grow; of several files with one key the highest number counts. Each appears whole or not at all, so that a
killed process leaves exactly what its finished writes were.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Literal
from urllib.parse import quote, unquote

from hotlap.bounded import read_bounded
from hotlap.errors import RecordError
from hotlap.records.address import S3Prefix
from hotlap.records.folder import Folder
from hotlap.records.patience import Patience
from hotlap.records.s3_settings import S3Settings
from hotlap.records.typed_json import parse_record
from hotlap.unfinished import sweep
from hotlap.user_folders import state_folder

Deed = Literal["put", "delete", "kept"]

TRAINING = "training"
"""Name of the entries' folder of trainings, within that of a place."""

_ENTRY = re.compile(r"(\d{12})-(put|delete|kept)-(.+)")
_PLACE = "place.json"
_MAX_PLACE = 1 << 16  # bytes


@dataclass(frozen=True, order=True)
class Entry:
    """One file of the spool; sorts by number."""

    number: int
    deed: Deed
    key: str
    num_bytes: int = 0

    @property
    def name(self) -> str:
        """Of its file."""
        return f"{self.number:012d}-{self.deed}-{quote(self.key, safe='')}"


class SpoolFolder:
    """A folder of entries, of one process at a time.

    Args:
        path: Made at the first write.
        patience: With a full disk.
    """

    def __init__(self, path: Path, patience: Patience | None = None) -> None:
        self.path = path
        self._files = Folder(path, patience=patience)

    def entries(self) -> Sequence[Entry]:
        """All of them, by number.

        Raises:
            RecordError: If the folder cannot be read.
        """
        found = []
        try:
            with os.scandir(self.path) as files:
                for file in files:
                    if match := _ENTRY.fullmatch(file.name):
                        deed: Any = match[2]
                        found.append(Entry(int(match[1]), deed, unquote(match[3]), file.stat().st_size))
        except FileNotFoundError:
            pass
        except OSError as error:
            raise RecordError(
                f"{self.path}, where files wait for their upload, could not be read ({error.strerror}). Check its "
                "permissions."
            ) from error
        return sorted(found)

    def sweep(self) -> None:
        """Remove what a killed process had not finished to write."""
        sweep(self.path)

    def write(self, number: int, deed: Deed, key: str, data: bytes) -> Entry:
        """Add an entry.

        Raises:
            RecordError: If it could not be written.
        """
        entry = Entry(number, deed, key, len(data))
        self._files.put(entry.name, data)
        return entry

    def read(self, entry: Entry) -> bytes:
        """The bytes of an entry."""
        return self._files.get(entry.name)

    def remove(self, entry: Entry) -> None:
        """Drop an entry."""
        self._files.delete(entry.name)

    def keep(self, entry: Entry) -> Entry:
        """Mark an entry as uploaded; what it is now."""
        kept = Entry(entry.number, "kept", entry.key, entry.num_bytes)
        os.replace(self.path / entry.name, self.path / kept.name)
        return kept

    def newest(self, key: str) -> bytes | None:
        """The bytes last put under a key, uploaded or not; None if they are not here. For readers beside the owner."""
        found = [entry for entry in self.entries() if entry.key == key and entry.deed != "delete"]
        for entry in reversed(found):
            for deed in ("put", "kept"):  # it may be marked meanwhile
                try:
                    return self._files.get(Entry(entry.number, deed, key).name)
                except RecordError:
                    continue
        return None


@dataclass(frozen=True)
class SpoolNote:
    """What a place's spools are for."""

    place: str
    endpoint: str | None
    owners: tuple[str, ...] = ()
    """Tokens under which trainings of this machine may own the place (`Ownership`): the last one, and perhaps one that
    was about to begin."""

    @classmethod
    def read(cls, folder: Path) -> SpoolNote | None:
        """The note in a place's folder; None if there is none."""
        try:
            return parse_record(cls, read_bounded(folder / _PLACE, _MAX_PLACE))
        except (OSError, ValueError):
            return None

    def write(self, folder: Path) -> None:
        """Leave the note."""
        Folder(folder).put(_PLACE, (json.dumps(asdict(self)) + "\n").encode())


def spools() -> Sequence[tuple[Path, SpoolNote]]:
    """The folders of all places whose files went through this machine, and what they are for."""
    folders = sorted(_spools().glob("*/"))
    return [(folder, note) for folder in folders if (note := SpoolNote.read(folder))]


def last_written(place: str, key: str) -> bytes | None:
    """What a training on this machine last wrote under a key, uploaded or not; None if that is not known any more."""
    for folder, note in spools():
        if note.place == place and (data := SpoolFolder(folder / TRAINING).newest(key)) is not None:
            return data
    return None


def spool_of(place: S3Prefix, settings: S3Settings) -> Path:
    """The folder for a place: `SpoolNote`, and a folder of entries for the training and for each evaluation."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{place.bucket}-{place.prefix}")[:60]
    # The same name on two servers is two places.
    digest = hashlib.sha256(f"{settings.endpoint}\n{place}".encode()).hexdigest()[:12]
    return _spools() / f"{plain}-{digest}"


def _spools() -> Path:
    return state_folder() / "spool"

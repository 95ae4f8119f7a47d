"""The folders on this machine whose files go to buckets, one for each prefix of a server, in the user's state:

.training.lock       held by the process that trains
bucket.json          `MirrorNote`
training/            what a training writes, as long as not all of it may be in the bucket
evaluation-{time}/   the same of an evaluation
uploaded/            of the last training whose files all are: what lists of jobs show
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import secrets
import shutil
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

from hotlap.bounded import read_bounded
from hotlap.errors import RecordError
from hotlap.records.address import S3Prefix
from hotlap.records.folder import Folder
from hotlap.records.layout import INDEX
from hotlap.records.s3_settings import S3Settings
from hotlap.records.typed_json import parse_record
from hotlap.user_folders import state_folder

TRAINING, UPLOADED, EVALUATION = "training", "uploaded", "evaluation-"

_NOTE = "bucket.json"
_MAX_NOTE = 1 << 16  # bytes
_WATCHED = re.compile(rf"metrics/.*|{re.escape(INDEX)}", re.DOTALL)  # by those who list trainings


@dataclass(frozen=True)
class MirrorNote:
    """What the folders of a prefix are for."""

    model: str
    """Its address, ``s3://bucket/prefix``."""

    endpoint: str | None
    """Of the server; None: Amazon's."""

    token: str
    """By which its trainings here are known to others (`Claim`)."""

    @classmethod
    def read(cls, home: Path) -> MirrorNote | None:
        """The note in a prefix's folder; None if there is none."""
        try:
            return parse_record(cls, read_bounded(home / _NOTE, _MAX_NOTE))
        except (OSError, ValueError):
            return None


def mirrored(prefix: S3Prefix, settings: S3Settings) -> tuple[Path, MirrorNote]:
    """The folder for a prefix, and its note, which is written if it is new."""
    plain = re.sub(r"[^A-Za-z0-9._-]+", "-", f"{prefix.bucket}-{prefix.prefix}")[:60]
    # The same name on two servers is two models.
    digest = hashlib.sha256(f"{settings.endpoint}\n{prefix}".encode()).hexdigest()[:12]
    home = _homes() / f"{plain}-{digest}"
    note = MirrorNote.read(home)
    if note is None:
        note = MirrorNote(str(prefix), settings.endpoint, secrets.token_hex(8))
        Folder(home).put(_NOTE, (json.dumps(asdict(note)) + "\n").encode())
    return home, note


def all_mirrored() -> Sequence[tuple[Path, MirrorNote]]:
    """The folders of all prefixes whose files went through this machine, and their notes."""
    return [(home, note) for home in sorted(_homes().glob("*/")) if (note := MirrorNote.read(home))]


def last_written(model: str, key: str) -> bytes | None:
    """What a training on this machine last wrote under a key, uploaded or not; None if that is not known any more."""
    for home, note in all_mirrored():
        for folder in (home / TRAINING, home / UPLOADED) if note.model == model else ():
            with contextlib.suppress(RecordError):
                return Folder(folder).get(key)
    return None


def remove(folder: Path) -> None:
    """Remove a mirrored folder at one moment: a part of it would look as if the rest were to be removed there, too."""
    gone = folder.with_name(f".{folder.name}.removed")
    shutil.rmtree(gone, ignore_errors=True)
    with contextlib.suppress(FileNotFoundError):
        os.rename(folder, gone)
    shutil.rmtree(gone, ignore_errors=True)


def put_away(home: Path) -> Path:
    """Drop the files of a training, all of which are in the bucket, but for what lists of jobs show; where that is."""
    uploaded = home / UPLOADED
    shutil.rmtree(uploaded, ignore_errors=True)
    os.rename(home / TRAINING, uploaded)  # from now on it is no training that is to go on here
    for path in sorted(uploaded.rglob("*"), reverse=True):  # what is in a folder comes before it
        with contextlib.suppress(OSError):
            if path.is_dir():
                path.rmdir()
            elif not _WATCHED.fullmatch(path.relative_to(uploaded).as_posix()):
                path.unlink()
    return uploaded


def _homes() -> Path:
    return state_folder() / "buckets"

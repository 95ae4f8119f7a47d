"""What a training needs before it goes on with one in a bucket: into a folder, from where a `Mirror` goes on."""

from __future__ import annotations

import re
from pathlib import Path

from hotlap.records.checkpoints import KEPT_CHECKPOINTS
from hotlap.records.folder import Folder
from hotlap.records.layout import BUSY, INDEX, MODEL_FOLDER, is_foreign_checkpoint
from hotlap.records.s3 import Bucket
from hotlap.records.uploaded import Uploaded, signature_of

_READ = re.compile(rf"{MODEL_FOLDER}/.*|metrics/[^/]*|logs/training/[^/]*\.log", re.DOTALL)
_REMOVED = re.compile(r"(\d+/)?training-simtrace/.*|logs/(training|tensorboard)/.*", re.DOTALL)
_OF_CHECKPOINT = re.compile(rf"{MODEL_FOLDER}/((\d+)_Step-\d+)\..*", re.DOTALL)
_NAMED = re.compile(rb"\d+_Step-\d+(?=\.ckpt)")


def download(bucket: Bucket, folder: Path) -> None:
    """Get what a training reads, and what it may only remove as empty files.

    Checkpoints are read if they are among the newest, or if the index or the newest state names them.

    Args:
        bucket: From where.
        folder: A new one.

    Raises:
        RecordError: If a file cannot be read there or written here.
    """
    here, uploaded = Folder(folder, sync=False), Uploaded(folder)

    def get(key: str, *, whole: bool = True) -> bytes:
        data = bucket.get(key) if whole else b""
        here.put(key, data)
        uploaded.note(key, signature_of(here.path(key)) if whole else "unread")
        return data

    keys = [key for key in bucket.all_keys() if not is_foreign_checkpoint(key)]
    checkpoints = {key: (int(match[2]), match[1]) for key in keys if (match := _OF_CHECKPOINT.fullmatch(key))}
    newest = sorted(set(checkpoints.values()))[-KEPT_CHECKPOINTS:]
    named = {name for _, name in newest}
    states = [f"{MODEL_FOLDER}/{name}.state.json" for _, name in newest[-1:]]
    for key in (INDEX, *states):
        if key in keys:
            named |= {name.decode() for name in _NAMED.findall(bucket.get(key))}
    for key in keys:
        if key == BUSY:
            uploaded.note(key, None)  # of an upload that was broken off
        elif _READ.fullmatch(key):
            get(key, whole=key not in checkpoints or checkpoints[key][1] in named)
        elif _REMOVED.fullmatch(key):
            get(key, whole=False)

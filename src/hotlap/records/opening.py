"""From a model as a user names it to the `Store` of its files."""

from __future__ import annotations

from pathlib import Path

from hotlap.records.address import S3Prefix, is_s3
from hotlap.records.folder import Folder
from hotlap.records.s3 import Bucket
from hotlap.records.store import Store


def open_store(model: str | Path | Store) -> Store:
    """The files of a model: in its folder, or at ``s3://bucket/prefix``. A `Store` is returned as it is.

    Raises:
        ConfigError: If an address of a bucket is wrong, or the settings for reaching buckets are.
    """
    if not isinstance(model, str | Path):
        return model
    return Bucket(S3Prefix.parse(str(model))) if is_s3(model) else Folder(model)

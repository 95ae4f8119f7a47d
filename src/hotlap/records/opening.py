"""From the place that a user names to the `Store` that stands for it."""

from __future__ import annotations

from pathlib import Path

from hotlap.records.address import S3Prefix, is_s3
from hotlap.records.folder import Folder
from hotlap.records.s3 import Bucket
from hotlap.records.store import Store


def open_store(place: str | Path | Store) -> Store:
    """The `Store` at a place: a folder, or ``s3://bucket/prefix``. A `Store` is returned as it is.

    Raises:
        ConfigError: If an address of a bucket is wrong, or the settings for reaching buckets are.
    """
    if not isinstance(place, str | Path):
        return place
    return Bucket(S3Prefix.parse(str(place))) if is_s3(place) else Folder(place)

"""Addresses of models in buckets: ``s3://bucket/prefix``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hotlap.errors import ConfigError

SCHEME = "s3://"

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


def is_bucket_place(place: object) -> bool:
    """Whether a place is meant as an address of a bucket, right or wrong."""
    return isinstance(place, str) and place.startswith(SCHEME)


@dataclass(frozen=True)
class BucketPlace:
    """Where a model lies in a bucket: all keys that begin with ``prefix/``."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> BucketPlace:
        """Read ``s3://bucket/prefix``; a slash at the end means nothing.

        Raises:
            ConfigError: If it is none. A model needs a prefix: the bucket may hold others.
        """
        bucket, _, rest = text.removeprefix(SCHEME).partition("/")
        parts = rest.removesuffix("/").split("/")
        plain = all(part not in ("", ".", "..") and part.isprintable() for part in parts)
        if not is_bucket_place(text) or not _BUCKET.fullmatch(bucket) or not plain:
            raise ConfigError(
                f"{text!r} is no place for a model in a bucket. It must be s3://bucket/prefix, such as "
                "s3://models/first-lap: the bucket's name, and at least one plain name after it."
            )
        return cls(bucket, "/".join(parts))

    @property
    def name(self) -> str:
        """The last part of the prefix."""
        return self.prefix.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"


def absolute(place: str | Path) -> str:
    """A place by the one name that holds from everywhere: an absolute path, or the address of a bucket."""
    return str(place).rstrip("/") if is_bucket_place(place) else str(Path(place).resolve())


def file_at(place: str | Path, key: str) -> str | Path:
    """Where the file under ``key`` of the model at a place lies."""
    return f"{place}/{key}" if is_bucket_place(place) else Path(place) / key


def place_name(place: str | Path) -> str:
    """What people call the model at a place: the name of its folder, or the end of its prefix."""
    return BucketPlace.parse(str(place)).name if is_bucket_place(place) else Path(place).resolve().name

"""Where a model is: a folder, or a prefix of a bucket, ``s3://bucket/prefix``."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

from hotlap.errors import ConfigError

SCHEME = "s3://"

_BUCKET = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]")


def is_s3(model: object) -> bool:
    """Whether a model is meant to be in a bucket, whether its address is right or wrong."""
    return isinstance(model, str) and model.startswith(SCHEME)


@dataclass(frozen=True)
class S3Prefix:
    """Where a model lies in a bucket: all keys that begin with ``prefix/``."""

    bucket: str
    prefix: str

    @classmethod
    def parse(cls, text: str) -> S3Prefix:
        """Read ``s3://bucket/prefix``; a slash at the end means nothing.

        Raises:
            ConfigError: If it is none. A model needs a prefix: the bucket may hold others.
        """
        bucket, _, rest = text.removeprefix(SCHEME).partition("/")
        parts = rest.removesuffix("/").split("/")
        plain = all(part not in ("", ".", "..") and part.isprintable() for part in parts)
        if not is_s3(text) or not _BUCKET.fullmatch(bucket) or not plain:
            raise ConfigError(
                f"{text!r} is no address of a model in a bucket. It must be s3://bucket/prefix, such as "
                "s3://models/first-lap: the bucket's name, and at least one plain name after it."
            )
        return cls(bucket, "/".join(parts))

    @property
    def name(self) -> str:
        """The last part of the prefix."""
        return self.prefix.rpartition("/")[2]

    def __str__(self) -> str:
        return f"{SCHEME}{self.bucket}/{self.prefix}"


def absolute(model: str | Path) -> str:
    """The one name of a model that holds from everywhere: an absolute path, or the address in its bucket."""
    return str(model).rstrip("/") if is_s3(model) else str(Path(model).resolve())


def file_in(model: str | Path, key: str) -> str | Path:
    """Where the file under ``key`` of a model lies."""
    return f"{model}/{key}" if is_s3(model) else Path(model) / key


def model_name(model: str | Path) -> str:
    """What people call a model: the name of its folder, or the end of its prefix."""
    return S3Prefix.parse(str(model)).name if is_s3(model) else Path(model).resolve().name

"""The `Store` in a bucket of an S3-compatible server."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from hotlap.bounded import in_words
from hotlap.errors import ConfigError
from hotlap.records.address import S3Prefix
from hotlap.records.s3_errors import StorageError, Trouble, trouble_of
from hotlap.records.s3_settings import WHERE_CREDENTIALS_STAND, S3Settings, load_settings
from hotlap.records.store import checked_parts, largest

if TYPE_CHECKING:
    from obstore.store import ClientConfig, S3Config, S3Store

MULTIPART_BYTES = 64 << 20  # smaller files go in one piece, which small servers take several times as fast
PART_BYTES = 16 << 20
PARTS_AT_ONCE = 2

# A request may take so long, and longer the more it carries: a megabit per second should do, at half its speed.
REQUEST_S = 20
BYTES_PER_S = 64_000
READ_S = 3600  # for a whole file; a pause of `REQUEST_S` within it ends it sooner

Result = TypeVar("Result")


class Bucket:
    """A `Store` in a bucket: every call is a request, which waits for the server and is tried a few times.

    Args:
        prefix: In the bucket, all that it holds.
        settings: How it is reached; default: `load_settings`.

    Raises:
        ConfigError: If the settings cannot be used.
    """

    def __init__(self, prefix: S3Prefix, settings: S3Settings | None = None) -> None:
        self.prefix = prefix
        self.settings = settings or load_settings()
        self._quick = self._client({"timeout": f"{REQUEST_S}s"})
        self._reader = self._client({"timeout": f"{READ_S}s", "read_timeout": f"{REQUEST_S}s"})

    def __repr__(self) -> str:
        return str(self.prefix)

    def put(self, key: str, data: bytes) -> None:
        from obstore import put

        checked_parts(key, self)
        if len(data) >= MULTIPART_BYTES:
            client = self._client_for(PARTS_AT_ONCE * PART_BYTES)
            options: dict[str, Any] = {"chunk_size": PART_BYTES, "max_concurrency": PARTS_AT_ONCE}
        else:
            client = self._client_for(len(data))
            options = {"use_multipart": False}
        self._call("written", key, lambda: put(client, key, data, **options))

    def create(self, key: str, data: bytes) -> bool:
        """Put an object only if there is none; whether that was so."""
        from obstore import put
        from obstore.exceptions import AlreadyExistsError

        def attempt() -> bool:
            try:
                put(self._quick, key, data, mode="create", use_multipart=False)
            except AlreadyExistsError:
                return False
            return True

        return self._call("written", key, attempt)

    def get(self, key: str) -> bytes:
        from obstore import get

        checked_parts(key, self)
        found = self._call("read", key, lambda: get(self._reader, key))
        size, limit = found.meta["size"], largest(key)
        if size > limit:
            raise StorageError(
                f"{self}/{key} has {in_words(size)}, more than the {in_words(limit)} it may have. Move it away.",
                Trouble("access", "it is too large"),
            )
        return self._call("read", key, lambda: bytes(found.bytes()))

    def exists(self, key: str) -> bool:
        return self.modified(key) is not None

    def modified(self, key: str) -> datetime | None:
        """When the object was last written, by the server's clock; None if it is not there."""
        from obstore import head

        checked_parts(key, self)

        def attempt() -> datetime | None:
            try:
                return head(self._quick, key)["last_modified"]
            except FileNotFoundError:
                return None

        return self._call("looked for", key, attempt)

    def list(self, prefix: str) -> list[str]:
        from obstore import list_with_delimiter

        checked_parts(prefix, self)
        found = self._call("listed", None, lambda: list_with_delimiter(self._quick, prefix))
        return sorted(entry["path"] for entry in found["objects"])

    def all_keys(self) -> Sequence[str]:
        """Sorted keys of all objects, however deep."""
        from obstore import list as list_all

        found = self._call("listed", None, lambda: list_all(self._quick).collect())
        return sorted(entry["path"] for entry in found)

    def delete(self, key: str) -> None:
        self.delete_all([key])

    def delete_all(self, keys: Sequence[str]) -> None:
        """Remove objects; silent about those that are not there."""
        from obstore import delete

        for key in keys:
            checked_parts(key, self)

        def attempt() -> None:
            with contextlib.suppress(FileNotFoundError):
                delete(self._quick, list(keys))

        if keys:
            self._call("removed", keys[0], attempt)

    def check(self) -> Sequence[str]:
        """All keys; to be asked first, for what is wrong with the settings shows here.

        Raises:
            ConfigError: If credentials, bucket or settings must be mended.
            StorageError: If the server does not answer.
        """
        try:
            return self.all_keys()
        except StorageError as error:
            trouble = error.trouble
        where = f"{self.prefix} at {self.settings.server}"
        if trouble.kind == "bucket":
            raise ConfigError(
                f"{where}: {trouble.text}. Make the bucket {self.prefix.bucket!r}, or check its name and the endpoint "
                "(AWS_ENDPOINT_URL)."
            )
        if trouble.kind == "access":
            raise ConfigError(
                f"{where} cannot be used: {trouble.text}. Credentials are taken from {self.settings.source}. "
                f"{WHERE_CREDENTIALS_STAND}"
            )
        raise StorageError(
            f"{where} cannot be reached: {trouble.text}. A model in a bucket needs it at the beginning; once a "
            "training runs, it goes on without. Check the endpoint (AWS_ENDPOINT_URL), or train into a folder.",
            trouble,
        )

    def _call(self, deed: str, key: str | None, attempt: Callable[[], Result]) -> Result:
        """The result of a request, or our error, which says that ``key`` (or None: the whole) could not be … ."""
        from obstore.exceptions import BaseError

        try:
            return attempt()
        except (BaseError, OSError, ValueError, NotImplementedError) as error:
            trouble = trouble_of(error)
        # Outside of the handler: the library's error must not hang on ours, nor be printed with it.
        name = f"{self}/{key}" if key else str(self)
        if trouble.kind == "missing":
            raise StorageError(
                f"{name} does not exist. Check the model's address, or make the file by training there first.", trouble
            )
        raise StorageError(f"{name} could not be {deed}: {trouble.text}.", trouble)

    def _client_for(self, num_bytes: int) -> S3Store:
        """A client whose requests may carry so many bytes."""
        if num_bytes <= BYTES_PER_S:
            return self._quick
        return self._client({"timeout": f"{REQUEST_S + num_bytes // BYTES_PER_S}s"})

    def _client(self, options: ClientConfig) -> S3Store:
        from obstore.store import S3Store

        settings = self.settings
        config: S3Config = {"region": settings.region, "disable_bulk_delete": True}
        if settings.endpoint:
            config["aws_endpoint_url_s3"] = settings.endpoint
            options["allow_http"] = settings.endpoint.startswith("http:")
        if settings.ca_bundle:
            options["root_certificate"] = settings.ca_bundle
        try:
            return S3Store(
                self.prefix.bucket,
                prefix=self.prefix.prefix,
                config=config,
                client_options=options,
                credential_provider=settings.provider,
                retry_config={
                    "max_retries": 2,
                    "retry_timeout": timedelta(seconds=REQUEST_S),
                    "backoff": {"init_backoff": timedelta(milliseconds=100), "max_backoff": timedelta(seconds=1)},
                },
            )
        except Exception as error:
            kind = type(error).__name__
        raise ConfigError(
            f"the settings for {self.prefix} at {settings.server} cannot be used ({kind}). Check the AWS_ variables of "
            "the environment."
        )

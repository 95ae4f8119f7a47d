"""How buckets are reached: endpoint, region and credentials from where every AWS tool looks for them.

Keys are read here, from the environment or a profile; the roles of machines and containers are left to obstore, and
profiles that are more than keys to boto3. Nothing of it is ever written anywhere.
"""

from __future__ import annotations

import configparser
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from hotlap.errors import ConfigError, MissingExtraError

if TYPE_CHECKING:
    from obstore.store import S3Credential, S3CredentialProvider

DEFAULT_REGION = "us-east-1"
WHERE_CREDENTIALS_STAND = (
    "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE for a profile of ~/.aws/credentials "
    "(`aws configure` writes one)."
)

_KEYS_LIVE = timedelta(minutes=10)  # then files are read again: session keys in them are renewed by other tools
_KEYS = ("aws_access_key_id", "aws_secret_access_key")
# A profile with one of these gets its keys from somewhere else: by a role, a program, a browser.
_DYNAMIC = (
    "credential_process",
    "credential_source",
    "login_session",
    "role_arn",
    "source_profile",
    "sso_session",
    "sso_start_url",
    "web_identity_token_file",
)
_ROLES = (
    "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
    "AWS_CONTAINER_CREDENTIALS_FULL_URI",
    "AWS_WEB_IDENTITY_TOKEN_FILE",
)


@dataclass(frozen=True)
class S3Settings:
    """Where the server is and how it knows us. Holds no credentials, only who can tell them."""

    endpoint: str | None
    """None: Amazon's own."""

    region: str

    source: str
    """Where the credentials come from, in words."""

    provider: S3CredentialProvider | None = field(repr=False)
    """None: obstore asks the machine for its role."""

    ca_bundle: str | None = field(default=None, repr=False)
    """Certificates that are trusted beside the system's, PEM."""

    @property
    def server(self) -> str:
        """The server in words."""
        return self.endpoint or f"Amazon S3 in {self.region}"


def load_settings() -> S3Settings:
    """Look for everything where it usually stands.

    Raises:
        ConfigError: If what stands there cannot be used, or there are no credentials.
        MissingExtraError: If a profile needs more than files.
    """
    env = {name: value for name, value in os.environ.items() if value}
    profile = _Profile.load(env)
    source, provider = _credentials(env, profile)
    return S3Settings(
        endpoint=_endpoint(env, profile),
        region=env.get("AWS_REGION") or env.get("AWS_DEFAULT_REGION") or profile.values.get("region") or DEFAULT_REGION,
        source=source,
        provider=provider,
        ca_bundle=_ca_bundle(env.get("AWS_CA_BUNDLE") or profile.values.get("ca_bundle")),
    )


@dataclass(frozen=True)
class _Profile:
    """What the files say of one profile; the credentials file counts more."""

    name: str
    values: dict[str, str] = field(repr=False)
    source: str
    """Where it stands, in words."""

    @classmethod
    def load(cls, env: Mapping[str, str]) -> _Profile:
        home = Path(env.get("HOME") or Path.home())
        credentials_file = Path(env.get("AWS_SHARED_CREDENTIALS_FILE") or home / ".aws" / "credentials").expanduser()
        config_file = Path(env.get("AWS_CONFIG_FILE") or home / ".aws" / "config").expanduser()
        credentials, config = _sections(credentials_file), _sections(config_file)
        given = env.get("AWS_PROFILE") or env.get("AWS_DEFAULT_PROFILE")
        name = given or "default"
        in_config = config.get(f"profile {name}") or config.get(name, {} if name == "default" else None)
        if given and name not in credentials and in_config is None:
            raise ConfigError(
                f"AWS_PROFILE names the profile {name!r}, which stands neither in {credentials_file} nor in "
                f"{config_file}. Correct the variable, or make the profile with `aws configure --profile {name}`."
            )
        values = (in_config or {}) | credentials.get(name, {})
        # What its services section says of S3, in indented lines, counts more.
        for line in config.get(f"services {values.get('services')}", {}).get("s3", "").splitlines():
            key, _, value = line.partition("=")
            values |= {key.strip(): value.strip()} if key.strip() == "endpoint_url" else {}
        return cls(name, values, f"profile [{name}] in {credentials_file if name in credentials else config_file}")


def _credentials(env: Mapping[str, str], profile: _Profile) -> tuple[str, S3CredentialProvider | None]:
    """Where the credentials come from, and who tells them."""
    first, second = (name.upper() for name in _KEYS)
    if _both(env, first, second, "the environment"):
        return f"the environment variables {first} and {second}", _Keys(
            lambda: {name.lower(): value for name, value in env.items()}
        )
    if _both(profile.values, *_KEYS, profile.source):
        return profile.source, _Keys(lambda: _Profile.load(env).values)
    if found := [name for name in _DYNAMIC if name in profile.values]:
        return profile.source, _through_boto3(profile, found[0])
    if not any(env.get(name) for name in _ROLES) and env.get("AWS_EC2_METADATA_DISABLED", "").lower() == "true":
        raise ConfigError(f"there are no credentials for buckets. {WHERE_CREDENTIALS_STAND}")
    return "the role of this machine", None


def _both(values: Mapping[str, str], first: str, second: str, source: str) -> bool:
    """Whether both are there; one alone is an error."""
    there = [name for name in (first, second) if values.get(name)]
    if len(there) == 1:
        missing = first if there[0] == second else second
        raise ConfigError(f"{there[0]} is set in {source}, but not {missing}. Set both.")
    return bool(there)


class _Keys:
    """Tells fixed keys, read anew from time to time; what cannot be read any more stays as it was."""

    def __init__(self, read: Callable[[], Mapping[str, str]]) -> None:
        self._read = read
        self._last = read()

    def __call__(self) -> S3Credential:
        try:
            found = self._read()
        except ConfigError:
            found = self._last
        self._last = found if all(map(found.get, _KEYS)) else self._last
        return {
            "access_key_id": self._last["aws_access_key_id"],
            "secret_access_key": self._last["aws_secret_access_key"],
            "token": self._last.get("aws_session_token"),
            "expires_at": datetime.now(UTC) + _KEYS_LIVE,
        }


def _through_boto3(profile: _Profile, key: str) -> S3CredentialProvider:
    """The AWS library itself for profiles that are more than keys."""
    try:
        import boto3
        from obstore.auth.boto3 import Boto3CredentialProvider
    except ImportError:
        raise MissingExtraError("boto3", "aws", f"The setting {key} of {profile.source}") from None
    try:
        return Boto3CredentialProvider(boto3.Session(profile_name=profile.name))
    except Exception as error:  # whatever it is, its text may hold what a program printed
        kind = type(error).__name__
    raise ConfigError(
        f"{profile.source} gives no credentials through its {key} ({kind}). Try `aws sts get-caller-identity --profile "
        f"{profile.name}` to see why."
    )


def _endpoint(env: Mapping[str, str], profile: _Profile) -> str | None:
    """The server's address; None for Amazon's."""
    found = {name: env.get(name) for name in ("AWS_ENDPOINT_URL_S3", "AWS_ENDPOINT_URL")}
    found[f"endpoint_url of {profile.source}"] = profile.values.get("endpoint_url")
    source, text = next(((source, text) for source, text in found.items() if text), ("", ""))
    if not text:
        return None
    try:
        parts = urlsplit(text)
        good = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
        plain = not (parts.username or parts.password or parts.query or parts.fragment)
    except ValueError:
        good = plain = False
    if not (good and plain):
        # Without the text: people put passwords into addresses.
        raise ConfigError(
            f"{source} is no address of an S3 server. It must be http://host:port or https://host, with nothing before "
            "the host's name and nothing after a path; credentials do not belong into it."
        )
    return text.rstrip("/")


def _ca_bundle(file: str | None) -> str | None:
    if not file:
        return None
    try:
        return Path(file).expanduser().read_text()
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"the certificates of AWS_CA_BUNDLE, {file}, could not be read ({error}). Name a readable PEM file, or "
            "unset it."
        ) from None


def _sections(file: Path) -> dict[str, dict[str, str]]:
    """The sections of a file of AWS's; none if there is no such file."""
    parser = configparser.RawConfigParser(strict=False)
    try:
        text = file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return {}
    except (OSError, ValueError):
        raise ConfigError(f"{file} could not be read. Check its permissions, and that it is text.") from None
    try:
        parser.read_string(text)
        return {" ".join(name.split()): dict(parser.items(name)) for name in parser.sections()}
    except configparser.Error as error:
        # Without its text, which quotes the line.
        line = getattr(error, "lineno", None) or (getattr(error, "errors", None) or [(None,)])[0][0]
    raise ConfigError(
        f"{file}{f', line {line}' if line else ''}: this is no file of profiles. It needs lines like [default] and "
        "aws_access_key_id = …"
    )

"""What went wrong with a bucket, in our words.

The libraries' own texts are dropped: they hold requests, addresses and answers of the server, in which there may be
keys.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

from hotlap.errors import RecordError

Kind = Literal["missing", "access", "bucket", "away"]
"""``missing``: the object is not there. ``access``: credentials or settings must be mended. ``bucket``: there is no
such bucket. ``away``: the server may answer later."""


@dataclass(frozen=True)
class Trouble:
    """Why a request failed."""

    kind: Kind
    text: str


class StorageError(RecordError):
    """A bucket could not be read or written."""

    def __init__(self, message: str, trouble: Trouble) -> None:
        super().__init__(message, trouble)

    @property
    def trouble(self) -> Trouble:
        found: Trouble = self.args[1]
        return found

    def __str__(self) -> str:
        return str(self.args[0])


_CODES: dict[str, Trouble] = {
    "NoSuchBucket": Trouble("bucket", "there is no such bucket"),
    "NoSuchKey": Trouble("missing", "there is no such file"),
    "SignatureDoesNotMatch": Trouble("access", "the secret key is wrong"),
    "InvalidAccessKeyId": Trouble("access", "the server does not know the access key"),
    "InvalidToken": Trouble("access", "the session token is not valid"),
    "ExpiredToken": Trouble("access", "the session token has expired"),
    "AccessDenied": Trouble("access", "these credentials do not permit it"),
    "AllAccessDisabled": Trouble("access", "access to this bucket is switched off"),
    "RequestTimeTooSkewed": Trouble("access", "the clock of this machine is wrong by more than 15 minutes"),
    "AuthorizationHeaderMalformed": Trouble("access", "the region is another one (AWS_REGION)"),
    "PermanentRedirect": Trouble("access", "the bucket is in another region (AWS_REGION) or at another endpoint"),
    "InvalidBucketName": Trouble("bucket", "the server does not permit such a name of a bucket"),
    "QuotaExceeded": Trouble("away", "the storage is full"),
    "SlowDown": Trouble("away", "the server asks for fewer requests"),
    "EntityTooLarge": Trouble("away", "the server takes no file of this size"),
}
_STATUSES: dict[int, Trouble] = {
    301: _CODES["PermanentRedirect"],
    401: Trouble("access", "the server does not know these credentials"),
    403: Trouble("access", "the server refuses these credentials"),
    404: _CODES["NoSuchKey"],
    413: _CODES["EntityTooLarge"],
    507: _CODES["QuotaExceeded"],
}

# Words in the library's description of a connection that failed, the most telling first.
_CONNECTION = (
    ("169.254.169.254", Trouble("access", "there are no credentials")),
    ("dns error", Trouble("away", "the server's name is not known")),
    ("ConnectionRefused", Trouble("away", "nothing answers there (connection refused)")),
    ("certificate", Trouble("away", "the server's certificate is not trusted (AWS_CA_BUNDLE)")),
    ("BadScheme", Trouble("access", "the endpoint's address cannot be used")),
    ("redirect without LOCATION", _CODES["PermanentRedirect"]),
    ("NetworkUnreachable", Trouble("away", "there is no way to the server (network unreachable)")),
    ("HostUnreachable", Trouble("away", "there is no way to the server (host unreachable)")),
    ("Timeout", Trouble("away", "no answer in time")),
    ("TimedOut", Trouble("away", "no answer in time")),
    ("Connect", Trouble("away", "no connection")),
)


def trouble_of(error: Exception) -> Trouble:
    """What an exception of obstore means."""
    from obstore.exceptions import UnauthenticatedError

    text = str(error)
    status = re.search(r"status code: (\d{3})", text)
    code = re.search(r"<Code>(\w{1,60})</Code>", text)
    if code and code[1] in _CODES:
        known = _CODES[code[1]]
        return Trouble(known.kind, f"{known.text} ({code[1]})")
    for words, trouble in _CONNECTION:
        if words in text and not (status and words in ("Timeout", "Connect")):
            return trouble
    if status:
        number = int(status[1])
        named = f"{number} {code[1]}" if code else str(number)
        trouble = _STATUSES.get(number, Trouble("away", "the server failed"))
        return trouble if trouble.kind == "missing" else Trouble(trouble.kind, f"{trouble.text} ({named})")
    if isinstance(error, UnauthenticatedError):
        return Trouble("access", "there are no credentials any more")
    if isinstance(error, FileNotFoundError):
        return _CODES["NoSuchKey"]
    return Trouble("away", "the connection broke")

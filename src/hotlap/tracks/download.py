"""Get files from an address: bounded, patient with connections that break, and only over http and https."""

from __future__ import annotations

import base64
import http.client
import io
import time
import urllib.error
import urllib.parse
import urllib.request
from email.message import Message
from typing import IO, Any, BinaryIO, Final

from hotlap.backoff import pauses
from hotlap.bounded import in_words, told
from hotlap.errors import TrackError

MAX_REDIRECTS: Final = 5
_CHUNK: Final = 1 << 16
LONGEST_PAUSE_S: Final = 30.0
_SLOWEST: Final = 1024  # bytes/s, after a minute
_BUSY: Final = (408, 425, 429, 500, 502, 503, 504)


class NotThereError(TrackError):
    """The server answers, but has no such file."""


class UnreachableError(TrackError):
    """There is no way to the server."""


class Downloader:
    """Downloads files from one server.

    A connection that breaks is tried again after a pause that doubles each time, and goes on where it broke if the
    server can. A server that never answered is not waited for: then there is probably no network.

    Args:
        tries: How often one file is asked for.
        first_pause: Before the second try [s].
        timeout: For a silent server [s].
    """

    def __init__(
        self,
        *,
        tries: int = 5,
        first_pause: float = 1.0,
        timeout: float = 20.0,
    ) -> None:
        self.tries = tries
        self.first_pause = first_pause
        self.timeout = timeout
        self.reached = False
        self._opener = urllib.request.OpenerDirector()
        # Not by build_opener(), which would also open files of this machine and FTP servers.
        for handler in (
            urllib.request.ProxyHandler(),
            urllib.request.HTTPHandler(),
            urllib.request.HTTPSHandler(),
            urllib.request.HTTPDefaultErrorHandler(),
            urllib.request.HTTPErrorProcessor(),
            _Redirects(),
        ):
            self._opener.add_handler(handler)

    def get(self, address: str, limit: int) -> bytes:
        """The bytes of a small file; arguments and errors as for ``save``."""
        file = io.BytesIO()
        self.save(address, file, limit)
        return file.getvalue()

    def save(self, address: str, file: BinaryIO, limit: int) -> None:
        """Write a file of at most ``limit`` bytes into ``file``, which is empty.

        Raises:
            NotThereError: If the server has no such file.
            UnreachableError: If the server cannot be reached.
            TrackError: If the file is too large, or does not come whole.
        """
        part = _Part(file, limit, shown(address))
        waits = pauses(self.first_pause, LONGEST_PAUSE_S)
        for number in range(1, self.tries + 1):
            try:
                self._try(address, part)
                return
            except (NotThereError, UnreachableError):
                raise
            except (OSError, http.client.HTTPException) as error:
                reason = _reason(error)
            if number < self.tries:
                time.sleep(next(waits))
        raise TrackError(
            f"{part.shown}: the file did not come whole in {self.tries} tries ({reason}). Run the same command again "
            "later; what is here already is not fetched again."
        )

    def _try(self, address: str, part: _Part) -> None:
        try:
            request = _request(address)
            for name, value in part.wish().items():
                request.add_unredirected_header(name, value)
            answer = self._opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as error:
            self.reached = True
            with error:
                if error.code in _BUSY or error.code == 416:
                    part.restart()
                    raise ConnectionError(f"the server says {error.code}") from None
                if error.code in (404, 410):
                    raise NotThereError(f"{part.shown}: the server has no such file ({error.code}).") from None
                raise TrackError(
                    f"{part.shown}: the server refuses ({error.code} {told(Exception(error.reason))}). Check the "
                    "address and what it asks for."
                ) from None
        except urllib.error.URLError as error:
            if self.reached:
                raise ConnectionError(_reason(error)) from None
            raise UnreachableError(f"{part.shown} cannot be reached ({_reason(error)}).") from None
        except ValueError as error:  # http.client's InvalidURL and UnicodeError of names among them
            raise TrackError(
                f"{part.shown}: this is no address that can be asked ({told(error)}). Expected http:// or https://."
            ) from None
        self.reached = True
        with answer:
            part.fill(answer)


class _Part:
    """What has come of a file."""

    def __init__(self, file: BinaryIO, limit: int, shown: str) -> None:
        self.file = file
        self.limit = limit
        self.shown = shown
        self.size = 0
        self.mark: str | None = None
        """By which the server knows whether its file is still the same."""

    def restart(self) -> None:
        self.file.seek(0)
        self.file.truncate()
        self.size, self.mark = 0, None

    def wish(self) -> dict[str, str]:
        """Headers that ask for the rest."""
        if not (self.size and self.mark):
            return {}
        return {"Range": f"bytes={self.size}-", "If-Range": self.mark}

    def fill(self, answer: Any) -> None:
        """Take what comes; a `ConnectionError` if that is not all."""
        headers: Message = answer.headers
        goes_on = answer.status == 206 and headers.get("Content-Range", "").startswith(f"bytes {self.size}-")
        if not goes_on:
            self.restart()
        etag = headers.get("ETag", "")
        self.mark = etag if etag and not etag.startswith("W/") else headers.get("Last-Modified")
        if answer.status == 206 and not goes_on:
            self.mark = None
            raise ConnectionError("the server sent another part than was asked for")
        length = headers.get("Content-Length", "")
        whole = self.size + int(length) if length.isdecimal() and len(length) < 16 else None
        self._check(whole or 0)
        begin, before = time.monotonic(), self.size
        while chunk := answer.read1(_CHUNK):
            self.size += len(chunk)
            self._check(self.size)
            self.file.write(chunk)
            if time.monotonic() - begin > 60 + (self.size - before) / _SLOWEST:
                raise ConnectionError("the server sends too slowly")
        if whole is not None and self.size < whole:
            raise ConnectionError(f"the connection broke off after {self.size} of {whole} bytes")

    def _check(self, size: int) -> None:
        if size > self.limit:
            raise TrackError(
                f"{self.shown}: the file has {in_words(size)} or more, more than the {in_words(self.limit)} that it "
                "may have. Check the address."
            )


class _Redirects(urllib.request.HTTPRedirectHandler):
    max_redirections = MAX_REDIRECTS
    max_repeats = 2

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        scheme = urllib.parse.urlsplit(newurl).scheme
        if scheme not in ("http", "https") or (req.type == "https" and scheme == "http"):
            raise TrackError(
                f"{shown(req.full_url)}: the server sends on to {shown(newurl)}, which is less safe than what was "
                "asked for. Give that address as the source if you trust it."
            )
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def shown(address: str) -> str:
    """An address without what may be a secret in it, for messages and records."""
    parts = urllib.parse.urlsplit(address)
    place = parts.netloc.rpartition("@")[2]
    return ascii(urllib.parse.urlunsplit((parts.scheme, place, parts.path, "", "")))[1:-1]


def _request(address: str) -> urllib.request.Request:
    from hotlap import __version__

    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise ValueError(f"it begins with {parts.scheme}:")
    login, _, place = parts.netloc.rpartition("@")
    path = urllib.parse.quote(parts.path, safe="/%:@+,;=~!$&'()*")
    request = urllib.request.Request(urllib.parse.urlunsplit((parts.scheme, place, path, parts.query, "")))
    request.add_header("User-Agent", f"hotlap/{__version__}")
    if login:  # not to be passed on to wherever the server sends on
        secret = base64.b64encode(urllib.parse.unquote(login).encode()).decode()
        request.add_unredirected_header("Authorization", f"Basic {secret}")
    return request


def _reason(error: BaseException) -> str:
    inner = getattr(error, "reason", None)
    cause = inner if isinstance(inner, BaseException) else error
    return told(Exception(getattr(cause, "strerror", None) or cause)) or type(cause).__name__

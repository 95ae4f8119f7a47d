"""Errors of foreign libraries in one short line, without what nobody may read."""

from __future__ import annotations

import os
import re

MAX_LENGTH = 200

_IN_ADDRESS = re.compile(r"//[^/@\s]+@")
_SECRET = re.compile(r"KEY|SECRET|TOKEN|PASSWORD|CREDENTIAL|SESSION")


def plain(error: BaseException) -> str:
    """The kind of an error and what it says, shortened; secrets of the environment and of addresses are taken out."""
    text = " ".join(str(error).split())
    for name, value in os.environ.items():
        if len(value) >= 8 and _SECRET.search(name.upper()):
            text = text.replace(value, "…")
    text = _IN_ADDRESS.sub("//…@", text)
    text = text if len(text) <= MAX_LENGTH else text[: MAX_LENGTH - 1] + "…"
    kind = type(error).__name__
    return f"{kind}: {text.rstrip('.')}" if text else kind

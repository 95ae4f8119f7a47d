"""The folder that a benchmark leaves its results in."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from hotlap.errors import RecordError


@contextmanager
def results_folder(out: Path) -> Iterator[None]:
    """Make the folder, for a block that writes into it.

    Raises:
        RecordError: If something there cannot be written.
    """
    try:
        out.mkdir(parents=True, exist_ok=True)
        yield
    except OSError as error:
        raise RecordError(
            f"{error.filename or out}: the results cannot be written ({error.strerror}). "
            "Give another folder with --out."
        ) from None

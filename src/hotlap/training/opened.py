"""What is opened before it runs, and closed after it, by itself or in a ``with`` statement."""

from __future__ import annotations

from contextlib import ExitStack
from types import TracebackType
from typing import Self


class Opened:
    """Holds what `open` takes, until `close` or the end of a ``with`` statement gives it back."""

    _held: ExitStack | None = None

    def open(self) -> Self:
        """Take all that is needed, and keep it in ``_held``."""
        raise NotImplementedError

    def close(self) -> None:
        """Give it back; nothing happens if nothing is held."""
        self.__exit__(None, None, None)

    def __enter__(self) -> Self:
        return self if self._held else self.open()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.__exit__(kind, error, trace)

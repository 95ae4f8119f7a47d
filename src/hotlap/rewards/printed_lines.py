"""Let reward functions write a few lines, and count the others."""

from __future__ import annotations

import contextlib
from typing import Any, Final

from hotlap.rewards.running import in_user_code, place

MAX_LINES: Final = 100
MAX_LINE: Final = 1000  # characters


class PrintedLines:
    """What user code has written in this process since `forget`."""

    def __init__(self) -> None:
        self.limit = MAX_LINES
        """How many lines are shown."""
        self.forget()
        self._writing = False  # one stream may write by another

    def forget(self) -> None:
        """Count from zero."""
        self.written = 0
        """All lines."""
        self.where = ""
        """Where it writes most."""
        self._shown = self._column = 0  # lines; characters of the line that is being written

    def count(self, stream: Any) -> None:
        """Let a stream write only so much of what user code gives it, whoever holds the stream."""
        write = stream.write
        if getattr(write, "counts", False):
            return

        def counted(text: str) -> int:
            if self._writing or not isinstance(text, str) or not in_user_code():
                return int(write(text) or 0)
            self._writing = True
            self.written += text.count("\n")
            try:
                if not self.where:
                    self.where = place()
                if shown := self._within_limits(text):
                    write(shown)
            finally:
                self._writing = False
            return len(text)

        counted.counts = True  # type: ignore[attr-defined]
        with contextlib.suppress(AttributeError, TypeError):  # a stream of somebody's own that takes no attributes
            stream.write = counted

    def _within_limits(self, text: str) -> str:
        """What is shown of a text; counts it."""
        shown = []
        for part in text.splitlines(keepends=True):
            if self._shown > self.limit:
                break
            if self._shown == self.limit:
                self._shown += 1
                self.where = place()
                shown.append(
                    f"[The reward function has written {self.limit} lines here, the last at {self.where}; what it "
                    "writes from now on is not shown.]\n"
                )
                break
            line = part.rstrip("\r\n")
            room = max(MAX_LINE - self._column, 0)
            shown.append(line[:room] + ("…" if room and len(line) > room else ""))
            self._column += len(line)
            if line != part:  # it ends here
                shown.append(part[len(line) :])
                self._shown, self._column = self._shown + 1, 0
        return "".join(shown)


printed_lines = PrintedLines()

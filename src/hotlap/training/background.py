"""Something that is done beside the training, such as bringing a checkpoint to the disk."""

from __future__ import annotations

import threading
from collections.abc import Callable


class Background:
    """Does one thing at a time on a thread of its own."""

    def __init__(self) -> None:
        self._thread: threading.Thread | None = None
        self._error: BaseException | None = None

    @property
    def busy(self) -> bool:
        """Whether something was begun that nobody has waited for."""
        return self._thread is not None

    def start(self, work: Callable[[], object]) -> None:
        """Begin with ``work`` as soon as what was begun before is done; raises what that raised."""
        self.wait()
        self._thread = threading.Thread(target=self._do, args=(work,), name="hotlap-background")
        self._thread.start()

    def wait(self) -> None:
        """Wait for what was begun last; raises what it raised, once."""
        if self._thread is not None:
            self._thread.join()
            self._thread = None
        error, self._error = self._error, None
        if error is not None:
            raise error

    def _do(self, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException as error:
            self._error = error

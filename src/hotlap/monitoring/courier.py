"""Brings news to a sink on a thread of its own, so that no server can stop or slow a training.

What waits is bounded: when a sink takes nothing for long, the oldest news are dropped and counted. What a sink refuses
is tried again with growing pauses. One line is told when it begins to refuse, one when it takes news again, and one
when some are left over in the end.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Sequence

from hotlap.backoff import pauses
from hotlap.monitoring.discretion import plain
from hotlap.monitoring.sink import Beginning, News, Sink

MAX_WAITING = 20_000  # records and lines
MAX_TOGETHER = 200  # news in one call of a sink
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.5, 30.0


class Courier:
    """Owns a sink from now on.

    Args:
        sink: Who is told.
        training: Of whom.
        tell: Is told in one line when something is wrong, from the thread.
    """

    def __init__(self, sink: Sink, training: Beginning, tell: Callable[[str], None]) -> None:
        self.sink = sink
        self._training = training
        self._tell = tell
        self._waiting: deque[News] = deque()
        self._size = 0
        self._num_taken = 0  # at the front of those that wait: the sink is being told of them
        self._num_lost = 0
        self._refusing = False
        self._deadline: float | None = None  # of the end
        self._change = threading.Condition()
        self._thread = threading.Thread(target=self._run, name=f"hotlap: {sink.name}", daemon=True)
        self._thread.start()

    def put(self, news: News) -> None:
        """Let the sink know of something, soon."""
        with self._change:
            self._waiting.append(news)
            self._size += news.size
            while self._size > MAX_WAITING and len(self._waiting) > self._num_taken + 1:
                self._size -= self._waiting[self._num_taken].size
                del self._waiting[self._num_taken]
                self._num_lost += 1
            self._change.notify()

    def end(self, deadline: float) -> None:
        """Nothing comes any more; try no longer than until ``deadline`` (`time.monotonic`)."""
        with self._change:
            self._deadline = deadline
            self._change.notify()

    def join(self) -> None:
        """Wait until everything is delivered, or the deadline of `end` is over."""
        assert self._deadline is not None
        self._thread.join(max(0.0, self._deadline - time.monotonic()))
        with self._change:
            left = len(self._waiting) + self._num_lost
            self._waiting.clear()
            self._num_taken = 0
        if left:
            self._tell(
                f"{self.sink.name} was not told everything: {left} reports are lost. The model's files have all."
            )
        elif self._thread.is_alive():
            self._tell(f"{self.sink.name} does not come to an end; it is left alone.")

    def _run(self) -> None:
        if not self._until_it_works(lambda: self.sink.begin(self._training)):
            return
        while (news := self._next()) is not None:
            if not self._until_it_works(lambda news=news: self.sink.send(news)):  # type: ignore[misc]
                return
            with self._change:
                for _ in range(self._num_taken):
                    self._size -= self._waiting.popleft().size
                self._num_taken = 0
        self._until_it_works(self.sink.end)

    def _next(self) -> Sequence[News] | None:
        """What waits, once there is something; None in the end."""
        with self._change:
            while not self._waiting:
                if self._deadline is not None:
                    return None
                self._change.wait()
            self._num_taken = min(len(self._waiting), MAX_TOGETHER)
            return [self._waiting[k] for k in range(self._num_taken)]

    def _until_it_works(self, act: Callable[[], None]) -> bool:
        """Try until it works; False if the end came before."""
        waits = pauses(FIRST_PAUSE_S, LONGEST_PAUSE_S)
        while True:
            try:
                act()
            except Exception as error:  # a foreign library's, of any kind: the training goes on whatever it is
                if not self._refusing:
                    self._tell(
                        f"{self.sink.name} takes nothing: {plain(error)}. It is tried again; nothing waits for it."
                    )
                self._refusing = True
            else:
                if self._refusing:
                    lost = f" {self._num_lost} reports are lost." if self._num_lost else ""
                    self._tell(f"{self.sink.name} takes what it is told again.{lost}")
                    self._num_lost = 0
                self._refusing = False
                return True
            pause = next(waits)
            with self._change:
                if self._deadline is None:
                    self._change.wait(pause)
                left = pause if self._deadline is None else self._deadline - time.monotonic()
            if left <= 0:
                return False
            if self._deadline is not None:
                time.sleep(min(FIRST_PAUSE_S, left))

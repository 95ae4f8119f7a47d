"""What happens in many worlds at once, written down step by step, and read episode by episode."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

_FIRST_ROWS = 256  # room for so many steps at first


class Transcript:
    """Columns that grow by a row with each step of all worlds; an episode is a stretch of a world's column.

    What is small is copied into one array per column, so are observations that are rows of numbers. Pictures stay in
    the arrays they came in until the episode is read.

    Args:
        num_worlds: How many worlds.
    """

    def __init__(self, num_worlds: int) -> None:
        self.num_worlds = num_worlds
        self._begin = np.zeros(num_worlds, dtype=np.int64)  # row of the first step of each world's episode
        self._end = 0  # row of the next step
        self._columns: dict[str, np.ndarray] = {}
        self._numbers: dict[str, np.ndarray] = {}  # columns, too, of sensors
        self._seen: list[tuple[np.ndarray, Mapping[str, np.ndarray]]] = []  # by whom and which pictures, from row ...
        self._first_seen = 0

    def begin(self, worlds: np.ndarray) -> None:
        """Episodes begin in these worlds with the next step; what was there before is forgotten."""
        self._begin[worlds] = self._end

    def num_steps(self, worlds: np.ndarray) -> np.ndarray:
        """Steps of the episodes in these worlds, which have played in every step since they began."""
        return self._end - self._begin[worlds]

    def write(
        self, worlds: np.ndarray, columns: Mapping[str, np.ndarray], obs: Mapping[str, np.ndarray] | None = None
    ) -> None:
        """Add a step of all episodes that are being played.

        Args:
            worlds: Their worlds in ascending order, (n,).
            columns: By name, (n, …); the same names, types and shapes in every step.
            obs: What was seen before it, by sensor, (n, …); pictures are not copied. In every step or in none.
        """
        oldest = int(self._begin[worlds].min())
        pictures = {sensor: seen for sensor, seen in (obs or {}).items() if seen.ndim > 2}
        numbers = {sensor: seen for sensor, seen in (obs or {}).items() if seen.ndim == 2}
        if self._end == len(next(iter(self._columns.values()), ())):
            self._make_room(oldest, columns, numbers)
            oldest = 0
        for name, values in columns.items():
            self._columns[name][self._end, worlds] = values
        for sensor, values in numbers.items():
            self._numbers[sensor][self._end, worlds] = values
        if pictures:
            del self._seen[: oldest - self._first_seen]
            self._first_seen = oldest
            self._seen.append((worlds, pictures))
        self._end += 1

    def read(self, world: int) -> dict[str, np.ndarray]:
        """The columns of the episode in a world, (num_steps, …); copies."""
        rows = slice(self._begin[world], self._end)
        return {name: column[rows, world].copy() for name, column in self._columns.items()}

    def observations(self, world: int, steps: np.ndarray) -> dict[str, np.ndarray]:
        """What was seen before some steps of the episode in a world, counted from 0: by sensor, (n, …); copies."""
        rows = self._begin[world] + steps
        numbers = {sensor: column[rows, world] for sensor, column in self._numbers.items()}
        if not self._seen:
            return numbers
        rows -= self._first_seen
        seen = [(int(np.searchsorted(worlds, world)), obs) for worlds, obs in (self._seen[row] for row in rows)]
        return numbers | {sensor: np.stack([obs[sensor][k] for k, obs in seen]) for sensor in seen[0][1]}

    def _make_room(self, oldest: int, columns: Mapping[str, np.ndarray], numbers: Mapping[str, np.ndarray]) -> None:
        """Forget the rows before ``oldest``, and have room for as many again as remain."""
        kept = self._end - oldest
        for kept_in, added in ((self._columns, columns), (self._numbers, numbers)):
            for name, values in added.items():
                room = np.zeros((max(2 * kept, _FIRST_ROWS), self.num_worlds, *values.shape[1:]), dtype=values.dtype)
                if kept:
                    room[:kept] = kept_in[name][oldest : self._end]
                kept_in[name] = room
        del self._seen[: oldest - self._first_seen]
        self._first_seen = 0
        self._begin -= oldest
        self._end = kept

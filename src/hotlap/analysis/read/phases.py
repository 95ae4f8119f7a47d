"""Early and late: parts of a training that figures set beside each other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hotlap.records.events import IterationRecord
from hotlap.records.steps import Steps

_SHARE = 0.2
_LEAST = 20  # episodes in each part, if there are so many


def early_and_late(num: int) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the first and the last fifth of ``num`` things in order, at least twenty of each where that is possible.

    They overlap only where there are fewer than two things.
    """
    size, here = _size(num), np.arange(num)
    return here < size, here >= num - size


def phase_names(num: int) -> tuple[str, str]:
    """What to call these parts of ``num`` episodes: ``first 24 episodes`` and ``last 24 episodes``."""
    size = _size(num)
    early, late = (f"{which} {size} episodes" if size != 1 else f"{which} episode" for which in ("first", "last"))
    return early, late


def num_episodes(steps: Steps) -> int:
    """How many episodes these steps belong to."""
    nth = _nth_episode(steps)
    return int(nth[-1]) + 1 if len(nth) else 0


def steps_early_and_late(steps: Steps) -> tuple[np.ndarray, np.ndarray]:
    """Masks of the steps in the first and the last episodes; see `early_and_late`."""
    early, late = early_and_late(num_episodes(steps))
    nth = _nth_episode(steps)
    return early[nth], late[nth]


def _nth_episode(steps: Steps) -> np.ndarray:
    """Which of the episodes that are here each step belongs to, from 0."""
    return np.cumsum(np.diff(steps.episode, prepend=steps.episode[:1]) != 0)


def _size(num: int) -> int:
    return min(max(round(_SHARE * num), min(_LEAST, num // 2), 1), num)


def first_number(records: Sequence[IterationRecord]) -> int:
    """Number of the first iteration of a run: that of the checkpoint it made. Traces count iterations from 0."""
    return records[0].number - records[0].iteration if records else 1


def bins_of(values: np.ndarray, max_bins: int) -> tuple[np.ndarray, np.ndarray]:
    """Cut a range of whole numbers into at most so many equal bins.

    Returns:
        The bin of each value, and the edges of the bins between the numbers, such as -0.5, 0.5, 1.5.
    """
    low, high = (int(values.min()), int(values.max())) if len(values) else (0, 0)
    width = -(-(high - low + 1) // max_bins)
    num_bins = -(-(high - low + 1) // width)
    return (values - low) // width, low - 0.5 + width * np.arange(num_bins + 1)

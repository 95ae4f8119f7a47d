"""Recorded episodes that a reward function is tried on."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Episode:
    """The steps of one episode, in order, that the reward function is asked about."""

    name: str
    """What is driven, such as "a good lap"."""
    ending: str
    """Status of the last step, such as "off_track"."""
    columns: dict[str, np.ndarray]
    """Rows for `hotlap.rewards.params.RewardParams`."""

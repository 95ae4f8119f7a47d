"""What a policy's action means to the car: steering [deg] and speed [m/s]."""

from __future__ import annotations

import numpy as np

from hotlap.config.metadata import ContinuousActionSpace, DiscreteActionSpace


class ActionDecoder:
    """Turns actions into commands.

    Discrete actions are indices into the list of the model metadata. Continuous ones are (steering, speed) in [-1, 1],
    clipped there and mapped linearly onto the metadata's ranges.
    """

    def __init__(self, space: DiscreteActionSpace | ContinuousActionSpace) -> None:
        self.space = space
        if isinstance(space, DiscreteActionSpace):
            self._table = np.array([(action.steering_angle, action.speed) for action in space.actions])
        else:
            ranges = (space.steering_angle, space.speed)
            self._low = np.array([limits.low for limits in ranges])
            self._high = np.array([limits.high for limits in ranges])

    @property
    def num_actions(self) -> int | None:
        """Number of discrete actions; None for a continuous space."""
        return len(self._table) if isinstance(self.space, DiscreteActionSpace) else None

    def commands(self, actions: np.ndarray) -> np.ndarray:
        """Steering [deg, left positive] and speed [m/s], shape (…, 2), of ``actions`` (…) int or (…, 2) float.

        Raises:
            IndexError: If there is no action of that number.
        """
        if isinstance(self.space, DiscreteActionSpace):
            # A negative one would count from the end of the list.
            if actions.size and (actions.min() < 0 or actions.max() >= len(self._table)):
                wrong = actions[(actions < 0) | (actions >= len(self._table))][0]
                raise IndexError(f"action must be from 0 to {len(self._table) - 1}, got {wrong}")
            return self._table[actions]
        share = (np.clip(actions, -1.0, 1.0) + 1.0) / 2.0
        return self._low + share * (self._high - self._low)

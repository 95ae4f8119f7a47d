"""What a car makes of an action: shares of full lock and full throttle, not degrees and meters per second.

Source: deepracer_navigation_pkg, `deepracer_navigation_node.py`; formulas in `docs/car.md`.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hotlap.config.metadata import ContinuousActionSpace, DiscreteActionSpace, ModelMetadata

_HALF_SPEED_THROTTLE: Final = 0.8  # of half the largest speed; the largest gives 1


def car_commands(metadata: ModelMetadata, output: np.ndarray) -> tuple[float, float]:
    """Steering and throttle for one output row of the policy.

    Args:
        metadata: Of the model on the car.
        output: Probabilities of the actions, or means in the [-1, 1] scaling (steering, speed).

    Returns:
        Steering in [-1, 1], left positive, as a share of full lock; throttle in [-1, 1], before the driver's own limit.
    """
    space = metadata.action_space
    if isinstance(space, DiscreteActionSpace):
        action = space.actions[int(np.argmax(output))]
        return _steering(space, action.steering_angle), _throttle(space, action.speed)
    steering, speed = (
        limits.low + (float(np.clip(value, -1.0, 1.0)) + 1.0) * 0.5 * (limits.high - limits.low)
        for value, limits in zip(output, (space.steering_angle, space.speed), strict=True)
    )
    return _steering(space, steering), _throttle(space, speed)


def largest_angle(space: DiscreteActionSpace | ContinuousActionSpace) -> float:
    """The steering angle [degrees] that becomes full lock; 0 or less: the car cannot steer with this action space."""
    if isinstance(space, DiscreteActionSpace):
        return max(abs(action.steering_angle) for action in space.actions)
    return space.steering_angle.high


def largest_speed(space: DiscreteActionSpace | ContinuousActionSpace) -> float:
    """The speed [m/s] that becomes full throttle."""
    if isinstance(space, DiscreteActionSpace):
        return max(action.speed for action in space.actions)
    return space.speed.high


def car_doubts(metadata: ModelMetadata) -> list[str]:
    """Where this model drives a car otherwise than in the simulator, beyond what is so with all models."""
    space = metadata.action_space
    doubts = []
    if largest_angle(space) <= 0:
        doubts.append(
            "No action steers to either side, and the car divides by the largest angle: it will not drive with this "
            "action space."
        )
    elif isinstance(space, ContinuousActionSpace) and space.steering_angle.low != -space.steering_angle.high:
        doubts.append(
            f"steering_angle goes from {space.steering_angle.low:g} to {space.steering_angle.high:g} degrees; the car "
            f"divides both by {space.steering_angle.high:g} and cuts at full lock, so the two sides steer differently."
        )
    if largest_speed(space) <= 0:
        doubts.append("No action has a speed above 0, and the car divides by the largest: it will not drive.")
    return doubts


def _steering(space: DiscreteActionSpace | ContinuousActionSpace, angle: float) -> float:
    return float(np.clip(angle / largest_angle(space), -1.0, 1.0))


def _throttle(space: DiscreteActionSpace | ContinuousActionSpace, speed: float) -> float:
    """A parabola through (0, 0), (half the largest speed, 0.8) and (the largest speed, 1)."""
    largest = largest_speed(space)
    square = (2.0 - 4.0 * _HALF_SPEED_THROTTLE) / largest**2
    linear = (4.0 * _HALF_SPEED_THROTTLE - 1.0) / largest
    return float(np.clip(square * speed**2 + linear * speed, -1.0, 1.0))

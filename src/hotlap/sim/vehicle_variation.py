"""Small differences between episodes, as large as those between runs of the original simulator.

Two episodes of the original with the same actions from the same start drift apart, by centimeters after half a second.
Three things are varied to reproduce how far, and how fast:

- the friction of an episode's car, along and across the wheels: the drift in position, in every acceleration;
- how unevenly its left and right wheels hold: the drift in heading, which is there on straights too, from the start;
- the length of each step. Recorded clocks wander around the regular 1/15 s without leaving it (a long step is followed
  by a short one, correlation -0.5), so the moments of the frames are jittered, not the durations: nothing adds up.

At ``scale`` 1 the median distances between two episodes, n steps after the start, agree with recorded ones to a third:

==== ============================== ===============================
 n   version 5                      version 4
==== ============================== ===============================
 5   0.015 m, 1.4 deg               0.024 m, 2.2 deg
 8   0.032 m, 1.9 deg               0.046 m, 2.8 deg
10   0.051 m, 2.4 deg               0.080 m, 3.1 deg
==== ============================== ===============================
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import no_type_check

import numpy as np
import warp as wp

from hotlap.deepracer.driving import CONTROL_PERIOD
from hotlap.sim.vehicle import VehicleParams, vehicle_constants

FRAME_JITTER = 0.0084  # [s] standard deviation of the moment of a frame: 12 ms in the difference of two, as recorded
_CLIP = 2.5  # standard deviations; keeps a step between 25 and 109 ms


@dataclass(frozen=True)
class Variation:
    """Standard deviations between episodes, as shares."""

    friction: float
    friction_bias: float


DIRECT_VARIATION = Variation(friction=0.055, friction_bias=0.08)
"""For cars whose wheels and steering go where they are told (version 5 and later)."""

EFFORT_VARIATION = Variation(friction=0.07, friction_bias=0.17)
"""For cars driven by torques (up to version 4), which the original repeats less well."""


def sample_vehicle_params(params: VehicleParams, rng: np.random.Generator, *, scale: float = 1.0) -> VehicleParams:
    """The car of one episode: ``params`` with small random differences.

    Args:
        params: The nominal car.
        rng: Where the randomness of the episode comes from; the same number of draws at every scale.
        scale: How large the differences are: 0 none at all, 1 those between runs of the original.
    """
    variation = EFFORT_VARIATION if params.effort_driven else DIRECT_VARIATION
    along, across, bias = scale * np.clip(rng.standard_normal(3), -_CLIP, _CLIP)
    if scale == 0.0:
        return params
    return replace(
        params,
        long_friction_mps2=params.long_friction_mps2 * float(np.exp(variation.friction * along)),
        lat_friction_mps2=params.lat_friction_mps2 * float(np.exp(variation.friction * across)),
        friction_bias=params.friction_bias + variation.friction_bias * float(bias),
    )


def sample_vehicle(params: VehicleParams, rng: np.random.Generator, *, scale: float = 1.0) -> np.ndarray:
    """Like :func:`sample_vehicle_params`, as one row of ``VehicleConstants`` (shape ())."""
    return vehicle_constants(sample_vehicle_params(params, rng, scale=scale))


@wp.func
@no_type_check
def frame_delay(seed: wp.uint32, frame: int) -> float:
    """How much later than regular [s] the given frame of an episode comes."""
    state = wp.rand_init(wp.int32(seed), frame)
    return FRAME_JITTER * wp.clamp(wp.randn(state), -_CLIP, _CLIP)


@wp.func
@no_type_check
def step_period(seed: wp.uint32, step: int) -> float:
    """Duration [s] of one control step of an episode; exactly 1/15 s where ``seed`` is 0.

    The seed is the episode's own, so its steps do not depend on the worlds beside it.
    """
    if seed == wp.uint32(0):
        return CONTROL_PERIOD
    return CONTROL_PERIOD + frame_delay(seed, step + 1) - frame_delay(seed, step)

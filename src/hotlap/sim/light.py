"""The lights of a world: the sun, and a lamp high over its origin.

Almost every world of the original has just these two, and an ambient light; domain randomization draws their colors
anew in every episode. Source: DeepRacer simapp, ``bundle/worlds``, ``markov/domain_randomizations/visual``.
"""

from __future__ import annotations

from typing import no_type_check

import numpy as np
import warp as wp

AMBIENT = wp.constant(0.5)
SUN_FROM = wp.constant(wp.vec3(*(np.array([0.5, -0.1, 0.9]) / np.sqrt(0.5**2 + 0.1**2 + 0.9**2))))
"""Direction to the sun."""
LAMP_HEIGHT = 15.0  # [m] over the origin of the world


@wp.struct
class Light:
    """Red, green and blue that the lights give to a surface that faces them: the sun, and the lamp from up there."""

    sun: wp.vec3
    lamp: wp.vec3


# Warp turns the class into its own struct type, which type checkers cannot see.
LIGHT_DTYPE = np.dtype(Light.numpy_dtype())  # type: ignore[attr-defined]


def _light(sun: np.ndarray, lamp: np.ndarray, constant: float, linear: float, quadratic: float) -> np.ndarray:
    """One row of ``Light`` (shape ()), the lamp's color as it is after its attenuation on the way down."""
    row: np.ndarray = np.zeros((), dtype=LIGHT_DTYPE)
    row["sun"] = sun
    row["lamp"] = lamp / max(constant + linear * LAMP_HEIGHT + quadratic * LAMP_HEIGHT**2, 1e-6)
    return row


DAYLIGHT = _light(np.array([1.0, 1.0, 0.8]), np.full(3, 0.225), 0.4, 0.01, 0.0)
"""The lights as they are without domain randomization."""


def sample_light(rng: np.random.Generator) -> np.ndarray:
    """The lights of an episode with domain randomization: colors and attenuation anywhere between 0 and 1."""
    sun, lamp = rng.uniform(size=(2, 3))
    return _light(sun, lamp, *rng.uniform(size=3))


@wp.func
@no_type_check
def brightness(light: Light, normal: wp.vec3, to_lamp: wp.vec3) -> wp.vec3:
    """Share of its color that a surface shows, each channel at most 1: light saturates.

    Args:
        light: Of the world.
        normal: Of the surface.
        to_lamp: Direction to the lamp; straight up will do for what lies flat, or stands far from anything to compare.
    """
    share = AMBIENT * wp.vec3(1.0, 1.0, 1.0)
    share += wp.max(wp.dot(normal, SUN_FROM), 0.0) * light.sun + wp.max(wp.dot(normal, to_lamp), 0.0) * light.lamp
    return wp.min(share, wp.vec3(1.0, 1.0, 1.0))

"""How cars look to people: an open racing car with four wheels, as long and as wide as the DeepRacer car.

Measures from the DeepRacer simapp, ``bundle/urdf/deepracer``; the shape is our own.
"""

from __future__ import annotations

from functools import cache

from hotlap.film.mesh import Mesh, Section, box, join, loft, wheel
from hotlap.tracks.themes import RGB

WHEEL_RADIUS, WHEEL_WIDTH = 0.036, 0.034  # [m]
HALF_LENGTH, HALF_WIDTH = 0.16, 0.094  # [m] of what is over the ground
AXLES = (-0.0817, 0.0823)
"""The rear axle and the front one, ahead of the middle of the car [m]."""
WHEEL_Y = 0.080  # [m] from the car's axis

_WHITE: RGB = (255, 255, 255)
_TIRE: RGB = (24, 24, 26)
_RIM: RGB = (150, 154, 160)
_TRIM: RGB = (34, 35, 40)
_GLASS: RGB = (16, 22, 32)
_STRIPE: RGB = (240, 240, 236)


@cache
def car_paint() -> Mesh:
    """All that has the color of the car, in white."""
    hull = loft(
        [
            Section(-0.158, 0.034, 0.048, 0.082),
            Section(-0.150, 0.044, 0.036, 0.094),
            Section(-0.105, 0.048, 0.026, 0.104),
            Section(-0.052, 0.072, 0.022, 0.100),
            Section(-0.020, 0.080, 0.022, 0.090),
            Section(0.022, 0.074, 0.022, 0.080),
            Section(0.050, 0.050, 0.024, 0.074),
            Section(0.100, 0.036, 0.026, 0.066),
            Section(0.145, 0.027, 0.030, 0.054),
            Section(0.164, 0.016, 0.034, 0.046),
        ],
        _WHITE,
        gloss=0.55,
    )
    fin = loft(
        [Section(-0.140, 0.006, 0.08, 0.104), Section(-0.100, 0.009, 0.08, 0.128), Section(-0.055, 0.012, 0.08, 0.134)],
        _WHITE,
        gloss=0.55,
    )
    plates = [
        box((-0.168, -0.122), 0.003, (0.090, 0.146), _WHITE, gloss=0.4).moved(0.0, y, 0.0) for y in (-0.088, 0.088)
    ]
    return join(hull, fin, *plates)


@cache
def car_trim() -> Mesh:
    """The rest of the car except its wheels, in its own colors."""
    floor = loft(
        [
            Section(-0.150, 0.060, 0.018, 0.030),
            Section(0.040, 0.084, 0.018, 0.030),
            Section(0.060, 0.060, 0.018, 0.030),
        ],
        _TRIM,
        gloss=0.1,
        roundness=0.3,
    )
    cockpit = loft(
        [
            Section(-0.058, 0.016, 0.090, 0.126),
            Section(-0.040, 0.030, 0.080, 0.130),
            Section(-0.010, 0.033, 0.070, 0.122),
            Section(0.022, 0.027, 0.065, 0.102),
            Section(0.046, 0.012, 0.060, 0.080),
        ],
        _GLASS,
        gloss=0.9,
    )
    stripe = loft(
        [
            Section(0.030, 0.011, 0.050, 0.0805),
            Section(0.050, 0.011, 0.050, 0.0760),
            Section(0.100, 0.010, 0.050, 0.0680),
            Section(0.145, 0.009, 0.040, 0.0560),
            Section(0.163, 0.008, 0.036, 0.0480),
        ],
        _STRIPE,
        gloss=0.4,
        roundness=0.2,
    )
    wings = [
        box((-0.166, -0.126), 0.088, (0.134, 0.140), _TRIM, gloss=0.3),
        box((-0.152, -0.140), 0.020, (0.080, 0.134), _TRIM),
        box((0.138, 0.172), 0.088, (0.022, 0.028), _TRIM, gloss=0.3),
    ]
    axles = [box((x - 0.006, x + 0.006), WHEEL_Y, (0.031, 0.041), _TRIM) for x in AXLES]
    eye = [
        box((0.092, 0.100), 0.006, (0.060, 0.112), _TRIM),
        box((0.090, 0.114), 0.020, (0.108, 0.132), _TRIM, gloss=0.3),
    ]
    return join(floor, cockpit, stripe, *wings, *axles, *eye)


@cache
def car_wheel() -> Mesh:
    """A wheel that stands on the ground at the origin."""
    return wheel(WHEEL_RADIUS, WHEEL_WIDTH, _TIRE, _RIM).moved(0.0, 0.0, WHEEL_RADIUS)

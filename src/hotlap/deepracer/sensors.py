"""What a car may see: the sensors' names in model_metadata.json, and the shape of what each gives.

Source: DeepRacer simapp, ``markov/architecture/constants.py`` and ``markov/sensors``.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from hotlap.deepracer.state_values import STATE, STATE_VALUES, VISIBLE, VISIBLE_STATE

FRAME_HEIGHT: Final = 120  # [pixels]
FRAME_WIDTH: Final = 160  # [pixels]

CAMERA_CHANNELS: Final = {"observation": 1, "FRONT_FACING_CAMERA": 1, "LEFT_CAMERA": 1, "STEREO_CAMERAS": 2}
"""Channels of each camera; those of stereo are left, right."""

LIDAR_RAYS: Final = 64
LIDAR_SECTORS: Final = 8
LIDAR_VALUES_PER_SECTOR: Final = 8  # distances told apart in each sector of the discretized one
LIDAR_RANGE: Final = (0.15, 12.0)  # [m]

CAMERAS: Final = tuple(CAMERA_CHANNELS)
SIMULATED: Final = ("observation", "FRONT_FACING_CAMERA", "LEFT_CAMERA")
"""Those of the original that hotlap simulates."""
OWN_SHAPES: Final[dict[str, tuple[int, ...]]] = {}
"""Shape of one observation of each sensor that somebody has added."""
FRONT_CAMERA: Final = "FRONT_FACING_CAMERA"
"""The usual one."""
STEREO: Final = "STEREO_CAMERAS"
LIDARS: Final = ("LIDAR", "SECTOR_LIDAR", "DISCRETIZED_SECTOR_LIDAR")


def observation_shapes(sensors: Iterable[str]) -> dict[str, tuple[int, ...]]:
    """Shape of one observation of each sensor.

    Cameras are uint8 (channels, height, width); LiDAR types are float32 vectors.

    Args:
        sensors: Names as in model_metadata.json.

    Raises:
        ValueError: If a sensor is unknown.
    """
    lidar_sizes = dict(zip(LIDARS, (LIDAR_RAYS, LIDAR_SECTORS, LIDAR_SECTORS * LIDAR_VALUES_PER_SECTOR), strict=True))
    shapes: dict[str, tuple[int, ...]] = {}
    for sensor in sensors:
        if sensor in CAMERA_CHANNELS:
            shapes[sensor] = (CAMERA_CHANNELS[sensor], FRAME_HEIGHT, FRAME_WIDTH)
        elif sensor in lidar_sizes:
            shapes[sensor] = (lidar_sizes[sensor],)
        elif sensor == STATE:
            shapes[sensor] = (len(STATE_VALUES),)
        elif sensor == VISIBLE_STATE:
            shapes[sensor] = (len(VISIBLE),)
        elif sensor in OWN_SHAPES:
            shapes[sensor] = OWN_SHAPES[sensor]
        else:
            raise ValueError(f"unknown sensor {sensor!r}; known: {', '.join([*CAMERAS, *LIDARS])}")
    return shapes

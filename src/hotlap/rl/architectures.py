"""The table of networks: which layers look at which sensor.

Source: DeepRacer simapp, `markov/architecture/` and `rl_coach/architectures/tensorflow_components/`.
"""

from __future__ import annotations

from dataclasses import dataclass

from hotlap.deepracer.metadata_names import DENSE, NETWORKS, SHALLOW
from hotlap.deepracer.sensors import STEREO

PIXEL_MAX = 255.0


@dataclass(frozen=True)
class Conv:
    """A convolution without padding, followed by ReLU."""

    filters: int
    kernel: int
    stride: int


@dataclass(frozen=True)
class CameraLayers:
    """Layers of a camera embedder: convolutions, then dense layers with ReLU over the channels of each pixel."""

    convs: tuple[Conv, ...]
    pixel_dense: tuple[int, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """One row of the table of networks."""

    camera: CameraLayers
    stereo: CameraLayers
    middleware: tuple[int, ...]


_SHALLOW_CAMERA = CameraLayers((Conv(32, 8, 4), Conv(64, 4, 2), Conv(64, 3, 1)))
_DEEP_STEREO = CameraLayers((Conv(32, 3, 1), Conv(64, 3, 2), Conv(64, 3, 1), Conv(128, 3, 2), Conv(128, 3, 1)))

ARCHITECTURES = {
    SHALLOW: Architecture(
        camera=_SHALLOW_CAMERA,
        stereo=_SHALLOW_CAMERA,
        middleware=(512,),
    ),
    NETWORKS[1]: Architecture(
        camera=CameraLayers((Conv(32, 5, 2), Conv(32, 3, 1), Conv(64, 3, 2), Conv(64, 3, 1)), (64,)),
        stereo=_DEEP_STEREO,
        middleware=(512,),
    ),
    NETWORKS[2]: Architecture(
        camera=CameraLayers((Conv(32, 8, 4), Conv(32, 4, 2), Conv(64, 4, 2), Conv(64, 3, 1)), (512, 512)),
        stereo=_DEEP_STEREO,
        middleware=(256, 128),
    ),
}
_LIDAR_EMBEDDER = (256, 256)
_DENSE_EMBEDDER = (128, 128)


def vector_layers(network: str) -> tuple[int, ...]:
    """Units of the dense layers that look at a sensor without pixels."""
    return _DENSE_EMBEDDER if network == DENSE else _LIDAR_EMBEDDER


def middleware_layers(network: str) -> tuple[int, ...]:
    """Units of the dense layers on all embedded sensors; in the dense network the heads stand on the embedders."""
    return () if network == DENSE else ARCHITECTURES[network].middleware


def camera_layers(network: str, sensor: str) -> CameraLayers:
    """Layers that look at a camera-type sensor. The version-1 sensor has the shallow ones in every network."""
    if sensor == "observation":
        return _SHALLOW_CAMERA
    architecture = ARCHITECTURES[network]
    return architecture.stereo if sensor == STEREO else architecture.camera

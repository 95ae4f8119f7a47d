"""Episodes on their way between machines: camera frames compressed, to the byte the same when they arrive.

On one machine frames lie in shared memory and nothing is packed. docs/scaling.md says on which links packing pays.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from types import ModuleType

import numpy as np

from hotlap.errors import MissingExtraError
from hotlap.rollouts.worker import PlayedEpisode

LEVEL = 1  # of Zstandard; higher ones take several times as long for a twentieth less


@dataclass(frozen=True)
class PackedFrames:
    """The frames of a camera in an episode."""

    data: np.ndarray
    """Compressed, uint8; an array and not `bytes`, because Ray sends arrays without copying them."""
    shape: tuple[int, ...]


@dataclass(frozen=True)
class PackedEpisode:
    """A played episode without its frames, and the frames."""

    rest: PlayedEpisode
    frames: dict[str, PackedFrames]
    """By name of the sensor."""


def pack(episode: PlayedEpisode) -> PackedEpisode:
    """Compress the camera frames (uint8) of an episode; everything else travels as it is.

    Raises:
        MissingExtraError: If zstandard is not installed.
    """
    experience = episode.experience
    if experience is None:
        return PackedEpisode(episode, {})
    cameras = {name: values for name, values in experience.obs.items() if values.dtype == np.uint8}
    frames = {name: PackedFrames(compressed(values), values.shape) for name, values in cameras.items()}
    without = {name: np.empty((len(values), 0), dtype=np.uint8) for name, values in cameras.items()}
    rest = replace(episode, experience=replace(experience, obs=experience.obs | without))
    return PackedEpisode(rest, frames)


def unpack(episode: PlayedEpisode | PackedEpisode) -> PlayedEpisode:
    """The episode that was packed; one that was not is given back as it is. Its frames are not writable.

    Raises:
        MissingExtraError: If zstandard is not installed.
    """
    if isinstance(episode, PlayedEpisode):
        return episode
    experience = episode.rest.experience
    if experience is None:
        return episode.rest
    frames = {name: decompressed(packed.data).reshape(packed.shape) for name, packed in episode.frames.items()}
    return replace(episode.rest, experience=replace(experience, obs=experience.obs | frames))


def compressed(values: np.ndarray) -> np.ndarray:
    """The bytes of an array, compressed, uint8 (n,)."""
    return np.frombuffer(_zstandard().ZstdCompressor(level=LEVEL).compress(np.ascontiguousarray(values)), np.uint8)


def decompressed(data: np.ndarray) -> np.ndarray:
    """What `compressed` was given, uint8 (n,)."""
    return np.frombuffer(_zstandard().ZstdDecompressor().decompress(data), np.uint8)


def _zstandard() -> ModuleType:
    try:
        import zstandard
    except ImportError:
        raise MissingExtraError("zstandard", "cluster", "Sending episodes between machines") from None
    return zstandard

"""Images to compare two policies on: noise of two kinds, and what a camera takes on a track."""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
import warp as wp

from hotlap.deepracer.sensors import FRAME_HEIGHT, FRAME_WIDTH
from hotlap.export.preprocessing import REDUCTION
from hotlap.sim.camera import DEEPRACER_CAMERA, CameraRenderer, PinholeCamera
from hotlap.tracks.catalog import load_track
from hotlap.tracks.ground import Ground, bake_ground

TRACK: Final = "first_lap"
_OFFSETS: Final = (0.0, 0.25, -0.25)  # [m] left of the center line
_TURNS: Final = (0.0, 0.3, -0.3, 0.6, -0.6)  # [rad] left of its direction


def noise_frames(num_channels: int, num_images: int, *, seed: int = 0) -> np.ndarray:
    """Half white noise, half smooth noise, dark and bright: uint8, (num_images, num_channels, 120, 160)."""
    from scipy.ndimage import gaussian_filter  # only who compares policies waits for it

    rng = np.random.default_rng(seed)
    shape = (num_images, num_channels, FRAME_HEIGHT, FRAME_WIDTH)
    frames = rng.integers(0, 256, shape, dtype=np.uint8)
    num_smooth = num_images // 2
    waves = gaussian_filter(rng.standard_normal((num_smooth, *shape[1:])), (0, 0, 6, 6))
    brightness = rng.uniform(40, 216, (num_smooth, 1, 1, 1))
    frames[:num_smooth] = np.clip(1000 * waves + brightness, 0, 255)
    return frames


def track_frames(num_frames: int) -> tuple[np.ndarray, np.ndarray]:
    """What a camera takes all around a track, sometimes off its middle or turned, in two forms.

    Returns:
        Full pictures, RGB, uint8, (num_frames, 480, 640, 3); and what our simulator shows a policy from the same
        poses, grey, uint8, (num_frames, 120, 160).
    """
    track = load_track(TRACK)
    ground = bake_ground(track)
    x, y, yaw = track.pose_at(np.arange(num_frames) * track.length / num_frames)
    offset, turn = (np.resize(cycle, num_frames) for cycle in (_OFFSETS, _TURNS))
    poses = np.stack([x - offset * np.sin(yaw), y + offset * np.cos(yaw), yaw + turn], axis=1)
    full = replace(DEEPRACER_CAMERA, width=REDUCTION * FRAME_WIDTH, height=REDUCTION * FRAME_HEIGHT)
    return _render(ground, full, poses, color=True), _render(ground, DEEPRACER_CAMERA, poses, color=False)


def _render(ground: Ground, camera: PinholeCamera, poses: np.ndarray, *, color: bool) -> np.ndarray:
    num_frames = len(poses)
    renderer = CameraRenderer([ground], camera, num_frames, "cpu", color=color)
    frames = wp.zeros(renderer.image_shape, dtype=wp.uint8, device="cpu")
    world = wp.zeros(num_frames, dtype=wp.int32, device="cpu")
    active = wp.full((num_frames, 1), 1, dtype=wp.int32, device="cpu")
    renderer.render(wp.array(poses[:, None], dtype=wp.vec3, device="cpu"), world, active, frames)
    return frames.numpy().copy()

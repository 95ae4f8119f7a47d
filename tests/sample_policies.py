"""Policies whose outputs are neither all alike nor saturated, and images for them."""

from __future__ import annotations

import numpy as np
import torch

from hotlap.deepracer.sensors import observation_shapes
from hotlap.export.sample_frames import noise_frames
from hotlap.rl.networks import Tower
from hotlap.rl.specs import ActionSpec, ContinuousActions, DiscreteActions

STEER_AND_SPEED = ContinuousActions(low=(-30.0, 0.5), high=(30.0, 3.0))


def frames(num_images: int = 8, *, num_channels: int = 1, seed: int = 0) -> np.ndarray:
    """uint8 (num_images, num_channels, 120, 160)."""
    return noise_frames(num_channels, num_images, seed=seed)


def make_policy(network: str, actions: ActionSpec, *, sensor: str = "FRONT_FACING_CAMERA", seed: int = 0) -> Tower:
    """A tower with random weights whose logits differ by 2 from image to image, or whose means differ by 0.7."""
    generator = torch.Generator().manual_seed(seed)
    shapes = observation_shapes([sensor])
    tower = Tower(network, shapes, actions=actions, generator=generator)
    with torch.no_grad():
        for name, parameter in tower.named_parameters():
            if name.endswith(".bias"):
                parameter.normal_(std=0.05, generator=generator)
            elif name.endswith(".weight"):
                parameter.mul_(2**0.5)  # Glorot's weights make all images alike, layer by layer
        head = tower.head.logits if isinstance(actions, DiscreteActions) else tower.head.mean
        outputs = head(features(tower, frames(16, num_channels=shapes[sensor][0], seed=99)))
        factor = (2.0 if isinstance(actions, DiscreteActions) else 0.7) / float((outputs - outputs.mean(0)).std())
        head.bias.copy_((head.bias - outputs.mean(0)) * factor)
        head.weight.mul_(factor)
    return tower


def features(tower: Tower, images: np.ndarray) -> torch.Tensor:
    """What the head of a tower reads, float32 (num_images, size)."""
    sensor = tower.sensors[0]
    with torch.no_grad():
        packed = tower.pack({sensor: torch.from_numpy(images)})
        return tower.middleware(tower.embedder[sensor](packed[sensor], torch.float32), torch.float32)

"""Pictures as another camera would take them: mounted a little askew, dirty, out of focus, in other light, noisy.

What becomes of a picture follows from numbers that belong to it, whichever pictures are changed along with it.
Pictures are grey or have any channels, all of which are changed alike; colored light is the simulator's affair.
"""

from __future__ import annotations

from collections.abc import Collection
from functools import cache
from math import radians

import torch
import torch.nn.functional as F
from torch import Tensor

from hotlap.deepracer.sensors import STEREO

MAX_ROLL = radians(3.0)
MAX_ZOOM = 0.04
MAX_SHIFT = 0.03  # of the picture: of the usual camera, 5 pixels or 2.2 degrees of yaw, 1.6 of pitch
DIRTY = 0.5  # share of the pictures that something covers
DIRT_SIZE = (0.05, 0.3)  # of the picture, in each direction
MAX_BLUR = 2 / 3  # share that neighbors have in a pixel; at 2/3 all three count alike
BLUR_REACH = 2  # [pixels] to these neighbors
MAX_EXPOSURE = 0.4  # as a logarithm: from two thirds of the light to one and a half times as much
MAX_BEND = 0.6  # of the curve from dark to bright; below 1 it always rises, as a gamma does
MAX_SLOPE = 0.25  # how much brighter a side of the picture is than its middle
MAX_OFFSET = 25.0  # [gray levels]
MAX_NOISE = 8.0  # [gray levels] standard deviation


def _mount(images: Tensor, numbers: Tensor) -> Tensor:
    """The camera rolled, yawed and pitched a little, with another focal length."""
    height, width = images.shape[2:]
    roll, zoom, right, down = (2 * numbers - 1).flatten(2)
    x, y = (_middles(size, images.device) for size in (width, height))
    turn = torch.polar(1 + MAX_ZOOM * zoom, MAX_ROLL * roll)[..., None]
    # Complex numbers, x + iy in half widths, so that one sum over all pixels makes both coordinates.
    of_columns = turn * x + torch.complex(2 * MAX_SHIFT * right, 2 * MAX_SHIFT * height / width * down)[..., None]
    of_rows = turn * torch.complex(torch.zeros_like(y), y * (height / width))[:, None]
    for each in (of_columns, of_rows):
        each.imag *= width / height
    grid = torch.view_as_real(of_columns + of_rows)
    return F.grid_sample(images, grid, padding_mode="border", align_corners=False)


def _middles(size: int, device: torch.device) -> Tensor:
    """Where pixels are between the edges of the picture, at -1 and 1."""
    return (2 * torch.arange(size, device=device) + 1) / size - 1


def _cover(images: Tensor, numbers: Tensor) -> Tensor:
    """A rectangle in one gray, on some of the pictures."""
    there, rows, columns, top, left, gray = numbers
    smallest, largest = DIRT_SIZE

    def inside(pixels: int, size: Tensor, begin: Tensor) -> Tensor:
        size = smallest + (largest - smallest) * size
        begin = 2 * begin * (1 - size) - 1
        places = _middles(pixels, images.device)
        return ((places >= begin) & (places < begin + 2 * size)).float()

    height, width = images.shape[2:]
    dirt = inside(height, rows, top).mT * inside(width, columns, left) * (there < DIRTY)
    return images.lerp_(255 * gray, dirt)


def _blur(images: Tensor, numbers: Tensor) -> Tensor:
    """Pixels mixed with their neighbors, but for the rim."""
    for axis in (2, 3):
        size = images.shape[axis] - 2 * BLUR_REACH
        before, pixels, after = (images.narrow(axis, k * BLUR_REACH, size) for k in range(3))
        pixels.lerp_((before + after).mul_(0.5), MAX_BLUR * numbers[0])
    return images


def _light(images: Tensor, numbers: Tensor) -> Tensor:
    """Another exposure, another curve from dark to bright, and light that is brighter on one side."""
    exposure, bend, across, upright, offset = 2 * numbers - 1
    y, x = (_middles(size, images.device) for size in images.shape[2:])
    gain = (MAX_EXPOSURE * exposure).exp()
    curve = torch.addcmul(1 + MAX_BEND * bend, images, -MAX_BEND / 255 * bend)
    images.mul_(gain * (1 + MAX_SLOPE * across * x) + gain * MAX_SLOPE * upright * y[:, None])
    return torch.addcmul(MAX_OFFSET * offset, images, curve, out=images)


def _noise(images: Tensor, numbers: Tensor) -> Tensor:
    """Normal noise of each pixel, cut out of a long strip, as drawing it anew would cost much more."""
    size = images[0].numel()
    strip = _strip(size, images.device)
    starts = (numbers[1].flatten() * (len(strip) - size)).long()
    return images.addcmul_(strip.unfold(0, size, 1)[starts].view_as(images), MAX_NOISE * numbers[0])


@cache
def _strip(size: int, device: torch.device) -> Tensor:
    return torch.randn(8 * size, generator=torch.Generator().manual_seed(0)).to(device)


_CHANGES = {
    "mounting": (_mount, 4),
    "dirt": (_cover, 6),
    "blur": (_blur, 1),
    "light": (_light, 5),
    "noise": (_noise, 2),
}
"""In the order in which light meets them on its way; each with how many numbers it takes."""
KINDS = tuple(_CHANGES)
NUM_NUMBERS = sum(number for _, number in _CHANGES.values())
"""How many each picture takes; the last one chooses the noise."""


def changed(pictures: Tensor, numbers: Tensor, kinds: Collection[str] = KINDS) -> Tensor:
    """Change pictures at random.

    Args:
        pictures: uint8, shape (n, channels, height, width); left as they are.
        numbers: Uniform in [0, 1), shape (n, NUM_NUMBERS). They say how strong each change is.
        kinds: Which of `KINDS`.

    Returns:
        Of the same shape, uint8.
    """
    images = pictures.to(torch.float32, copy=True)
    of_kinds = numbers.T[..., None, None, None].split([number for _, number in _CHANGES.values()])
    for (kind, (change, _)), own in zip(_CHANGES.items(), of_kinds, strict=True):
        if kind in kinds:
            images = change(images, own)
    return images.clamp_(0, 255).to(torch.uint8)


def mirrored(sensor: str, pictures: Tensor) -> Tensor:
    """What a sensor would show if left were right; of two cameras side by side the other one takes it."""
    return pictures.flip(1, 3) if sensor == STEREO else pictures.flip(3)


def is_picture(obs: Tensor) -> bool:
    """Whether a batch of observations is pictures, and not numbers."""
    return obs.dtype == torch.uint8 and obs.ndim == 4

"""Pictures as another camera would take them."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from torch import Tensor

from hotlap.config.job import Disturbance
from hotlap.deepracer.sensors import FRONT_CAMERA, STEREO
from hotlap.rl.pictures import KINDS, NUM_NUMBERS, changed, mirrored


@pytest.fixture
def pictures() -> Tensor:
    """Soft waves, as neighboring pixels of the real ones are alike, too."""
    y, x = torch.meshgrid(torch.arange(40), torch.arange(64), indexing="ij")
    waves = [125 + 60 * torch.sin(0.1 * (k + 1) * x) + 60 * torch.cos(0.2 * y + k) for k in range(12)]
    return torch.stack(waves).to(torch.uint8).unflatten(0, (6, 2))


@pytest.fixture
def numbers() -> Tensor:
    return torch.rand(6, NUM_NUMBERS, generator=torch.Generator().manual_seed(0))


@pytest.mark.parametrize("kind", KINDS)
def test_each_change_is_one_of_its_own(pictures: Tensor, numbers: Tensor, kind: str):
    before = pictures.clone()
    alone = changed(pictures, numbers, [kind])
    others = changed(pictures, numbers, [each for each in KINDS if each != kind])
    assert (alone.dtype, alone.shape) == (torch.uint8, pictures.shape)
    assert not torch.equal(alone, pictures)
    assert not torch.equal(others, changed(pictures, numbers))
    assert torch.equal(pictures, before)
    # What the picture shows is still there.
    assert (alone.float() - pictures.float()).abs().mean() < 40


def test_no_change_leaves_every_pixel(pictures: Tensor, numbers: Tensor):
    assert torch.equal(changed(pictures, numbers, ()), pictures)


def test_numbers_in_the_middle_of_their_range_are_no_other_mounting_and_no_other_light(pictures: Tensor):
    middle = torch.full((6, NUM_NUMBERS), 0.5)
    for kind in ("mounting", "light"):
        difference = changed(pictures, middle, [kind]).int() - pictures.int()
        assert difference.abs().max() <= 1  # by rounding


def test_a_picture_is_changed_as_if_it_were_alone(pictures: Tensor, numbers: Tensor):
    together = changed(pictures, numbers)
    for k in range(len(pictures)):
        assert torch.equal(changed(pictures[k : k + 1], numbers[k : k + 1]), together[k : k + 1])


def test_settings_name_every_change():
    assert set(get_args(Disturbance)) == {*KINDS, "all"}


def test_mirrored_twice_is_as_before(pictures: Tensor):
    for sensor in (FRONT_CAMERA, STEREO):
        once = mirrored(sensor, pictures)
        assert torch.equal(once[..., 0], (pictures.flip(1) if sensor == STEREO else pictures)[..., -1])
        assert torch.equal(mirrored(sensor, once), pictures)

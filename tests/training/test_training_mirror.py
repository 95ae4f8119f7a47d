"""What a teacher would answer about a mirrored picture."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from tiny_model import write_model

from hotlap.errors import ConfigError
from hotlap.training.mirror import mirror_of


def actions(*pairs: tuple[float, float]) -> list[dict[str, float]]:
    return [{"steering_angle": angle, "speed": speed} for angle, speed in pairs]


def test_each_probability_goes_to_the_partner_whatever_the_order(tmp_path: Path):
    model = write_model(tmp_path, actions=actions((20, 1), (0, 2), (-20, 2), (-20, 1), (0, 1), (20, 2)))
    mirror = mirror_of(model)
    probabilities = torch.tensor([[0.1, 0.2, 0.3, 0.15, 0.05, 0.2]])
    assert torch.equal(probabilities @ mirror, torch.tensor([[0.15, 0.2, 0.2, 0.1, 0.05, 0.3]]))
    assert torch.equal(mirror @ mirror, torch.eye(6))


def test_an_action_that_is_there_twice_has_a_partner_each_time(tmp_path: Path):
    mirror = mirror_of(write_model(tmp_path, actions=actions((9, 1), (9, 1), (-9, 1), (-9, 1))))
    assert mirror.argmax(dim=1).tolist() == [2, 3, 0, 1]


def test_continuous_steering_changes_its_sign(tmp_path: Path):
    space = {"steering_angle": {"low": -20, "high": 20}, "speed": {"low": 0.5, "high": 3}}
    mirror = mirror_of(write_model(tmp_path, actions=space))
    assert torch.equal(torch.tensor([[0.5, 0.4, 0.3, 0.2]]) @ mirror, torch.tensor([[-0.5, 0.4, 0.3, 0.2]]))


@pytest.mark.parametrize(
    ("space", "fragment"),
    [
        (actions((30, 1), (-30, 1), (0, 1), (15, 2)), r"that of 15 degrees at 2 m/s has none\. Add it, or set"),
        (actions((30, 1), (-30, 2)), "that of 30 degrees at 1 m/s has none"),
        (actions((30, 1), (30, 1), (-30, 1)), "that of 30 degrees at 1 m/s has none"),
        ({"steering_angle": {"low": -30, "high": 20}, "speed": {"low": 0.5, "high": 3}}, "got -30 to 20 degrees"),
    ],
)
def test_without_partners_it_is_refused(tmp_path: Path, space, fragment):
    with pytest.raises(ConfigError, match=rf"model_metadata\.json: student\.mirror = true .*{fragment}"):
        mirror_of(write_model(tmp_path, actions=space))

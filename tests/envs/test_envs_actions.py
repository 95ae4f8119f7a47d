"""What a policy's action means to the car."""

from __future__ import annotations

import numpy as np

from hotlap.config.metadata import ModelMetadata
from hotlap.envs.actions import ActionDecoder


def decoder(space: object, kind: str) -> ActionDecoder:
    return ActionDecoder(
        ModelMetadata.from_dict(
            {
                "action_space": space,
                "action_space_type": kind,
                "sensor": ["FRONT_FACING_CAMERA"],
                "neural_network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW",
                "version": "5",
            }
        ).action_space
    )


def test_discrete_actions_are_the_numbers_of_the_file():
    """Index i is entry i, to the last digit: reward functions compare with ==."""
    table = [
        {"steering_angle": -30, "speed": 0.6},
        {"steering_angle": 12.5, "speed": 1.1},
        {"steering_angle": 0, "speed": 3},
    ]
    decode = decoder(table, "discrete")
    assert decode.num_actions == 3
    assert decode.commands(np.array([2, 0, 1, 0])).tolist() == [[0, 3], [-30, 0.6], [12.5, 1.1], [-30, 0.6]]


def test_continuous_actions_are_clipped_and_mapped_onto_their_ranges():
    """-1 is low, 1 is high, linear between, whatever the sample beyond; the order is steering, speed."""
    decode = decoder({"steering_angle": {"low": -30, "high": 20}, "speed": {"low": 0.5, "high": 4}}, "continuous")
    assert decode.num_actions is None
    actions = np.array([[-1, 1], [0, 0], [-7.5, 3.3], [0.5, -0.5]], dtype=np.float32)
    expected = [[-30, 4], [-5, 2.25], [-30, 4], [7.5, 1.375]]
    np.testing.assert_allclose(decode.commands(actions), expected, rtol=1e-7)

"""Left for right: what a teacher that answers about a picture would answer about the mirrored one."""

from __future__ import annotations

import torch
from torch import Tensor

from hotlap.config.metadata import DiscreteActionSpace
from hotlap.config.model_folder import ModelFolder
from hotlap.deepracer.sensors import CAMERAS
from hotlap.errors import ConfigError


def mirror_of(folder: ModelFolder) -> Tensor:
    """The matrix of `Imitation` that mirrors the answers of a model's teacher; it is its own inverse.

    An action becomes the one with the negated steering angle and the same speed; of continuous actions the steering
    changes its sign.

    Raises:
        ConfigError: If an action has no such partner, or a sensor shows no pictures.
    """
    metadata = folder.metadata
    space = metadata.action_space
    if others := [sensor for sensor in metadata.sensors if sensor not in CAMERAS]:
        raise _refusal(folder, f"pictures, but sensor names {', '.join(others)}", "Leave that out")
    if not isinstance(space, DiscreteActionSpace):
        steering = space.steering_angle
        if steering.low != -steering.high:
            found = f"got {steering.low:g} to {steering.high:g} degrees"
            raise _refusal(folder, f"as much steering to the left as to the right, {found}", "Make low = -high")
        return torch.diag(torch.tensor([-1.0, 1.0, 1.0, 1.0]))  # means and standard deviations of steering and speed
    actions = [(action.steering_angle, action.speed) for action in space.actions]
    turned = [(-steering, speed) for steering, speed in actions]
    for action in actions:
        if actions.count(action) > turned.count(action):
            raise _refusal(
                folder,
                "an action with the negated steering_angle and the same speed for each, but that of "
                f"{action[0]:g} degrees at {action[1]:g} m/s has none",
                "Add it",
            )
    mirror = torch.zeros(len(actions), len(actions))
    # Of actions that are alike the first is the partner of the first.
    order, partners = (sorted(range(len(actions)), key=each.__getitem__) for each in (actions, turned))
    mirror[order, partners] = 1.0
    return mirror


def _refusal(folder: ModelFolder, needs: str, way_out: str) -> ConfigError:
    return ConfigError(
        f"{folder.metadata_file}: student.mirror = true in job.toml needs {needs}. {way_out}, or set "
        "student.mirror = false."
    )

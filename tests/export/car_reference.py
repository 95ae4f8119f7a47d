"""What a car does with an archive and with an output, stated again without a look at our code.

Source: aws-deepracer-systems-pkg, `model_loader_pkg/model_loader_node.py`; aws-deepracer-webserver-pkg, `models.py`;
deepracer_navigation_pkg, `deepracer_navigation_node.py`.
"""

from __future__ import annotations

import gzip
import io
import json
import math
import posixpath
import tarfile
from typing import Any

SENSORS = {"FRONT_FACING_CAMERA", "observation", "LEFT_CAMERA", "STEREO_CAMERAS", "LIDAR", "SECTOR_LIDAR"}


class RefusedError(Exception):
    """The car does not install or list the model."""


def install(name: str, archive: bytes) -> tuple[str, bytes, dict[str, Any]]:
    """Name of the model on the car, its graph, and its metadata."""
    if not name.endswith(".tar.gz"):
        raise RefusedError("the web page takes .tar.gz only")
    try:
        plain = gzip.decompress(archive)
        members = _plain_tar(plain)
    except (OSError, EOFError, tarfile.TarError) as error:
        raise RefusedError(str(error)) from error
    # A file name without any dot passes the loader's test for the ending, because "" is a part of ".pb".
    candidates = [path for path in members if posixpath.splitext(posixpath.basename(path))[1] in ".pb"]
    if len(candidates) != 1:
        raise RefusedError(f"{len(candidates)} candidates")
    metadata = [path for path in members if posixpath.basename(path) == "model_metadata.json"]
    if len(metadata) != 1:
        raise RefusedError("installed, but never listed: no metadata")
    return name.split(".")[0].replace(" ", "_"), members[candidates[0]], check_metadata(members[metadata[0]])


def _plain_tar(data: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar if member.isfile()}  # type: ignore[union-attr]


def check_metadata(data: bytes) -> dict[str, Any]:
    """The metadata, if the car's web page lists a model with it."""
    metadata = json.loads(data)
    if not set(metadata.get("sensor", ["observation"])) <= SENSORS:
        raise RefusedError("sensor")
    if metadata.get("training_algorithm", "clipped_ppo") not in ("clipped_ppo", "sac"):
        raise RefusedError("algorithm")
    kind = metadata.get("action_space_type", "discrete")
    space = metadata["action_space"]
    if kind == "discrete":
        for action in space:
            float(action["steering_angle"]), float(action["speed"])
    elif kind == "continuous":
        for key in ("steering_angle", "speed"):
            if not space[key]["low"] < space[key]["high"]:
                raise RefusedError("range")
    else:
        raise RefusedError("action_space_type")
    return metadata


def drive(metadata: dict[str, Any], output: list[float]) -> tuple[float, float]:
    """Steering and throttle, both in [-1, 1], before the driver's throttle setting."""
    space = metadata["action_space"]
    if metadata["action_space_type"] == "discrete":
        chosen = space[max(range(len(output)), key=output.__getitem__)]
        angle, speed = chosen["steering_angle"], chosen["speed"]
        largest_angle = max(abs(action["steering_angle"]) for action in space)
        largest_speed = max(action["speed"] for action in space)
    else:
        angle, speed = (
            (min(max(value, -1.0), 1.0) + 1.0) / 2.0 * (space[key]["high"] - space[key]["low"]) + space[key]["low"]
            for value, key in zip(output, ("steering_angle", "speed"), strict=True)
        )
        largest_angle, largest_speed = space["steering_angle"]["high"], space["speed"]["high"]
    # The parabola through (0, 0), (half, 0.8), (all, 1): solved here as a system of two equations.
    half, full = largest_speed / 2.0, largest_speed
    determinant = half * half * full - full * full * half
    a = (0.8 * full - 1.0 * half) / determinant
    b = (half * half * 1.0 - full * full * 0.8) / determinant
    throttle = a * speed * speed + b * speed
    clipped = [min(max(value, -1.0), 1.0) for value in (angle / largest_angle, throttle)]
    assert all(math.isfinite(value) for value in clipped)
    return clipped[0], clipped[1]

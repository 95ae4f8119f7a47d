"""What a model's metadata may ask for and cannot have yet."""

from __future__ import annotations

from hotlap.config.metadata import ModelMetadata
from hotlap.deepracer.metadata_names import TRAINABLE
from hotlap.deepracer.sensors import OWN_SHAPES, SIMULATED
from hotlap.deepracer.state_values import STATES
from hotlap.errors import ConfigError


def unavailable(metadata: ModelMetadata) -> list[str]:
    """A sentence or two for each thing that is right in the original but not available here yet; often none."""
    return [*unavailable_algorithm(metadata), *unavailable_sensors(metadata)]


def unavailable_algorithm(metadata: ModelMetadata) -> list[str]:
    """The same about the algorithm alone."""
    if metadata.algorithm in TRAINABLE:
        return []
    return [
        f"training_algorithm {metadata.algorithm!r} is not available yet. "
        'Use "clipped_ppo" in model_metadata.json; it takes discrete and continuous action spaces.'
    ]


def unavailable_sensors(metadata: ModelMetadata) -> list[str]:
    """The same about the sensors alone."""
    missing = [sensor for sensor in metadata.sensors if sensor not in (*SIMULATED, *STATES, *OWN_SHAPES)]
    if not missing:
        return []
    return [
        f"the sensors {', '.join(missing)} are not simulated yet; "
        f"use one of {', '.join(SIMULATED)} in model_metadata.json."
    ]


def refuse(problems: list[str]) -> None:
    """Raise what was found.

    Raises:
        ConfigError: If anything was.
    """
    if problems:
        raise ConfigError(" ".join(problems))

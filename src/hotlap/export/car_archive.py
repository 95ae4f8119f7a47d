"""The archive that a car installs: a gzipped tar with the graph and the metadata, and nothing else.

The car looks for the one file in it that ends in ``.pb`` (or has no extension at all, by an accident of its test), and
for ``model_metadata.json``; it computes checksums itself. Equal contents give equal bytes.

Source: aws-deepracer-systems-pkg, `model_loader_pkg`; aws-deepracer-webserver-pkg, `models.py`.
"""

from __future__ import annotations

import gzip
import io
import json
import re
import tarfile
from pathlib import Path
from typing import Final

from hotlap.config.metadata import DiscreteActionSpace, ModelMetadata
from hotlap.deepracer.sensors import CAMERAS
from hotlap.deepracer.state_values import STATES
from hotlap.errors import ConfigError

GRAPH_MEMBER: Final = "agent/model.pb"
METADATA_MEMBER: Final = "model_metadata.json"
DEFAULT_NAME: Final = "model.tar.gz"

_NAME: Final = re.compile(r"[A-Za-z0-9_-]+\.tar\.gz")


def check_archive_name(path: Path) -> None:
    """Refuse names that the car would refuse or change.

    Raises:
        ConfigError: Says which names work.
    """
    if not _NAME.fullmatch(path.name):
        raise ConfigError(
            f"{path}: a car takes archives whose name consists of letters, digits, _ and -, and ends in .tar.gz; what "
            "stands before the first dot is the model's name on the car. Choose a name such as my-model.tar.gz."
        )


def check_sensors(metadata: ModelMetadata) -> None:
    """Refuse models whose sensors the exported graph does not have.

    Raises:
        ConfigError: Says which sensors work.
    """
    if told := [sensor for sensor in metadata.sensors if sensor in STATES]:
        raise ConfigError(
            f"a model with the sensor {told[0]} cannot be exported: only the simulator knows the state. A car needs a "
            f"model that sees with a camera ({', '.join(CAMERAS)})."
        )
    if len(metadata.sensors) != 1 or metadata.sensors[0] not in CAMERAS:
        raise ConfigError(
            f"a model with the sensors {', '.join(metadata.sensors)} cannot be exported: the newest car software "
            f"confuses two inputs. Models with one camera can be exported ({', '.join(CAMERAS)})."
        )


def car_metadata(metadata: ModelMetadata) -> bytes:
    """The metadata file for a car: all keys that it checks, in the spelling that it wants.

    The algorithm is always clipped PPO, whose names the graph has; the car uses it for nothing else.
    """
    space = metadata.action_space
    actions: list[dict[str, float]] | dict[str, dict[str, float]]
    if isinstance(space, DiscreteActionSpace):
        kind, actions = "discrete", [action.model_dump() for action in space.actions]
    else:
        kind, actions = "continuous", space.model_dump(exclude={"type"})
    content = {
        "action_space": actions,
        "sensor": list(metadata.sensors),
        "neural_network": metadata.network,
        "training_algorithm": "clipped_ppo",
        "action_space_type": kind,
        "version": f"{metadata.version:g}",
    }
    return (json.dumps(content, indent=2) + "\n").encode()


def pack_archive(graph: bytes, metadata: bytes) -> bytes:
    """The bytes of the archive: ustar, no times, no owners."""
    tar = io.BytesIO()
    with tarfile.open(fileobj=tar, mode="w", format=tarfile.USTAR_FORMAT) as archive:
        for name, content in ((GRAPH_MEMBER, graph), (METADATA_MEMBER, metadata)):
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    packed = io.BytesIO()
    # Weights hardly shrink: the lowest level loses a percent and saves most of the time.
    with gzip.GzipFile(filename="", fileobj=packed, mode="wb", compresslevel=1, mtime=0) as file:
        file.write(tar.getbuffer())
    return packed.getvalue()

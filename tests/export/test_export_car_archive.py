"""The archive: what a car installs, byte for byte, and what it would refuse."""

from __future__ import annotations

import gzip
import io
import json
import tarfile
from pathlib import Path

import pytest
from car_reference import RefusedError, install
from sample_policies import make_policy

from hotlap.config.metadata import ModelMetadata
from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.errors import ConfigError
from hotlap.export.car_archive import car_metadata, check_archive_name, check_sensors, pack_archive
from hotlap.export.car_graph import car_graph
from hotlap.export.layers import layers_of
from hotlap.rl.specs import DiscreteActions

pytestmark = pytest.mark.usefixtures("slim_networks")

DISCRETE = {
    "action_space": [{"steering_angle": -30, "speed": 1, "index": 0}, {"steering_angle": 30.0, "speed": "2.5"}],
    "sensor": ["FRONT_FACING_CAMERA"],
    "training_algorithm": " Clipped_PPO ",
    "version": 4,
}
CONTINUOUS = {
    "action_space": {"steering_angle": {"low": -20, "high": 20}, "speed": {"low": 0.5, "high": 3}},
    "action_space_type": "Continuous",
    "sensor": ["LEFT_CAMERA"],
    "neural_network": "DEEP_CONVOLUTIONAL_NETWORK_DEEP",
    "training_algorithm": "SAC",
    "version": "5",
}


@pytest.fixture(scope="module")
def graph() -> bytes:
    return car_graph(layers_of(make_policy(SHALLOW, DiscreteActions(2))))


@pytest.fixture(scope="module")
def archive(graph: bytes) -> bytes:
    return pack_archive(graph, car_metadata(ModelMetadata.from_dict(DISCRETE)))


def members_of(archive: bytes) -> dict[str, bytes]:
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        return {member.name: tar.extractfile(member).read() for member in tar}  # type: ignore[union-attr]


def repacked(members: dict[str, bytes]) -> bytes:
    """An archive with other members, as anyone might pack it."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as tar:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    return file.getvalue()


def test_archive_has_two_members_and_nothing_else(archive: bytes, graph: bytes):
    """The graph and the metadata, plain files without owner or time, in a gzipped plain tar; always the same bytes."""
    with tarfile.open(fileobj=io.BytesIO(archive), mode="r:gz") as tar:
        found = tar.getmembers()
    assert [member.name for member in found] == ["agent/model.pb", "model_metadata.json"]
    assert all(member.isfile() and member.mtime == 0 and member.uid == 0 and member.uname == "" for member in found)
    assert members_of(archive)["agent/model.pb"] == graph
    assert archive[:2] == b"\x1f\x8b"
    assert archive[4:8] == bytes(4)  # no time
    assert archive == pack_archive(graph, car_metadata(ModelMetadata.from_dict(DISCRETE)))


def test_car_installs_the_archive(archive: bytes, graph: bytes):
    name, installed, metadata = install("my-model.tar.gz", archive)
    assert (name, installed) == ("my-model", graph)
    assert metadata["action_space"][1] == {"steering_angle": 30.0, "speed": 2.5}


@pytest.mark.parametrize(
    ("added", "reason"),
    [
        ({"checkpoint": b""}, "2 candidates"),
        ({".coach_checkpoint": b""}, "2 candidates"),
        ({"agent/.ready": b""}, "2 candidates"),
        ({"agent/other.pb": b""}, "2 candidates"),
        ({"agent/._model.pb": b""}, "2 candidates"),
    ],
)
def test_car_refuses_one_file_too_many(archive: bytes, added: dict[str, bytes], reason: str):
    """That is why nothing else is in ours."""
    with pytest.raises(RefusedError, match=reason):
        install("model.tar.gz", repacked({**members_of(archive), **added}))


def test_car_takes_harmless_files(archive: bytes):
    """The restated rule is not simply strict."""
    install("model.tar.gz", repacked({**members_of(archive), "worker_0.csv": b"", "notes.md": b""}))


def test_car_refuses_other_packing(archive: bytes):
    """Not gzipped, another ending, no metadata, no graph."""
    with pytest.raises(RefusedError):
        install("model.tar.gz", gzip.decompress(archive))
    with pytest.raises(RefusedError):
        install("model.zip", archive)
    for missing in ("model_metadata.json", "agent/model.pb"):
        members = members_of(archive)
        del members[missing]
        with pytest.raises(RefusedError):
            install("model.tar.gz", repacked(members))


@pytest.mark.parametrize("data", [DISCRETE, CONTINUOUS], ids=["discrete", "continuous"])
def test_metadata_has_all_keys_in_the_spelling_of_the_car(data: dict):
    """The car compares case-sensitively; and reading it back gives the model's own metadata, but for the algorithm."""
    metadata = ModelMetadata.from_dict(data)
    content = json.loads(car_metadata(metadata))
    assert list(content) == [
        *("action_space", "sensor", "neural_network", "training_algorithm", "action_space_type", "version")
    ]
    assert content["training_algorithm"] == "clipped_ppo"
    assert content["action_space_type"] in ("discrete", "continuous")
    again = ModelMetadata.from_dict(content)
    assert again == metadata.model_copy(update={"algorithm": "clipped_ppo"})


@pytest.mark.parametrize("name", ["model.tar.gz", "My_Model-2.tar.gz"])
def test_names_that_a_car_takes(name: str):
    check_archive_name(Path("somewhere") / name)


@pytest.mark.parametrize(
    "name", ["model.zip", "model.tar", "my model.tar.gz", "v1.2.tar.gz", ".tar.gz", "größe.tar.gz"]
)
def test_names_that_a_car_refuses_or_changes(name: str):
    with pytest.raises(ConfigError, match=r"letters, digits.*my-model\.tar\.gz"):
        check_archive_name(Path(name))


def test_two_sensors_are_refused():
    metadata = ModelMetadata.from_dict({**DISCRETE, "sensor": ["FRONT_FACING_CAMERA", "LIDAR"]})
    with pytest.raises(ConfigError, match=r"FRONT_FACING_CAMERA, LIDAR.*one camera"):
        check_sensors(metadata)


def test_a_model_that_sees_the_state_is_refused():
    metadata = ModelMetadata.from_dict({**DISCRETE, "sensor": ["STATE"], "neural_network": "DENSE_NETWORK"})
    with pytest.raises(ConfigError, match=r"only the simulator knows the state.*FRONT_FACING_CAMERA"):
        check_sensors(metadata)

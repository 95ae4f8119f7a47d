"""Export a checkpoint of a model: write the archive for the car, read it back, compare it with the network."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Final

import numpy as np

from hotlap.archives.archive import unpack
from hotlap.config.model_folder import ModelFolder
from hotlap.deepracer.metadata_names import NETWORKS
from hotlap.errors import ConfigError, RecordError
from hotlap.export.agreement import TOLERANCE, Agreement, compare, tower_output
from hotlap.export.car_archive import GRAPH_MEMBER, car_metadata, check_archive_name, check_sensors, pack_archive
from hotlap.export.car_commands import car_doubts
from hotlap.export.car_graph import car_graph
from hotlap.export.executor import Executor
from hotlap.export.graph import MAX_BYTES, read_graph
from hotlap.export.layers import layers_of
from hotlap.export.onnx_file import onnx_model
from hotlap.export.preprocessing import preprocess
from hotlap.export.sample_frames import noise_frames, track_frames
from hotlap.export.structure import find_output
from hotlap.records.checkpoints import CheckpointStore, Which
from hotlap.records.folder import Folder
from hotlap.rl.networks import Tower, is_own
from hotlap.rollouts.model import saved_network
from hotlap.unfinished import scratch_folder

NUM_NOISE: Final = 16
NUM_FRAMES: Final = 24  # from a track
SAME_ACTION: Final = 0.1  # a twentieth of the range [-1, 1]


@dataclass(frozen=True)
class Export:
    """What was written, and how it compares with the network."""

    archive: Path
    checkpoint: str
    graph_bytes: int
    archive_bytes: int
    agreement: Agreement
    """Of the graph in the written archive with the network."""
    same_action: float
    """Share of rendered frames on which the policy decides the same, seen as the car reduces them and as our simulator
    shows them; two decisions of continuous actions are the same within 5 % of the range."""
    doubts: list[str]
    """Where this model may drive a car otherwise than expected."""
    onnx: Path | None = None


def export_model(
    folder: ModelFolder,
    archive: Path,
    *,
    output: str | Path | None = None,
    checkpoint: Which = "best",
    onnx: bool = False,
) -> Export:
    """Write the archive of a checkpoint, and an ONNX file beside it if asked for.

    The archive lies at its place only if the graph in it computes what the network computes.

    Args:
        folder: The model.
        archive: The file to write.
        output: Where the training wrote its checkpoints, a folder or ``s3://bucket/prefix``; None: in ``folder``.
        checkpoint: Which one.
        onnx: Whether ``archive`` gets an ONNX file beside it.

    Raises:
        ConfigError: If the archive's name or the model's sensors do not suit a car.
        RecordError: If there is no such checkpoint, it is of another network than the folder describes, a file cannot
            be written, or network and graph differ.
        MissingExtraError: If ``onnx`` is asked for and not installed.
    """
    check_archive_name(archive)
    check_sensors(folder.metadata)
    output = output or folder.path
    loaded = CheckpointStore(output).load(checkpoint)
    network = saved_network(folder.metadata, loaded, output)
    if is_own(network.name):
        raise ConfigError(
            f"a car takes only the networks of the original ({', '.join(NETWORKS)}), not {network.name!r}. "
            "Train one of them, with neural_network in model_metadata.json and without training.network in job.toml."
        )
    layers = layers_of(network.policy)
    onnx_content = onnx_model(layers) if onnx else b""
    graph = car_graph(layers)
    packed = pack_archive(graph, car_metadata(folder.metadata))
    on_car, in_simulator = (_as_seen(each, layers.num_channels) for each in _frames_of_a_track())
    frames = np.concatenate([noise_frames(layers.num_channels, NUM_NOISE), on_car])
    agreement = _check(packed, network.policy, frames)
    if not agreement.holds:
        raise RecordError(
            f"the exported graph and the network of checkpoint {loaded.name} differ by "
            f"{agreement.largest_difference:g} (at most {TOLERANCE:g}), so nothing was written. If the weights are not "
            "finite numbers, export an earlier checkpoint; otherwise this is a mistake of hotlap's: please report it."
        )
    store = Folder(archive.parent)
    store.put(archive.name, packed)
    onnx_path = archive.with_name(f"{archive.name.partition('.')[0]}.onnx") if onnx else None
    if onnx_path is not None:
        store.put(onnx_path.name, onnx_content)
    return Export(
        archive=archive,
        checkpoint=str(loaded.name),
        graph_bytes=len(graph),
        archive_bytes=len(packed),
        agreement=agreement,
        same_action=_same_action(network.policy, on_car, in_simulator, discrete=layers.output == "softmax"),
        doubts=car_doubts(folder.metadata),
        onnx=onnx_path,
    )


@cache
def _frames_of_a_track() -> tuple[np.ndarray, np.ndarray]:
    """As a car reduces its pictures, and as our simulator shows them: grey, uint8, (NUM_FRAMES, 120, 160) each."""
    pictures, simulated = track_frames(NUM_FRAMES)
    return preprocess(pictures), simulated


def _check(packed: bytes, policy: Tower, frames: np.ndarray) -> Agreement:
    """Compare what a reader finds in the archive with the network."""
    with scratch_folder() as scratch:
        file = scratch / "archive"
        file.write_bytes(packed)
        members = unpack(file, scratch, lambda name: MAX_BYTES if name == GRAPH_MEMBER else None)
        graph = read_graph(members[GRAPH_MEMBER].read_bytes(), GRAPH_MEMBER)
    return compare(Executor(graph, num_images=len(frames)), find_output(graph), policy, frames)


def _same_action(policy: Tower, on_car: np.ndarray, in_simulator: np.ndarray, *, discrete: bool) -> float:
    one, other = (tower_output(policy, frames) for frames in (on_car, in_simulator))
    if discrete:
        return float(np.mean(one.argmax(axis=1) == other.argmax(axis=1)))
    return float(np.mean(np.abs(np.clip(one, -1, 1) - np.clip(other, -1, 1)).max(axis=1) <= SAME_ACTION))


def _as_seen(frames: np.ndarray, num_channels: int) -> np.ndarray:
    """Grey frames (num_images, height, width) with channels; the eyes of stereo cameras see nearly the same."""
    return frames[:, None].repeat(num_channels, axis=1)

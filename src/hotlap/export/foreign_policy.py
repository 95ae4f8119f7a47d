"""Read policy and value of a DeepRacer model into our networks, and prove that they compute the same."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import Final, Literal

import numpy as np
import torch

from hotlap.bounded import MalformedError
from hotlap.config.metadata import DiscreteActionSpace, ModelMetadata
from hotlap.deepracer.sensors import CAMERA_CHANNELS
from hotlap.errors import RecordError
from hotlap.export.agreement import TOLERANCE, Agreement, compare
from hotlap.export.executor import Executor
from hotlap.export.graph import Graph, not_a_graph, read_graph, read_meta_graph
from hotlap.export.layers import Convolution, Dense, TowerLayers, layers_of, load_layers
from hotlap.export.sample_frames import noise_frames
from hotlap.export.source import METADATA, Found
from hotlap.export.structure import find_output, read_layers
from hotlap.export.tf_checkpoint import TfCheckpoint
from hotlap.rl.networks import ActorCritic, Tower
from hotlap.rollouts.model import build_network

NUM_IMAGES: Final = 8

_POLICY: Final = re.compile(r"(?:.*/)?online/network_\d+/ppo_head_\d+/policy")
_VALUE: Final = re.compile(r"(?:.*/)?online/network_\d+/v_values_head_\d+/output(?:_\d+)?/(?:BiasAdd|[Aa]dd)")
_VALUE_KERNEL: Final = re.compile(r"(?P<network>(?:.*/)?online/network_\d+)/v_values_head_\d+/output/kernel")
_LOG_STD: Final = re.compile(r"(?:.*/)?online/network_\d+/ppo_head_\d+/policy_log_std")

ValueOrigin = Literal["compared", "by_names", "fresh"]


@dataclass(frozen=True)
class ForeignPolicy:
    """A foreign model in one of our networks.

    Attributes:
        network: With its weights.
        read_from: Name of the file that the policy's weights came from.
        agreement: Of the policy with the foreign graph.
        value: Where the value's weights come from: the checkpoint, compared with its graph; the checkpoint, found by
            the names of its variables; or nowhere.
        value_agreement: None unless ``compared``.
        log_std_known: Whether the standard deviation of continuous actions came with the model.
    """

    network: ActorCritic
    read_from: str
    agreement: Agreement
    value: ValueOrigin
    value_agreement: Agreement | None
    log_std_known: bool


def read_foreign(found: Found, metadata: ModelMetadata, source: str) -> ForeignPolicy:
    """Read a model from the files of its checkpoint.

    Args:
        found: The files.
        metadata: What the model should be.
        source: What messages call the model.

    Raises:
        RecordError: If the files are damaged, the model is not what the metadata describes, or what we understood
            computes something else than the model's own graph.
    """
    checkpoint = None
    if found.index is not None and found.data is not None:
        checkpoint = TfCheckpoint(found.index, found.data, f"{source}: {found.name}")
    if found.meta is not None:
        read_from, variables = str(found.name), checkpoint
        graph = read_meta_graph(found.meta.read_bytes(), f"{source}: {read_from}.meta")
    elif found.frozen is not None:
        read_from, variables = found.frozen_name, None
        graph = read_graph(found.frozen.read_bytes(), f"{source}: {read_from}")
    else:
        raise RecordError(
            f"{source}: checkpoint {found.name} has no graph beside it, so it cannot be compared with what is read. "
            f"Copy {found.name}.meta or model_{found.name.number}.pb as well."
        )
    try:
        return _Reading(graph, variables, metadata, source).read(read_from, checkpoint)
    except MalformedError as error:
        raise not_a_graph(f"{source}: {read_from}", error) from None


class _Reading:
    """Of one graph, with the variables of a checkpoint if it is not frozen."""

    def __init__(self, graph: Graph, variables: TfCheckpoint | None, metadata: ModelMetadata, source: str) -> None:
        self.graph = graph
        self.variables = variables
        self.metadata = metadata
        self.source = source

    def read(self, read_from: str, checkpoint: TfCheckpoint | None) -> ForeignPolicy:
        output = find_output(self.graph) if self.variables is None else self._one(_POLICY)
        layers = read_layers(self._executor(), output)
        self._check(layers)
        network = build_network(self.metadata)
        load_layers(network.policy, replace(layers, sensor=self.metadata.camera))
        frames = noise_frames(layers.num_channels, NUM_IMAGES)
        agreement = self._compare("policy", output, network.policy, frames)
        assert network.value is not None
        value, value_agreement = self._read_value(network.value, checkpoint, layers.sensor, frames)
        return ForeignPolicy(
            network, read_from, agreement, value, value_agreement, self._read_log_std(network, checkpoint)
        )

    def _read_value(
        self, tower: Tower, checkpoint: TfCheckpoint | None, sensor: str, frames: np.ndarray
    ) -> tuple[ValueOrigin, Agreement | None]:
        if checkpoint is None:
            return "fresh", None
        expected = layers_of(tower)
        if self.variables is not None:
            output = self._one(_VALUE)
            layers = read_layers(self._executor(), output)
            if (layers.describe(), layers.num_channels) != (expected.describe(), expected.num_channels):
                raise RecordError(
                    f"{self.source}: the value network ({layers.describe()}) is another than that of the policy "
                    f"({expected.describe()}), which hotlap cannot train. Import the frozen graph alone."
                )
            load_layers(tower, layers)
            return "compared", self._compare("value", output, tower, frames)
        found = value_by_names(checkpoint, sensor, expected)
        if found is None:
            return "fresh", None
        load_layers(tower, found)
        return "by_names", None

    def _read_log_std(self, network: ActorCritic, checkpoint: TfCheckpoint | None) -> bool:
        """Take the standard deviation of continuous actions from the checkpoint; True if there is nothing to take."""
        if isinstance(self.metadata.action_space, DiscreteActionSpace):
            return True
        names = [] if checkpoint is None else [name for name in checkpoint.entries if _LOG_STD.fullmatch(name)]
        if len(names) != 1:
            return False
        assert checkpoint is not None
        log_std = checkpoint[names[0]].reshape(-1)
        if log_std.shape != network.policy.head.log_std.shape or not np.isfinite(log_std).all():
            return False
        with torch.no_grad():
            network.policy.head.log_std.copy_(torch.from_numpy(log_std.astype(np.float32)))
        return True

    def _executor(self, num_images: int = 0) -> Executor:
        variable = None if self.variables is None else self.variables.__getitem__
        return Executor(self.graph, variable, num_images=num_images)

    def _one(self, pattern: re.Pattern[str]) -> str:
        names = [name for name in self.graph.nodes if pattern.fullmatch(name)]
        if len(names) != 1:
            raise MalformedError(f"expected one node with a name like {pattern.pattern!r}, found {len(names)}")
        return names[0]

    def _compare(self, what: str, output: str, tower: Tower, frames: np.ndarray) -> Agreement:
        agreement = compare(self._executor(len(frames)), output, tower, frames)
        if not agreement.holds:
            raise RecordError(
                f"{self.source}: what was read of the {what} differs from the model's own graph by "
                f"{agreement.largest_difference:g} (at most {TOLERANCE:g}), so it was not imported. The graph computes "
                "something that hotlap does not know, or its weights are not finite numbers."
            )
        return agreement

    def _check(self, layers: TowerLayers) -> None:
        """Refuse a policy that is not what the metadata describes."""
        metadata, space = self.metadata, self.metadata.action_space
        num_outputs = space.num_actions if isinstance(space, DiscreteActionSpace) else 2
        networks = replace(layers, sensor=metadata.camera).networks
        if metadata.algorithm == "sac" or layers.output == "tanh":
            problem = "its policy was trained with SAC, which hotlap can neither drive nor train yet"
        elif isinstance(space, DiscreteActionSpace) != (layers.output == "softmax"):
            found = "discrete" if layers.output == "softmax" else "continuous"
            problem = f"its policy chooses {found} actions, but the action space of {METADATA} is of the other kind"
        elif layers.num_channels != CAMERA_CHANNELS[metadata.camera]:
            problem = f"its images have {layers.num_channels} channels, but {METADATA} says {metadata.camera}"
        elif layers.num_outputs != num_outputs:
            problem = f"its policy has {layers.num_outputs} outputs, but the action space of {METADATA} {num_outputs}"
        elif metadata.network not in networks:
            problem = (
                f"it has {layers.describe()}, which is {' or '.join(networks) or 'no network of DeepRacer with PPO'}; "
                f"{METADATA} says {metadata.network}"
            )
        else:
            return
        raise RecordError(
            f"{self.source}: {problem}. If that file is not the model's own, give it with --metadata FILE."
        )


def value_by_names(checkpoint: TfCheckpoint, sensor: str, expected: TowerLayers) -> TowerLayers | None:
    """The value's layers under the names that the original gives them; None if they are not all there.

    Raises:
        MalformedError: If one of them is damaged.
    """
    matches = [match for match in map(_VALUE_KERNEL.fullmatch, checkpoint.entries) if match]
    if len(matches) != 1:
        return None
    network = matches[0]["network"]
    embedder, middleware = f"{network}/{sensor}", f"{network}/middleware_fc_embedder"
    num_convs = len(expected.convs)
    places = {f"{embedder}/Conv2d_{2 * index}": conv.kernel.shape for index, conv in enumerate(expected.convs)}
    for index, dense in enumerate(expected.pixel_dense, start=num_convs):
        places[f"{embedder}/Dense_{2 * index}"] = dense.kernel.shape
    for index, dense in enumerate(expected.middleware):
        places[f"{middleware}/Dense_{2 * index}"] = dense.kernel.shape
    places[matches[0][0].removesuffix("/kernel")] = expected.head.kernel.shape
    layers: list[Dense] = []
    for name, shape in places.items():
        kernel, bias = (checkpoint.entries.get(f"{name}/{part}") for part in ("kernel", "bias"))
        if kernel is None or bias is None or kernel.shape != shape or bias.shape != shape[-1:]:
            return None
        layers.append(Dense(checkpoint[f"{name}/kernel"], checkpoint[f"{name}/bias"]))
    num_pixel = num_convs + len(expected.pixel_dense)
    return replace(
        expected,
        convs=tuple(
            Convolution(layer.kernel, layer.bias, conv.stride)
            for layer, conv in zip(layers, expected.convs, strict=False)
        ),
        pixel_dense=tuple(layers[num_convs:num_pixel]),
        middleware=tuple(layers[num_pixel:-1]),
        head=layers[-1],
    )

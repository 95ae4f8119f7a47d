"""A tower of a network as plain layers in the original's layouts: what our network, the car's graph and ONNX share.

Convolutions are (height, width, in, out), dense layers (in, out), a feature map is flattened in the order height,
width, channel. All arrays are float32.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor, nn

from hotlap.rl.architectures import ARCHITECTURES, Conv, camera_layers
from hotlap.rl.embedders import CameraEmbedder, DenseStack
from hotlap.rl.networks import Tower
from hotlap.rl.specs import DiscreteActions

Output = Literal["softmax", "identity", "tanh"]


@dataclass(frozen=True, eq=False)
class Convolution:
    """A convolution without padding, followed by ReLU."""

    kernel: np.ndarray
    bias: np.ndarray
    stride: int


@dataclass(frozen=True, eq=False)
class Dense:
    """A dense layer; whether ReLU follows depends on its place."""

    kernel: np.ndarray
    bias: np.ndarray


@dataclass(frozen=True, eq=False)
class TowerLayers:
    """A tower that looks with one camera.

    Attributes:
        sensor: The camera's name in the metadata.
        convs: In their order.
        pixel_dense: Dense layers with ReLU over the channels of each pixel, before flattening.
        middleware: Dense layers with ReLU.
        head: The last layer.
        output: What follows it: probabilities of a choice, nothing (a mean or a value), or SAC's squashing.
    """

    sensor: str
    convs: tuple[Convolution, ...]
    pixel_dense: tuple[Dense, ...]
    middleware: tuple[Dense, ...]
    head: Dense
    output: Output

    @property
    def num_channels(self) -> int:
        """Of the camera."""
        return self.convs[0].kernel.shape[2]

    @property
    def num_outputs(self) -> int:
        return len(self.head.bias)

    @property
    def networks(self) -> list[str]:
        """Names of the networks in the metadata that have just these layers; some share those of the oldest camera."""
        convs = tuple(Conv(each.kernel.shape[3], each.kernel.shape[0], each.stride) for each in self.convs)
        pixel_dense = tuple(len(each.bias) for each in self.pixel_dense)
        middleware = tuple(len(each.bias) for each in self.middleware)
        found = []
        for name, architecture in ARCHITECTURES.items():
            camera = camera_layers(name, self.sensor)
            if (convs, pixel_dense, middleware) == (camera.convs, camera.pixel_dense, architecture.middleware):
                found.append(name)
        return found

    def describe(self) -> str:
        """The layers in a few words."""
        convs = ", ".join(f"{len(each.bias)} of {each.kernel.shape[0]}/{each.stride}" for each in self.convs)
        dense = ", ".join(str(len(each.bias)) for each in self.middleware) or "none"
        pixel = "".join(f", {len(each.bias)} per pixel" for each in self.pixel_dense)
        return f"convolutions {convs}{pixel}; dense layers {dense}; {self.num_outputs} outputs"


def layers_of(tower: Tower) -> TowerLayers:
    """The policy of a tower if it has one, else its value.

    Raises:
        ValueError: If the tower looks with anything else than one camera.
    """
    embedder = tower.embedder[tower.sensors[0]]
    if len(tower.sensors) != 1 or not isinstance(embedder, CameraEmbedder):
        raise ValueError(f"expected a single camera, got {', '.join(tower.sensors)}")
    actions = tower.head.actions
    if actions is None:
        assert tower.head.value is not None
        head, output = tower.head.value, "identity"
    elif isinstance(actions, DiscreteActions):
        head, output = tower.head.logits, "softmax"
    else:
        head, output = tower.head.mean, "identity"
    convs = [module for module in embedder.children() if isinstance(module, nn.Conv2d)]
    return TowerLayers(
        sensor=tower.sensors[0],
        convs=tuple(Convolution(_hwio(each.weight), _array(each.bias), each.stride[0]) for each in convs),
        pixel_dense=_dense_layers(embedder.pixel_dense),
        middleware=_dense_layers(tower.middleware),
        head=_dense(head),
        output=output,  # type: ignore[arg-type]
    )


def load_layers(tower: Tower, layers: TowerLayers) -> None:
    """Give a tower the weights of ``layers``, which are its own in number and shape."""
    sensor = tower.sensors[0]
    weights: dict[str, np.ndarray] = {}

    def put(name: str, kernel: np.ndarray, bias: np.ndarray) -> None:
        weights.update({f"{name}.weight": kernel, f"{name}.bias": bias})

    for index, conv in enumerate(layers.convs, start=1):
        put(f"embedder.{sensor}.conv{index}", conv.kernel.transpose(3, 2, 0, 1), conv.bias)
    for index, dense in enumerate(layers.pixel_dense, start=1):
        put(f"embedder.{sensor}.pixel_dense.dense{index}", dense.kernel.T, dense.bias)
    for index, dense in enumerate(layers.middleware, start=1):
        put(f"middleware.dense{index}", dense.kernel.T, dense.bias)
    actions = tower.head.actions
    head = "value" if actions is None else "logits" if isinstance(actions, DiscreteActions) else "mean"
    put(f"head.{head}", layers.head.kernel.T, layers.head.bias)
    state = tower.state_dict()
    state.update({name: torch.from_numpy(np.array(array, np.float32, order="C")) for name, array in weights.items()})
    tower.load_state_dict(state)


def _dense_layers(stack: DenseStack) -> tuple[Dense, ...]:
    return tuple(_dense(each) for each in stack.children() if isinstance(each, nn.Linear))


def _dense(layer: nn.Linear) -> Dense:
    return Dense(_array(layer.weight.T), _array(layer.bias))


def _hwio(weight: Tensor) -> np.ndarray:
    return _array(weight.permute(2, 3, 1, 0))


def _array(tensor: Tensor | None) -> np.ndarray:
    assert tensor is not None
    return np.ascontiguousarray(tensor.detach().float().cpu().numpy())

"""Networks of the policy and of the value, built from a table.

    tower = an embedder per sensor -> concatenation -> middleware -> head

Policy and value have a tower each and share nothing, unless ``shared_encoder`` is set. Parameters are float32 in plain
layouts under readable names (``policy.embedder.FRONT_FACING_CAMERA.conv1.weight``): convolutions are (out, in, height,
width), dense layers (out, in), and a feature map is flattened in the order height, width, channel.

Source: DeepRacer simapp, `markov/architecture/` and `rl_coach/architectures/tensorflow_components/`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Generator, Tensor, nn

from hotlap.deepracer.metadata_names import NETWORKS, SHALLOW
from hotlap.deepracer.sensors import CAMERA_CHANNELS, STEREO
from hotlap.errors import ConfigError
from hotlap.rl.distributions import Categorical, Distribution, Gaussian
from hotlap.rl.specs import ActionSpec, DiscreteActions

PIXEL_MAX = 255.0
_WORDS = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64}  # by their bytes


@dataclass(frozen=True)
class Conv:
    """A convolution without padding, followed by ReLU."""

    filters: int
    kernel: int
    stride: int


@dataclass(frozen=True)
class CameraLayers:
    """Layers of a camera embedder: convolutions, then dense layers with ReLU over the channels of each pixel."""

    convs: tuple[Conv, ...]
    pixel_dense: tuple[int, ...] = ()


@dataclass(frozen=True)
class Architecture:
    """One row of the table of networks."""

    camera: CameraLayers
    stereo: CameraLayers
    middleware: tuple[int, ...]


_SHALLOW_CAMERA = CameraLayers((Conv(32, 8, 4), Conv(64, 4, 2), Conv(64, 3, 1)))
_DEEP_STEREO = CameraLayers((Conv(32, 3, 1), Conv(64, 3, 2), Conv(64, 3, 1), Conv(128, 3, 2), Conv(128, 3, 1)))

ARCHITECTURES = {
    SHALLOW: Architecture(
        camera=_SHALLOW_CAMERA,
        stereo=_SHALLOW_CAMERA,
        middleware=(512,),
    ),
    NETWORKS[1]: Architecture(
        camera=CameraLayers((Conv(32, 5, 2), Conv(32, 3, 1), Conv(64, 3, 2), Conv(64, 3, 1)), (64,)),
        stereo=_DEEP_STEREO,
        middleware=(512,),
    ),
    NETWORKS[2]: Architecture(
        camera=CameraLayers((Conv(32, 8, 4), Conv(32, 4, 2), Conv(64, 4, 2), Conv(64, 3, 1)), (512, 512)),
        stereo=_DEEP_STEREO,
        middleware=(256, 128),
    ),
}
LIDAR_EMBEDDER = (256, 256)


def acting_part(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of the weights of an actor-critic, by name, those that acting needs."""
    return {name: weight for name, weight in weights.items() if name.startswith("policy.")}


def camera_layers(network: str, sensor: str) -> CameraLayers:
    """Layers that look at a camera-type sensor. The version-1 sensor has the shallow ones in every network."""
    if sensor == "observation":
        return _SHALLOW_CAMERA
    architecture = ARCHITECTURES[network]
    return architecture.stereo if sensor == STEREO else architecture.camera


class CameraEmbedder(nn.Module):
    """Looks at uint8 frames.

    The first convolution reads its frames *packed*: every block of stride x stride pixels is one cell with stride**2
    times the channels, the kernel is rearranged to whole cells (padded with zeros where it must be), and its stride
    is 1. That is the same sum in another order, and up to twice as fast as a convolution over one or two channels.
    Cells at the lower and right rim that no output depends on are left out.
    """

    def __init__(self, shape: tuple[int, ...], layers: CameraLayers) -> None:
        super().__init__()
        channels, height, width = shape
        self.num_convs = len(layers.convs)
        self.block = layers.convs[0].stride
        assert height % self.block == 0, f"height {height} is not a multiple of the first stride {self.block}"
        assert width % self.block == 0, f"width {width} is not a multiple of the first stride {self.block}"
        self.num_rows = _used_cells(height, layers.convs)
        self.num_columns = _used_cells(width, layers.convs)
        for index, conv in enumerate(layers.convs, start=1):
            self.add_module(f"conv{index}", nn.Conv2d(channels, conv.filters, conv.kernel, conv.stride))
            channels = conv.filters
        self.pixel_dense = DenseStack(channels, layers.pixel_dense)
        channels = self.pixel_dense.output_size
        self.output_size = channels * _output_pixels(height, layers.convs) * _output_pixels(width, layers.convs)

    def pack(self, frames: Tensor) -> Tensor:
        """Rearrange uint8 frames, shape (batch, channels, height, width), into what `forward` reads.

        Returns:
            Cells, uint8, shape (batch, num_rows, num_columns, channels * block**2), contiguous.

        Raises:
            ValueError: If the frames are not uint8.
        """
        if frames.dtype != torch.uint8:
            raise ValueError(f"frames must be uint8, 0 to 255, got {frames.dtype}")
        batch, channels = frames.shape[:2]
        rows, columns, block = self.num_rows, self.num_columns, self.block
        # One word per row of a block: moving words is several times faster than moving bytes.
        words = frames.contiguous().view(_WORDS[block])[:, :, : rows * block, :columns]
        cells = words.reshape(batch, channels, rows, block, columns).permute(0, 2, 4, 1, 3)
        return cells.contiguous().view(batch, rows, columns, channels * block).view(torch.uint8)

    def forward(self, cells: Tensor, dtype: torch.dtype) -> Tensor:
        """Features in ``dtype``, shape (batch, output_size), of packed frames."""
        # Pixels stay whole numbers, exact in bfloat16; their scale goes into the weights.
        maps = cells.to(dtype).permute(0, 3, 1, 2)
        for index in range(1, self.num_convs + 1):
            conv = self.get_submodule(f"conv{index}")
            assert isinstance(conv, nn.Conv2d)
            assert conv.bias is not None
            bias = conv.bias.to(dtype)
            if index == 1:
                maps = F.conv2d(maps, _pack_kernel(conv.weight / PIXEL_MAX, self.block).to(dtype), bias)
            else:
                maps = F.conv2d(maps, conv.weight.to(dtype), bias, stride=conv.stride)
            maps = F.relu_(maps)
        pixels = maps.permute(0, 2, 3, 1)
        return self.pixel_dense(pixels, dtype).flatten(start_dim=1)


def _output_pixels(size: int, convs: Sequence[Conv]) -> int:
    """Height or width after the convolutions."""
    for conv in convs:
        size = (size - conv.kernel) // conv.stride + 1
    return size


def _used_cells(size: int, convs: Sequence[Conv]) -> int:
    """Height or width, in cells of the first stride, of the part of the frame that the output depends on."""
    needed = _output_pixels(size, convs)
    for conv in reversed(convs[1:]):
        needed = (needed - 1) * conv.stride + conv.kernel
    first = convs[0]
    return needed - 1 + -(-first.kernel // first.stride)


def _pack_kernel(weight: Tensor, block: int) -> Tensor:
    """The kernel that does on packed frames what ``weight``, shape (out, in, kernel, kernel), does on frames."""
    num_out, num_in, kernel, _ = weight.shape
    cells = -(-kernel // block)
    padding = cells * block - kernel
    if padding:
        weight = F.pad(weight, (0, padding, 0, padding))
    weight = weight.reshape(num_out, num_in, cells, block, cells, block).permute(0, 1, 3, 5, 2, 4)
    return weight.reshape(num_out, num_in * block * block, cells, cells)


class DenseStack(nn.Module):
    """Dense layers, each followed by ReLU."""

    def __init__(self, input_size: int, units: Sequence[int]) -> None:
        super().__init__()
        for index, size in enumerate(units, start=1):
            self.add_module(f"dense{index}", nn.Linear(input_size, size))
            input_size = size
        self.output_size = input_size

    def pack(self, vectors: Tensor) -> Tensor:
        """Vectors are read as they are."""
        return vectors

    def forward(self, features: Tensor, dtype: torch.dtype) -> Tensor:
        features = features.to(dtype)
        for layer in self.children():
            assert isinstance(layer, nn.Linear)
            features = F.relu_(F.linear(features, layer.weight.to(dtype), layer.bias.to(dtype)))
        return features


@dataclass(frozen=True)
class Outputs:
    """What a tower says about a batch; what it has no head for is None.

    Attributes:
        policy: Distribution of the action.
        values: Expected returns, shape (batch,).
    """

    policy: Distribution | None = None
    values: Tensor | None = None


class Head(nn.Module):
    """The last layer: ``logits`` of a choice, or ``mean`` and ``log_std`` of a Gaussian, and/or the ``value``."""

    def __init__(self, input_size: int, actions: ActionSpec | None, has_value: bool) -> None:
        super().__init__()
        self.actions = actions
        if isinstance(actions, DiscreteActions):
            self.logits = nn.Linear(input_size, actions.num)
        elif actions is not None:
            self.mean = nn.Linear(input_size, actions.num_dims)
            # One spread for all states.
            self.log_std = nn.Parameter(torch.zeros(actions.num_dims))
        self.value = nn.Linear(input_size, 1) if has_value else None

    def forward(self, features: Tensor) -> Outputs:
        features = features.to(next(self.parameters()).dtype)
        policy: Distribution | None = None
        if isinstance(self.actions, DiscreteActions):
            policy = Categorical.from_logits(self.logits(features))
        elif self.actions is not None:
            policy = Gaussian.from_log_std(self.mean(features), self.log_std)
        return Outputs(policy, None if self.value is None else self.value(features).squeeze(-1))


class Tower(nn.Module):
    """Embedders, middleware and the heads on them.

    Args:
        network: A row of `ARCHITECTURES`, or one of somebody's own; see `is_own`.
        observations: Shape of one observation of each sensor.
        actions: What the policy may do; None for a tower without a policy.
        has_value: Whether the tower has a value head.
        generator: Randomness of the initial weights.
    """

    def __init__(
        self,
        network: str,
        observations: Mapping[str, tuple[int, ...]],
        *,
        actions: ActionSpec | None = None,
        has_value: bool = False,
        generator: Generator | None = None,
    ) -> None:
        super().__init__()
        # Alphabetical: the order in which the original concatenates.
        self.sensors = sorted(observations)
        self.body: nn.Module | None = None
        if is_own(network):
            self.body, features = _own_body(network, observations, generator)
            self.head = Head(features, actions, has_value)
            _initialize(self.head, generator, prefix="head")
            return
        embedders = {sensor: _make_embedder(network, sensor, observations[sensor]) for sensor in self.sensors}
        embedded = sum(embedder.output_size for embedder in embedders.values())
        self.embedder = nn.ModuleDict(embedders)
        self.middleware = DenseStack(embedded, ARCHITECTURES[network].middleware)
        self.head = Head(self.middleware.output_size, actions, has_value)
        _initialize(self, generator)

    def pack(self, obs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Arrange observations as `forward` reads them; worth doing once for frames that are looked at many times."""
        return {sensor: self.pack_sensor(sensor, obs[sensor]) for sensor in self.sensors}

    def pack_sensor(self, sensor: str, obs: Tensor) -> Tensor:
        """The share of one sensor in `pack`."""
        if self.body is not None:
            return obs
        embedder = self.embedder[sensor]
        assert isinstance(embedder, CameraEmbedder | DenseStack)
        return embedder.pack(obs)

    def forward(self, packed: Mapping[str, Tensor], dtype: torch.dtype = torch.float32) -> Outputs:
        """Outputs of the heads for packed observations.

        Args:
            packed: From `pack`, by sensor.
            dtype: Of the arithmetic before the heads. The heads compute in the dtype of their own weights.
        """
        if self.body is not None:
            return self.head(self.body(dict(packed)))
        embedded = [self.embedder[sensor](packed[sensor], dtype) for sensor in self.sensors]
        joined = embedded[0] if len(embedded) == 1 else torch.cat(embedded, dim=1)
        return self.head(self.middleware(joined, dtype))


def _make_embedder(network: str, sensor: str, shape: tuple[int, ...]) -> CameraEmbedder | DenseStack:
    if sensor in CAMERA_CHANNELS:
        return CameraEmbedder(shape, camera_layers(network, sensor))
    return DenseStack(shape[0], LIDAR_EMBEDDER)


def is_own(network: str) -> bool:
    """Whether a network's name is that of somebody's own, ``module:factory``.

    ``factory(shapes)`` takes the shape of one observation of each sensor and returns a torch module that makes features
    (batch, n) of a dictionary of observations: cameras are uint8 (batch, channels, height, width), others float32.
    Heads for policy and value are put on it here; it is built twice, for each, unless they share it.
    """
    return ":" in network


def _own_body(
    network: str, observations: Mapping[str, tuple[int, ...]], generator: Generator | None
) -> tuple[nn.Module, int]:
    """A network of somebody's own without heads, and the number of its features.

    Raises:
        ConfigError: If it cannot be imported or called, or gives no features.
    """
    module, _, factory = network.partition(":")
    seed = int(torch.randint(2**31, (), generator=generator))
    obs = {
        sensor: torch.zeros((1, *shape), dtype=torch.uint8 if sensor in CAMERA_CHANNELS else torch.float32)
        for sensor, shape in observations.items()
    }
    with torch.random.fork_rng(devices=()):
        torch.manual_seed(seed)
        try:
            body = getattr(importlib.import_module(module), factory)(dict(observations))
            features = body(obs)
            width = int(features.shape[1])
        except Exception as error:
            raise ConfigError(
                f"the network {network!r} cannot be built: {type(error).__name__}: {error}. Expected MODULE:FACTORY, "
                "where FACTORY(shapes) returns a torch module that makes features (batch, n) of a dictionary of "
                f"observations; the shapes are {dict(observations)}."
            ) from error
    return body, width


def _initialize(part: nn.Module, generator: Generator | None, *, prefix: str = "") -> None:
    """Glorot-uniform kernels and zero biases; the value and the mean of a Gaussian have rows of a given length."""
    for name, module in part.named_modules(prefix=prefix):
        if isinstance(module, nn.Conv2d | nn.Linear):
            if name.endswith("head.value"):
                _fill_rows(module.weight, 1.0, generator)
            elif name.endswith("head.mean"):
                _fill_rows(module.weight, 0.01, generator)
            else:
                nn.init.xavier_uniform_(module.weight, generator=generator)
            assert module.bias is not None
            nn.init.zeros_(module.bias)


@torch.no_grad()
def _fill_rows(weight: Tensor, norm: float, generator: Generator | None) -> None:
    """Fill with random directions: each row, the weights of one output, gets Euclidean length ``norm``."""
    weight.normal_(generator=generator)
    weight.mul_(norm / weight.norm(dim=1, keepdim=True))


class ActorCritic(nn.Module):
    """The policy and the value of one agent.

    Attributes:
        policy: Tower with the policy head; with ``shared_encoder`` it has the value head, too.
        value: Tower with the value head; None with ``shared_encoder``.
    """

    def __init__(
        self,
        network: str,
        observations: Mapping[str, tuple[int, ...]],
        actions: ActionSpec,
        *,
        shared_encoder: bool = False,
        seed: int = 0,
    ) -> None:
        super().__init__()
        if network not in ARCHITECTURES and not is_own(network):
            raise ValueError(f"unknown network {network!r}; known: {', '.join(ARCHITECTURES)}")
        if not observations:
            raise ValueError("observations must name at least one sensor")
        generator = torch.Generator().manual_seed(seed)
        self.network = network
        self.observations = dict(observations)
        self.actions = actions
        self.policy = Tower(network, observations, actions=actions, has_value=shared_encoder, generator=generator)
        self.value = None if shared_encoder else Tower(network, observations, has_value=True, generator=generator)

    @property
    def shared_encoder(self) -> bool:
        return self.value is None

    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())

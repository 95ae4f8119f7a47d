"""Networks of the policy and of the value, built from a table.

    tower = an embedder per sensor -> concatenation -> middleware -> head

Policy and value have a tower each and share nothing, unless the critic is ``shared``. Parameters are float32 in plain
layouts under readable names (``policy.embedder.FRONT_FACING_CAMERA.conv1.weight``): convolutions are (out, in, height,
width), dense layers (out, in), and a feature map is flattened in the order height, width, channel.

Source: DeepRacer simapp, `markov/architecture/` and `rl_coach/architectures/tensorflow_components/`.
"""

from __future__ import annotations

import importlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import torch
from torch import Generator, Tensor, nn

from hotlap.deepracer.metadata_names import DENSE
from hotlap.deepracer.sensors import CAMERA_CHANNELS, observation_shapes
from hotlap.deepracer.state_values import STATE
from hotlap.errors import ConfigError
from hotlap.rl.architectures import ARCHITECTURES, camera_layers, middleware_layers, vector_layers
from hotlap.rl.distributions import Categorical, Distribution, Gaussian
from hotlap.rl.embedders import CameraEmbedder, DenseStack
from hotlap.rl.specs import ActionSpec, DiscreteActions

Critic = Literal["camera", "state", "shared"]
"""Who estimates the value: a tower like the policy's, which sees what it sees; a small one that sees the simulator's
state; or a second head on the policy's own tower."""

_HEAD_ROWS = 16  # products of float32 with fewer rows round differently in the math library of Intel's processors


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
            # One standard deviation for all states.
            self.log_std = nn.Parameter(torch.zeros(actions.num_dims))
        self.value = nn.Linear(input_size, 1) if has_value else None

    def forward(self, features: Tensor) -> Outputs:
        features = features.to(next(self.parameters()).dtype)
        policy: Distribution | None = None
        if isinstance(self.actions, DiscreteActions):
            policy = Categorical.from_logits(_rows_alone(self.logits, features))
        elif self.actions is not None:
            policy = Gaussian.from_log_std(_rows_alone(self.mean, features), self.log_std)
        return Outputs(policy, None if self.value is None else _rows_alone(self.value, features).squeeze(-1))


def fill_up(rows: Tensor, number: int) -> Tensor:
    """At least ``number`` rows, by repeating the last."""
    missing = number - len(rows)
    return rows if missing <= 0 else torch.cat([rows, rows[-1:].expand(missing, *rows.shape[1:])])


def _rows_alone(layer: nn.Linear, rows: Tensor) -> Tensor:
    """The layer's outputs, in which no row depends on how many others there are."""
    outputs: Tensor = layer(fill_up(rows, _HEAD_ROWS))
    return outputs[: len(rows)]


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
        self.network, self.observations = network, dict(observations)
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
        self.middleware = DenseStack(embedded, middleware_layers(network))
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
    return DenseStack(shape[0], vector_layers(network))


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
        name: Of the network, as `Tower` takes it.
        critic: Who estimates the value, a `Critic`.
        policy: Tower with the policy head; with a shared critic it has the value head, too.
        value: Tower with the value head; None with a shared critic.
    """

    def __init__(
        self,
        network: str,
        observations: Mapping[str, tuple[int, ...]],
        actions: ActionSpec,
        *,
        critic: Critic = "camera",
        seed: int = 0,
    ) -> None:
        super().__init__()
        if network not in (*ARCHITECTURES, DENSE) and not is_own(network):
            raise ValueError(f"unknown network {network!r}; known: {', '.join((*ARCHITECTURES, DENSE))}")
        if not observations:
            raise ValueError("observations must name at least one sensor")
        generator = torch.Generator().manual_seed(seed)
        self.name = network
        self.observations = dict(observations)
        self.actions = actions
        self.critic = critic
        self.policy = Tower(network, observations, actions=actions, has_value=self.shared_encoder, generator=generator)
        self.value: Tower | None = None
        if critic == "camera":
            self.value = Tower(network, observations, has_value=True, generator=generator)
        elif critic == "state":
            self.value = Tower(DENSE, observation_shapes([STATE]), has_value=True, generator=generator)

    @property
    def shared_encoder(self) -> bool:
        """Whether policy and value share all but their heads."""
        return self.critic == "shared"

    def num_parameters(self) -> int:
        return sum(parameter.numel() for parameter in self.parameters())


def acting_part(weights: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Of the weights of a network, by name, those that acting needs."""
    return {name: weight for name, weight in weights.items() if name.startswith("policy.")}


def misfits(expected: Mapping[str, Tensor], given: Mapping[str, Tensor]) -> list[str]:
    """Names that only one of the two has, or of tensors whose shapes differ."""
    return sorted(expected.keys() ^ given.keys()) or [
        name for name, tensor in expected.items() if tensor.shape != given[name].shape
    ]

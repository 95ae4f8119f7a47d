"""The networks are the original's: sizes, order of inputs, initial weights; and packing frames changes no number."""

from __future__ import annotations

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.deepracer.sensors import observation_shapes
from hotlap.rl.architectures import ARCHITECTURES, camera_layers
from hotlap.rl.embedders import CameraEmbedder
from hotlap.rl.networks import ActorCritic, Tower
from hotlap.rl.specs import ContinuousActions, DiscreteActions

FIVE_ACTIONS = DiscreteActions(5)
STEERING_AND_SPEED = ContinuousActions((-30.0, 0.6), (30.0, 1.0))


def front_camera(network: str = SHALLOW, **settings) -> ActorCritic:
    return ActorCritic(network, observation_shapes(["FRONT_FACING_CAMERA"]), FIVE_ACTIONS, **settings)


def test_shallow_has_the_published_parameter_counts():
    sizes = {name: weight.numel() for name, weight in front_camera().state_dict().items()}

    def size(layer: str) -> int:
        return sizes[f"{layer}.weight"] + sizes[f"{layer}.bias"]

    for tower in ("policy", "value"):
        assert size(f"{tower}.embedder.FRONT_FACING_CAMERA.conv1") == 2_080
        assert size(f"{tower}.embedder.FRONT_FACING_CAMERA.conv2") == 32_832
        assert size(f"{tower}.embedder.FRONT_FACING_CAMERA.conv3") == 36_928
        assert size(f"{tower}.middleware.dense1") == 5_767_680
    assert size("policy.head.logits") == 5 * 513
    assert size("value.head.value") == 513
    assert sum(sizes.values()) == 2 * (2_080 + 32_832 + 36_928 + 5_767_680) + 6 * 513


@pytest.mark.parametrize(
    ("network", "sensor", "flattened"),
    [
        (SHALLOW, "FRONT_FACING_CAMERA", 11_264),
        (SHALLOW, "LEFT_CAMERA", 11_264),
        (SHALLOW, "STEREO_CAMERAS", 11_264),
        ("DEEP_CONVOLUTIONAL_NETWORK", "FRONT_FACING_CAMERA", 56_000),
        ("DEEP_CONVOLUTIONAL_NETWORK", "STEREO_CAMERAS", 112_000),
        ("DEEP_CONVOLUTIONAL_NETWORK", "observation", 11_264),
        ("DEEP_CONVOLUTIONAL_NETWORK_DEEP", "FRONT_FACING_CAMERA", 9_216),
        ("DEEP_CONVOLUTIONAL_NETWORK_DEEP", "STEREO_CAMERAS", 112_000),
    ],
)
def test_packed_embedder_computes_what_the_table_says(network, sensor, flattened):
    """Outputs and gradients are those of unmodified convolutions on whole frames, flattened height, width, channel."""
    torch.manual_seed(0)
    shape = observation_shapes([sensor])[sensor]
    embedder = CameraEmbedder(shape, camera_layers(network, sensor)).double()
    assert embedder.output_size == flattened
    frames = torch.randint(0, 256, (2, *shape), dtype=torch.uint8)

    features = embedder(embedder.pack(frames), torch.float64)
    weights = torch.randn_like(features)
    packed_gradients = torch.autograd.grad((features * weights).sum(), list(embedder.parameters()))

    maps = frames.double() / 255.0
    for name, layer in embedder.named_modules():
        if isinstance(layer, nn.Conv2d):
            maps = F.relu(layer(maps))
        elif isinstance(layer, nn.Linear):
            assert name.startswith("pixel_dense")
            maps = F.relu(F.conv2d(maps, layer.weight[:, :, None, None], layer.bias))
    plain = maps.permute(0, 2, 3, 1).reshape(2, -1)
    plain_gradients = torch.autograd.grad((plain * weights).sum(), list(embedder.parameters()))

    torch.testing.assert_close(features, plain)
    for packed_gradient, plain_gradient in zip(packed_gradients, plain_gradients, strict=True):
        torch.testing.assert_close(packed_gradient, plain_gradient)


def test_bfloat16_stays_within_its_rounding():
    """Four layers, each rounding inputs, weights and outputs to 8 bits, move features by a percent of their size."""
    torch.manual_seed(0)
    tower = front_camera().policy
    packed = tower.pack({"FRONT_FACING_CAMERA": torch.randint(0, 256, (8, 1, 120, 160), dtype=torch.uint8)})
    embedded = {dtype: tower.embedder["FRONT_FACING_CAMERA"](packed["FRONT_FACING_CAMERA"], dtype)
                for dtype in (torch.float32, torch.bfloat16)}  # fmt: skip
    exact = tower.middleware(embedded[torch.float32], torch.float32)
    rounded = tower.middleware(embedded[torch.bfloat16], torch.bfloat16).float()
    assert (rounded - exact).norm() < 0.02 * exact.norm()
    narrow, wide = tower(packed, torch.bfloat16).policy.probs, tower(packed).policy.probs
    torch.testing.assert_close(narrow, wide, atol=0.01, rtol=0)


def test_inputs_are_joined_in_alphabetical_order():
    sizes = observation_shapes(["STEREO_CAMERAS", "LIDAR"])
    tower = Tower(SHALLOW, sizes, has_value=True)
    assert tower.sensors == ["LIDAR", "STEREO_CAMERAS"]
    obs = {"STEREO_CAMERAS": torch.zeros(4, 2, 120, 160, dtype=torch.uint8), "LIDAR": torch.rand(4, 64)}
    with torch.no_grad():
        # Only what reads the LiDAR embedding, the first 256 columns, is left.
        tower.middleware.get_submodule("dense1").weight[:, 256:] = 0
        before = tower(tower.pack(obs)).values
        obs["STEREO_CAMERAS"] += 200
        assert torch.equal(tower(tower.pack(obs)).values, before)
        obs["LIDAR"] += 1.0
        assert not torch.equal(tower(tower.pack(obs)).values, before)


def test_initial_weights():
    """Glorot-uniform kernels, zero biases, value row of length 1, rows of the Gaussian mean of length 0.01."""
    actor_critic = ActorCritic(SHALLOW, observation_shapes(["FRONT_FACING_CAMERA"]), STEERING_AND_SPEED, seed=3)
    state = actor_critic.state_dict()
    for name, weight in state.items():
        if name.endswith("bias") or name.endswith("log_std"):
            assert not weight.any(), name
    conv = state["policy.embedder.FRONT_FACING_CAMERA.conv2.weight"]
    bound = (6.0 / (4 * 4 * (32 + 64))) ** 0.5
    assert conv.abs().max() <= bound
    # 32,768 uniform numbers: their spread is within a few percent of bound / sqrt(3).
    assert conv.std().item() == pytest.approx(bound / 3**0.5, rel=0.03)
    assert state["value.head.value.weight"].norm(dim=1).tolist() == pytest.approx([1.0])
    assert state["policy.head.mean.weight"].norm(dim=1).tolist() == pytest.approx([0.01, 0.01])


def test_seed_decides_the_initial_weights():
    first, same, other = (front_camera(seed=seed).state_dict() for seed in (1, 1, 2))
    name = "policy.middleware.dense1.weight"
    assert torch.equal(first[name], same[name])
    assert not torch.equal(first[name], other[name])


def test_policy_and_value_share_nothing_unless_asked():
    separate = front_camera()
    assert not {id(weight) for weight in separate.policy.parameters()} & {
        id(weight) for weight in separate.value.parameters()
    }
    shared = front_camera(critic="shared")
    assert shared.value is None
    assert {"policy.head.logits.weight", "policy.head.value.weight"} <= set(shared.state_dict())
    assert shared.num_parameters() == separate.num_parameters() - (2_080 + 32_832 + 36_928 + 5_767_680)


@pytest.mark.parametrize("network", ARCHITECTURES)
def test_every_network_answers(network):
    tower = ActorCritic(network, observation_shapes(["LIDAR", "LEFT_CAMERA"]), STEERING_AND_SPEED).policy
    outputs = tower(
        tower.pack({"LEFT_CAMERA": torch.zeros(2, 1, 120, 160, dtype=torch.uint8), "LIDAR": torch.rand(2, 64)})
    )
    assert outputs.policy.mean.shape == (2, 2)
    assert outputs.values is None


def test_frames_that_are_not_uint8_are_refused():
    """Scaled frames would be scaled once more, without a sign of it."""
    tower = front_camera().policy
    with pytest.raises(ValueError, match="must be uint8"):
        tower.pack({"FRONT_FACING_CAMERA": torch.rand(1, 1, 120, 160)})


def test_unknown_network_lists_the_known_ones():
    with pytest.raises(ValueError, match="known: DEEP_CONVOLUTIONAL_NETWORK_SHALLOW"):
        front_camera("RESNET")

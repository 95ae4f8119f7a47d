"""TensorFlow as judge of what we write for cars and of what we read of its own files; runs where it is installed.

python -m venv --system-site-packages tf && tf/bin/pip install tensorflow-cpu
tf/bin/python -m pytest -m slow tests/export/test_export_tensorflow.py
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_policies import STEER_AND_SPEED, frames, make_policy
from test_export_import import value_tower, write_prefix

from hotlap.config.metadata import ModelMetadata
from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.export.agreement import TOLERANCE, tower_output
from hotlap.export.car_graph import POLICY_OUTPUT, car_graph, policy_input
from hotlap.export.importing import import_model
from hotlap.export.layers import layers_of
from hotlap.records.checkpoints import CheckpointStore
from hotlap.rl.architectures import ARCHITECTURES, camera_layers
from hotlap.rl.networks import Tower
from hotlap.rl.specs import DiscreteActions
from hotlap.rollouts.model import build_network

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
pytestmark = [pytest.mark.slow, pytest.mark.timeout(3600)]
tf: Any = pytest.importorskip("tensorflow", reason="TensorFlow is not installed (1.4 GB; see this file's head)")

SENSOR = "FRONT_FACING_CAMERA"
INPUT = policy_input(SENSOR)
HALF_TOLERANCE = 1e-2
CLEAR = 2e-2
ACTIONS = {"discrete": DiscreteActions(9), "continuous": STEER_AND_SPEED}


@pytest.fixture(params=list(ACTIONS))
def policy(request: pytest.FixtureRequest) -> Tower:
    return make_policy(SHALLOW, ACTIONS[request.param])


def nhwc(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 2, 3, 1).astype(np.float32)


def run_frozen(content: bytes, images: np.ndarray) -> np.ndarray:
    """Outputs of a frozen graph in a session of TensorFlow's."""
    definition = tf.compat.v1.GraphDef.FromString(content)
    with tf.Graph().as_default(), tf.compat.v1.Session() as session:
        tf.import_graph_def(definition, name="")
        return session.run(f"{POLICY_OUTPUT}:0", {f"{INPUT}:0": nhwc(images)})


def test_session_computes_what_the_network_computes(policy: Tower, record_property: Any):
    images = frames(64)
    difference = np.abs(run_frozen(car_graph(layers_of(policy)), images) - tower_output(policy, images)).max()
    record_property("largest_difference", float(difference))
    print(f"\nTensorFlow {tf.__version__} session: {difference:.1e}")
    assert difference <= TOLERANCE


def test_our_bytes_are_the_message_of_tensorflow():
    content = car_graph(layers_of(make_policy(SHALLOW, DiscreteActions(5))))
    message = tf.compat.v1.GraphDef.FromString(content)
    assert tf.compat.v1.GraphDef.FromString(message.SerializeToString()) == message
    kernel = next(node for node in message.node if node.name.endswith("Conv2d_0/kernel"))
    assert tf.make_ndarray(kernel.attr["value"].tensor).shape == (8, 8, 1, 32)
    convolution = next(node for node in message.node if node.op == "Conv2D")
    assert list(convolution.attr["strides"].list.i) == [1, 4, 4, 1]
    assert message.versions.producer == 27


@pytest.mark.parametrize("half", [False, True], ids=["float32", "float16"])
def test_conversion_of_the_raspberry_pi_cars(tmp_path: Path, policy: Tower, half: bool):
    """`from_frozen_graph` with the names that those cars give; the image is input 0."""
    path = tmp_path / "model.pb"
    path.write_bytes(car_graph(layers_of(policy)))
    converter = tf.compat.v1.lite.TFLiteConverter.from_frozen_graph(
        str(path), input_arrays=[INPUT], output_arrays=[POLICY_OUTPUT], input_shapes={INPUT: [1, 120, 160, 1]}
    )
    if half:
        converter.optimizations = [tf.lite.Optimize.DEFAULT]
        converter.target_spec.supported_types = [tf.float16]
    interpreter = tf.lite.Interpreter(model_content=converter.convert())
    interpreter.allocate_tensors()
    (source,), (target,) = interpreter.get_input_details(), interpreter.get_output_details()
    assert source["index"] == 0
    images = frames(16)
    outputs = []
    for image in nhwc(images):
        interpreter.set_tensor(0, image[None])
        interpreter.invoke()
        outputs.append(interpreter.get_tensor(target["index"])[0])
    expected = tower_output(policy, images)
    difference = np.abs(np.stack(outputs) - expected).max()
    print(f"\nTFLite, {'16' if half else '32'} bits: {difference:.1e}")
    assert difference <= (HALF_TOLERANCE if half else TOLERANCE)
    if isinstance(policy.head.actions, DiscreteActions):
        best = np.sort(expected, axis=1)
        clear = best[:, -1] - best[:, -2] > CLEAR
        assert (np.stack(outputs).argmax(axis=1) == expected.argmax(axis=1))[clear].all()


@dataclass
class Trained:
    """What TensorFlow computed before its files were written."""

    policy: np.ndarray
    value: np.ndarray


def build_tower(source: Any, network: str, head: Any) -> tuple[Any, Any]:
    """A tower as rl_coach builds it, in the present variable scope, and its image.

    Args:
        source: The image; None: a placeholder of this tower's own.
        network: As in the metadata.
        head: Adds the last layer.
    """
    v1 = tf.compat.v1
    architecture, layers = ARCHITECTURES[network], camera_layers(network, SENSOR)
    init = tf.keras.initializers.GlorotUniform(seed=3)
    with v1.variable_scope(SENSOR):
        if source is None:
            source = v1.placeholder(tf.float32, [None, 120, 160, 1], name=SENSOR)
        last = source / 255.0
        last -= 0.0
        count = 0
        for conv in layers.convs:
            last = tf.keras.layers.Conv2D(
                conv.filters, conv.kernel, conv.stride, name=f"Conv2d_{count}", kernel_initializer=init
            )(last)
            last = tf.nn.relu(last, name=f"BatchnormActivationDropout_{count + 1}_activation")
            count += 2
        for units in layers.pixel_dense:
            last = tf.keras.layers.Dense(units, name=f"Dense_{count}", kernel_initializer=init)(last)
            last = tf.nn.relu(last, name=f"BatchnormActivationDropout_{count + 1}_activation")
            count += 2
        last = tf.keras.layers.Flatten()(last)
    with v1.variable_scope("middleware_fc_embedder"):
        for index, units in enumerate(architecture.middleware):
            last = tf.keras.layers.Dense(units, name=f"Dense_{2 * index}", kernel_initializer=init)(last)
            last = tf.nn.relu(last, name=f"BatchnormActivationDropout_{2 * index + 1}_activation")
    rescaler = v1.get_variable("gradients_from_head_0-0_rescalers", initializer=np.float32(1.0), trainable=False)
    last = (1 - rescaler) * tf.stop_gradient([last]) + rescaler * [last]
    return head(last[0]), source


def write_with_tensorflow(folder: Path, network: str, *, discrete: bool, images: np.ndarray) -> Trained:
    """Checkpoint, its graph and the frozen policy, all by TensorFlow itself."""
    v1, keras = tf.compat.v1, tf.keras.layers
    folder.mkdir(parents=True)

    def policy_head(features: Any) -> Any:
        with v1.variable_scope("ppo_head_0"):
            if discrete:
                return tf.nn.softmax(keras.Dense(5, name="policy_fc")(features), name="policy")
            v1.get_variable("policy_log_std", initializer=np.full((1, 2), -0.75, np.float32))
            return tf.identity(keras.Dense(2, name="policy_mean")(features), name="policy")

    def value_head(features: Any) -> Any:
        with v1.variable_scope("v_values_head_0"):
            return keras.Dense(1, name="output")(features)

    v1.disable_resource_variables()
    with tf.Graph().as_default(), v1.Session() as session, v1.variable_scope("main_level/agent/main/online"):
        with v1.variable_scope("network_0"):
            value, source = build_tower(None, network, value_head)
        with v1.variable_scope("network_1"):
            policy, _ = build_tower(source, network, policy_head)
        session.run(v1.global_variables_initializer())
        rng = np.random.default_rng(1)
        for variable in v1.global_variables():  # biases are zero otherwise
            if variable.name.endswith("bias:0"):
                variable.load(rng.normal(0, 0.05, variable.shape.as_list()).astype(np.float32), session)
        results = Trained(*session.run([policy, value], {source: nhwc(images)}))
        v1.train.Saver().save(session, str(folder / "4_Step-900.ckpt"))
        frozen = v1.graph_util.convert_variables_to_constants(session, session.graph_def, [policy.op.name])
        (folder / "model_4.pb").write_bytes(frozen.SerializeToString())
    return results


@pytest.mark.parametrize("network", ARCHITECTURES)
@pytest.mark.parametrize("kind", ["discrete", "continuous"])
def test_files_of_tensorflow_are_imported(tmp_path: Path, network: str, kind: str):
    """Networks built after the original's rules, saved by TensorFlow, compute here what they computed there.

    Also from the frozen graph alone, and with the value found by names.
    """
    images = frames(6)
    folder = tmp_path / "model"
    trained = write_with_tensorflow(folder, network, discrete=kind == "discrete", images=images)
    space: Any = [{"steering_angle": 10 * index - 20, "speed": 1} for index in range(5)]
    if kind == "continuous":
        space = {"steering_angle": {"low": -30, "high": 30}, "speed": {"low": 1, "high": 2}}
    metadata = {"action_space": space, "action_space_type": kind, "sensor": [SENSOR], "neural_network": network}
    (folder / "model_metadata.json").write_text(json.dumps({**metadata, "version": "5"}))

    def imported(place: Path) -> tuple[Any, Any]:
        result = import_model(folder, place)
        net = build_network(ModelMetadata.from_dict(metadata))
        net.load_state_dict(CheckpointStore(place).load("last").weights)
        return result, net

    result, net = imported(tmp_path / "whole")
    policy_difference = np.abs(tower_output(net.policy, images) - trained.policy).max()
    value_difference = np.abs(tower_output(net.value, images) - trained.value).max()
    print(f"\n{network}, {kind}: policy {policy_difference:.1e}, value {value_difference:.1e}")
    assert policy_difference <= TOLERANCE
    assert value_difference <= TOLERANCE
    assert str(result.checkpoint) == "4_Step-900.ckpt"
    assert result.policy.value == "compared"
    if kind == "continuous":
        np.testing.assert_array_equal(net.policy.head.log_std.detach().numpy(), np.full(2, -0.75, np.float32))

    (folder / "4_Step-900.ckpt.meta").unlink()
    result, by_names = imported(tmp_path / "by_names")
    assert result.policy.value == "by_names"
    assert np.abs(tower_output(by_names.value, images) - trained.value).max() <= TOLERANCE
    for file in folder.glob("4_Step*"):
        file.unlink()
    result, frozen = imported(tmp_path / "frozen")
    assert result.policy.value == "fresh"
    assert np.abs(tower_output(frozen.policy, images) - trained.policy).max() <= TOLERANCE


def test_tensorflow_reads_the_files_of_the_fast_tests(tmp_path: Path):
    """Checkpoint and graphs that `tf_files` writes are what they claim to be."""
    policy, value = make_policy(SHALLOW, DiscreteActions(3)), value_tower()
    folder = write_prefix(tmp_path / "prefix", policy, value) / "model"
    reader = tf.train.load_checkpoint(str(folder / "11_Step-38428.ckpt"))
    name = "main_level/agent/main/online/network_0/FRONT_FACING_CAMERA/Conv2d_2/kernel"
    np.testing.assert_array_equal(reader.get_tensor(name), layers_of(value).convs[1].kernel)
    images = frames(3)
    frozen = run_frozen((folder / "model_11.pb").read_bytes(), images)
    assert np.abs(frozen - tower_output(policy, images)).max() <= TOLERANCE
    meta = tf.compat.v1.MetaGraphDef.FromString((folder / "11_Step-38428.ckpt.meta").read_bytes())
    assert any(node.op == "VariableV2" for node in meta.graph_def.node)

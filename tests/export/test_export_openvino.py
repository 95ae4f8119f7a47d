"""OpenVINO, which reads the car's graph without TensorFlow, as an independent judge: what most cars run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sample_policies import STEER_AND_SPEED, frames, make_policy

from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.export.agreement import TOLERANCE, tower_output
from hotlap.export.car_graph import car_graph, policy_input
from hotlap.export.layers import layers_of
from hotlap.export.onnx_file import onnx_model
from hotlap.rl.architectures import ARCHITECTURES
from hotlap.rl.networks import Tower
from hotlap.rl.specs import DiscreteActions

openvino = pytest.importorskip("openvino", reason="the dev extra brings OpenVINO")

SENSOR = "FRONT_FACING_CAMERA"
HALF_TOLERANCE = 1e-2  # of weights in 16 bits
CLEAR = 2e-2  # by so much the best action must lead for its choice to count
ACTIONS = {"discrete": DiscreteActions(9), "continuous": STEER_AND_SPEED}


def infer(model: Any, images: np.ndarray) -> np.ndarray:
    """Outputs for images one by one, in 32 bits; OpenVINO takes 16 on processors that have them unless told."""
    compiled = openvino.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.concatenate([compiled({0: image[None].astype(np.float32)})[0] for image in images])


def nhwc(images: np.ndarray) -> np.ndarray:
    return images.transpose(0, 2, 3, 1)


def assert_near(outputs: np.ndarray, expected: np.ndarray, tolerance: float, *, discrete: bool) -> None:
    assert outputs.shape == expected.shape
    assert np.abs(outputs - expected).max() <= tolerance
    if discrete:
        best = np.sort(expected, axis=1)
        clear = best[:, -1] - best[:, -2] > CLEAR
        assert clear.sum() > len(clear) // 2
        assert (outputs.argmax(axis=1) == expected.argmax(axis=1))[clear].all()


@pytest.fixture(scope="module", params=list(ACTIONS))
def policy(request: pytest.FixtureRequest) -> Tower:
    return make_policy(SHALLOW, ACTIONS[request.param])


def write_graph(folder: Path, tower: Tower) -> Path:
    path = folder / "model.pb"
    path.write_bytes(car_graph(layers_of(tower)))
    return path


def test_openvino_computes_what_the_network_computes(tmp_path: Path, policy: Tower):
    """Straight from the file, to 1e-5."""
    images = frames(12)
    model = openvino.Core().read_model(write_graph(tmp_path, policy))
    expected = tower_output(policy, images)
    assert_near(infer(model, nhwc(images)), expected, TOLERANCE, discrete=policy.head.actions != STEER_AND_SPEED)


@pytest.mark.parametrize("network", [name for name in ARCHITECTURES if name != SHALLOW])
def test_openvino_reads_the_deeper_networks(tmp_path: Path, network: str):
    tower, images = make_policy(network, DiscreteActions(5)), frames(3)
    model = openvino.Core().read_model(write_graph(tmp_path, tower))
    assert np.abs(infer(model, nhwc(images)) - tower_output(tower, images)).max() <= TOLERANCE


def test_procedure_of_the_newest_car(tmp_path: Path, policy: Tower):
    """Convert freely to learn the inputs' names, again with the shape of the sensor that a name contains, save in 16
    bits, infer; then only a clear lead decides."""
    graph = write_graph(tmp_path, policy)
    free = openvino.convert_model(graph)
    names = [port.get_any_name() for port in free.inputs]
    assert len(names) == 1
    assert SENSOR in names[0]
    model = openvino.convert_model(graph, input=[(f"{policy_input(SENSOR)}:0", [1, 120, 160, 1])])
    openvino.save_model(model, tmp_path / "model.xml", compress_to_fp16=True)
    saved = openvino.Core().read_model(tmp_path / "model.xml")
    assert list(saved.outputs[0].shape) == [1, len(policy.head.logits.bias) if hasattr(policy.head, "logits") else 2]
    images = frames(12)
    expected = tower_output(policy, images)
    assert_near(infer(saved, nhwc(images)), expected, HALF_TOLERANCE, discrete=policy.head.actions != STEER_AND_SPEED)


def test_onnx_computes_what_the_network_computes(tmp_path: Path, policy: Tower):
    """In the layout of our frames, channels first."""
    pytest.importorskip("onnx")
    path = tmp_path / "model.onnx"
    path.write_bytes(onnx_model(layers_of(policy)))
    model = openvino.Core().read_model(path)
    assert model.inputs[0].get_any_name() == SENSOR
    images = frames(12)
    assert_near(
        infer(model, images),
        tower_output(policy, images),
        TOLERANCE,
        discrete=policy.head.actions != STEER_AND_SPEED,
    )


def test_openvino_and_our_reader_refuse_the_same(tmp_path: Path):
    """A file cut short, and a text."""
    from hotlap.errors import RecordError
    from hotlap.export.graph import read_graph

    content = car_graph(layers_of(make_policy(SHALLOW, DiscreteActions(3))))
    for number, broken in enumerate((content[: len(content) // 2], b"a text, not a graph\n")):
        path = tmp_path / f"{number}.pb"
        path.write_bytes(broken)
        with pytest.raises(Exception, match=r".*"):  # OpenVINO's errors are plain RuntimeErrors or its own
            openvino.Core().read_model(path)
        with pytest.raises(RecordError, match="not a usable TensorFlow graph"):
            read_graph(broken, str(path))

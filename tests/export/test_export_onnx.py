"""ONNX as a side product: its own reference implementation agrees; without the package the error names the way out."""

from __future__ import annotations

import sys

import numpy as np
import pytest
from sample_policies import STEER_AND_SPEED, frames, make_policy

from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.errors import MissingExtraError
from hotlap.export.agreement import TOLERANCE, tower_output
from hotlap.export.layers import layers_of
from hotlap.export.onnx_file import onnx_model
from hotlap.rl.specs import DiscreteActions


def test_missing_extra_names_the_way_out(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, "onnx", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hotlap\[onnx\]'"):
        onnx_model(layers_of(make_policy(SHALLOW, DiscreteActions(3))))


@pytest.mark.parametrize("network", [SHALLOW, "DEEP_CONVOLUTIONAL_NETWORK_DEEP"])
def test_reference_implementation_computes_what_the_network_computes(network: str):
    """Also with layers over pixels; the batch is free."""
    onnx = pytest.importorskip("onnx")
    from onnx.reference import ReferenceEvaluator

    tower = make_policy(network, DiscreteActions(5))
    content = onnx_model(layers_of(tower))
    assert content == onnx_model(layers_of(tower))
    model = onnx.load_model_from_string(content)
    images = frames(3)
    (outputs,) = ReferenceEvaluator(model).run(None, {"FRONT_FACING_CAMERA": images.astype(np.float32)})
    assert np.abs(outputs - tower_output(tower, images)).max() <= TOLERANCE


@pytest.mark.parametrize("actions", [DiscreteActions(9), STEER_AND_SPEED], ids=["discrete", "continuous"])
def test_onnxruntime_computes_what_the_network_computes(actions: DiscreteActions):
    runtime = pytest.importorskip("onnxruntime", reason="onnxruntime is not installed; OpenVINO judges instead")
    pytest.importorskip("onnx")
    tower, images = make_policy(SHALLOW, actions), frames(12)
    session = runtime.InferenceSession(onnx_model(layers_of(tower)), providers=["CPUExecutionProvider"])
    (outputs,) = session.run(["policy"], {"FRONT_FACING_CAMERA": images.astype(np.float32)})
    assert np.abs(outputs - tower_output(tower, images)).max() <= TOLERANCE

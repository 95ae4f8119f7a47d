"""A sensor of somebody's own: registered by its name, and nothing else is touched."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch
from tiny_model import write_model

from hotlap.deepracer.sensors import OWN_SHAPES
from hotlap.envs.race import Race
from hotlap.evaluation.evaluator import Evaluator
from hotlap.records.checkpoints import CheckpointStore
from hotlap.sensors.kinds import SENSORS, SensorKind, register
from hotlap.sim.simulator import Simulator
from hotlap.sim.starts import Start
from hotlap.training.trainer import Trainer

NAME = "RANGE_FINDER"
ANGLES = np.radians([-60, -30, 0, 30, 60])
REACH = 2.0  # [m]


def distances(simulator: Simulator, worlds: np.ndarray) -> np.ndarray:
    """How far five rays go before they leave the road [m], at most `REACH`."""
    motion = simulator.state.motion.numpy()[worlds]
    track = simulator.scene.tracks[0]
    along = np.linspace(0, REACH, 41)
    heading = motion["yaw"][..., None] + ANGLES
    x = motion["x"][..., None, None] + along * np.cos(heading)[..., None]
    y = motion["y"][..., None, None] + along * np.sin(heading)[..., None]
    gaps = np.hypot(x[..., None] - track.center[:, 0], y[..., None] - track.center[:, 1]).min(axis=-1)
    off = gaps > 0.4
    return np.where(off.any(axis=-1), along[off.argmax(axis=-1)], REACH).astype(np.float32)


@pytest.fixture
def _registered() -> Iterator[None]:
    register(NAME, SensorKind((len(ANGLES),), distances))
    yield
    del SENSORS[NAME], OWN_SHAPES[NAME]


@pytest.mark.usefixtures("_registered")
def test_a_sensor_of_ones_own_is_seen_learned_from_and_driven_with(tmp_path: Path):
    """Beside the camera; the network gets an embedder for it, whose weights learn."""
    model = write_model(
        tmp_path,
        metadata={"sensor": ["FRONT_FACING_CAMERA", NAME]},
        training={"max_iterations": 1, "eval_laps": 2},
        built_in_network=True,
    )
    name = f"policy.embedder.{NAME}.dense1.weight"
    with Trainer(model) as trainer:
        before = trainer.network.state_dict()[name].clone()
        assert before.shape[1] == len(ANGLES)
        trainer.run()
    assert not torch.equal(CheckpointStore(tmp_path).load("last").weights[name], before)
    evaluator = Evaluator(model, laps=2)
    evaluator.run()
    race = Race(evaluator.config, 1)
    race.reset([0], [Start()])
    seen = race.observe(np.array([0]))
    assert seen.keys() == {"FRONT_FACING_CAMERA", NAME}
    assert seen[NAME].shape == (1, 1, len(ANGLES))
    assert len(np.unique(seen[NAME])) > 1

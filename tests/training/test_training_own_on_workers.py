"""A sensor, a network and an algorithm of somebody's own, all in one model, on two workers: as on one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from trained_folder import curve, weights

# A program of its own, because workers take over the path of modules that their trainer had when Ray began.
PROGRAM = """
import sys
from pathlib import Path

sys.path[:0] = sys.argv[3:]
from test_training_own_learner import Reinforce
from test_training_own_sensor import distances
from tiny_model import write_model

import hotlap
from hotlap.rl.learner import register as register_algorithm
from hotlap.sensors.kinds import SensorKind
from hotlap.sensors.kinds import register as register_sensor


def three_distances(simulator, worlds):
    return distances(simulator, worlds)[..., 1:4]


register_algorithm("reinforce", Reinforce)
register_sensor("RANGE_FINDER", SensorKind((3,), three_distances))
for workers in (1, 2):
    model = write_model(
        Path(sys.argv[1]) / f"model{workers}",
        metadata={"sensor": ["FRONT_FACING_CAMERA", "RANGE_FINDER"], "training_algorithm": "reinforce"},
        hyperparameters={"lr": 0.01},
        training={"workers": workers, "network": "my_networks:Own", "precision": "float32", "max_iterations": 2}
        | ({"cluster": sys.argv[2]} if workers == 2 else {}),
    )
    print("iterations:", hotlap.train(model.path).iterations)
"""
NETWORK = """
import torch
from torch import nn


class Own(nn.Module):
    def __init__(self, shapes):
        super().__init__()
        self.dense = nn.Linear(12 * 16 + shapes["RANGE_FINDER"][0], 16)

    def forward(self, obs):
        pixels = nn.functional.avg_pool2d(obs["FRONT_FACING_CAMERA"].float() / 255, 10).flatten(1)
        return torch.tanh(self.dense(torch.cat([pixels, obs["RANGE_FINDER"]], dim=1)))
"""


def test_own_parts_learn_the_same_on_two_workers(ray_cluster: None, tmp_path: Path):
    """The sensor's function lies in the program itself, which no worker can import; the network in a module."""
    import ray

    (tmp_path / "my_networks.py").write_text(NETWORK)
    here, address = Path(__file__).parent, ray.get_runtime_context().gcs_address
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, *map(str, (tmp_path, address, tmp_path, here, here.parent))],
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("iterations: 2") == 2
    one, two = (tmp_path / f"model{workers}" for workers in (1, 2))
    assert len(set(weights(one).values())) > 2  # it learned
    assert weights(one) == weights(two)
    assert curve(one) == curve(two)

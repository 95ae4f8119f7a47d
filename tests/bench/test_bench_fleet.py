"""What is measured of a fleet."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scaling import bench_scaling
from tiny_model import write_model

from hotlap.bench.fleet_speed import _step_costs, bench_fleet, time_of_step
from hotlap.bench.transport_speed import compression
from hotlap.errors import ConfigError, MissingExtraError
from hotlap.rollouts.fleet import InProcessFleet
from hotlap.rollouts.model import build_network, rollout_setup
from hotlap.rollouts.plan import StartRule, plan_training
from hotlap.rollouts.request import CollectRequest


def test_costs_of_a_step_are_found_again():
    """From clocks that follow the law exactly, whatever the order in which episodes end."""
    clock = finished = played = 0.0
    rows = [(clock, finished, played)]
    for num_worlds, ended in ((8, 0), (8, 0), (8, 1), (7, 3), (4, 0), (4, 2), (2, 0), (2, 1), (1, 0), (1, 1)):
        clock += 1e-6 * (900 + 250 * num_worlds + 70 * ended)
        finished, played = finished + ended, played + num_worlds
        rows.append((clock, finished, played))
    rows.append((5.0, 0, 0))  # another collection begins
    costs = _step_costs(np.array(rows))
    assert [number for number, _ in costs["step_us"]] == [1, 2, 4, 8]
    for number in (1, 3, 8, 20):
        assert time_of_step(costs["step_us"], number) == pytest.approx(900 + 250 * number)
    assert costs["episode_end_us"] == pytest.approx(70)


def test_every_way_of_compressing_gives_the_frames_back(tmp_path: Path):
    """And is slower and smaller than nothing; the check of the frames is in the measurement."""
    model = write_model(tmp_path, built_in_network=True)
    setup = rollout_setup(model, model.job)
    weights = build_network(setup.metadata).state_dict()
    policy = {name: value for name, value in weights.items() if name.startswith("policy.")}
    plans = plan_training([StartRule()], job_seed=0, iteration=0, num_episodes=2, first_number=0)
    ways = compression(InProcessFleet(setup).start(CollectRequest(plans, policy)).result(), repeats=1)
    assert [(way["codec"], way["delta"]) for way in ways] == [
        ("zlib 1", False),
        ("zlib 1", True),
        ("zstandard 1", False),
        ("zstandard 1", True),
    ]
    assert all(way["ratio"] > 1.5 and way["encode_us"] > 0 and way["decode_us"] > 0 for way in ways)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"workers": []}, "--workers"),
        ({"workers": [2, 2]}, "--workers"),
        ({"workers": [0]}, "--workers"),
        ({"episodes": 0}, "--episodes"),
        ({"repeats": 0}, "--repeats"),
        ({"worlds": 0}, "--worlds"),
    ],
)
def test_impossible_arguments_are_named(options, words):
    with pytest.raises(ConfigError, match=words):
        bench_fleet(**options)


def test_absence_of_ray_is_told_before_anything_is_measured(monkeypatch):
    monkeypatch.setattr("hotlap.bench.fleet_speed.find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hotlap\[cluster\]'"):
        bench_fleet()


@pytest.mark.slow
@pytest.mark.timeout(1200)
def test_a_fleet_is_measured(tmp_path: Path):
    """A real run: every fleet plays the same episodes, and the result is enough for a simulation."""
    pytest.importorskip("ray", reason="ray is not installed: pip install 'hotlap[cluster]'")
    found = bench_fleet(workers=(1, 2), episodes=6, repeats=1, iterations=1)
    assert set(found["speedup"]) == {"1", "2"}
    assert found["speedup"]["1"] == 1.0
    assert [each["same_episodes"] for each in found["collection"].values()] == [1.0] * 3
    assert len(found["episode_steps"]) == 12
    for number, share in found["idle_share"].items():
        stages = found["training"][number]["stages_s"]
        assert share == pytest.approx((stages["collect"] + stages["evaluate"]) / sum(stages.values()))
    path = tmp_path / "fleet.json"
    path.write_text(json.dumps(found))
    assert len(bench_scaling(path, most=2)["scenarios"]) == 9

"""How many workers play makes no difference to what is played."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import numpy as np
import pytest
from played_episodes import assert_same, training_plans, weights_of
from tiny_model import write_model

from hotlap.rollouts.fleet import InProcessFleet
from hotlap.rollouts.model import RolloutSetup, rollout_setup
from hotlap.rollouts.plan import plan_evaluation
from hotlap.rollouts.ray_fleet import RayFleet
from hotlap.rollouts.request import CollectRequest
from hotlap.tracks.route_file import write_route
from hotlap.tracks.track import Track

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture(scope="module")
def three_races(tmp_path_factory: pytest.TempPathFactory) -> RolloutSetup:
    """Three workers on three tracks, e-greedy, in double precision: sums do not depend on the size of a batch."""
    folder = tmp_path_factory.mktemp("races")
    angle = np.linspace(0, 2 * np.pi, 41)
    unit = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    for radius in (1.5, 2.0):
        ring = Track(f"ring{radius}", radius * unit, (radius - 0.4) * unit, (radius + 0.4) * unit, closed=True)
        write_route(ring, folder / f"{radius}.npy")
    model = write_model(
        folder,
        hyperparameters={"exploration_type": "e-greedy", "epsilon_steps": 2000},
        training={"eval_laps": 7},
    )
    tables = ({}, {"track": str(folder / "1.5.npy")}, {"track": str(folder / "2.0.npy"), "reverse_dir": True})
    job = model.job.model_copy(update={"workers": tables})
    return replace(rollout_setup(model, job), precision="float64")


@pytest.fixture(scope="module")
def fleets(three_races: RolloutSetup) -> Iterator[list[RayFleet]]:
    """One, two and four workers."""
    fleets: list[RayFleet] = []
    try:
        fleets += [RayFleet(three_races, num_workers) for num_workers in (1, 2, 4)]
        yield fleets
    finally:
        for fleet in fleets:
            fleet.close()


@pytest.mark.parametrize("kind", ["training", "step_cap", "evaluation"])
def test_any_number_of_workers_plays_the_same_episodes(three_races: RolloutSetup, fleets: list[RayFleet], kind: str):
    """On three tracks, exploring e-greedily; with a cap that counts over all workers; and driving evaluation laps."""
    weights = weights_of(three_races)
    request = CollectRequest(training_plans(8, num_workers=3, first_number=40), weights)
    if kind == "evaluation":
        laps = plan_evaluation(job_seed=3, number=1, num_laps=7, reverse=(False, False, True))
        request = CollectRequest.evaluation(laps, weights)
    in_process = InProcessFleet(three_races)
    expected = in_process.start(request).result()
    if kind == "step_cap":
        request = replace(request, step_cap=sum(episode.num_steps for episode in expected[:4]))
        expected = in_process.start(request).result()
    assert len(expected) == {"training": 8, "step_cap": 4, "evaluation": 7}[kind]
    assert {episode.plan.worker for episode in expected} == {0, 1, 2}
    for fleet in fleets:
        weights_before = {name: value.clone() for name, value in weights.items()}
        batch = fleet.start(request)
        for value in weights.values():
            value.zero_()  # they may change as soon as `start` has returned
        assert_same(batch.result(), expected)
        for name, value in weights_before.items():
            weights[name].copy_(value)

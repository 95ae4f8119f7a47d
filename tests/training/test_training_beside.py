"""Evaluations that are driven beside the next iteration: what is learned, and when it ends, is as without that."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from tiny_model import ROUND_AND_ROUND, write_model
from trained_folder import curve, episodes, log, weights

from hotlap.evaluation.statistics import EvaluationReport, LapResult
from hotlap.records.checkpoints import CheckpointStore
from hotlap.rollouts.fleet import InProcessFleet
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.sim.scene import RaceRules
from hotlap.training import selection, trainer
from hotlap.training.listener import Silence
from hotlap.training.selection import COLLAPSE_EVALUATIONS
from hotlap.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("short_run_offs")

ONE_EPISODE = {"num_episodes_between_training": 1}


class FleetBeside(InProcessFleet):
    """Plays here, too, but the trainer goes on as it does with processes of their own."""

    concurrent = True


@pytest.fixture
def beside(monkeypatch: pytest.MonkeyPatch) -> Callable[[], None]:
    """Call it to let trainings use such a fleet from now on."""

    def use() -> None:
        monkeypatch.setattr(trainer, "build_fleet", lambda setup, *_, **__: FleetBeside(setup))

    return use


class Stages(Silence):
    """Notes the stages that begin."""

    def __init__(self) -> None:
        self.begun: list[str] = []

    def on_stage(self, stage: str, total: int | None) -> None:
        self.begun.append(stage)


def assert_same(one: Path, other: Path) -> None:
    """Weights, records, log, and what is chosen."""
    assert weights(one) == weights(other)
    assert curve(one) == curve(other)
    assert episodes(one) == episodes(other)
    assert log(one) == log(other)
    assert CheckpointStore(one).best() == CheckpointStore(other).best()


def script_of(monkeypatch: pytest.MonkeyPatch, completions: Sequence[float]) -> None:
    """Let each evaluation measure what the script says."""
    script = list(completions)

    def measure(episodes: Sequence[PlayedEpisode], rules: RaceRules) -> tuple[EvaluationReport, list[float]]:
        return EvaluationReport((LapResult(1, 1000, script.pop(0), "off_track"),)), [0.0]

    monkeypatch.setattr(selection, "measured", measure)


def test_a_fleet_stops_at_the_goal_where_one_process_does(tmp_path: Path, beside: Callable[[], None]):
    """What was played and learned beside the evaluation that reached it is dropped."""
    changes: dict[str, Any] = {
        "actions": ROUND_AND_ROUND,
        "hyperparameters": ONE_EPISODE,
        "training": {"goal_clean_share": 0.5, "goal_evaluations": 2, "max_iterations": 5},
    }
    alone = write_model(tmp_path / "alone", **changes)
    assert Trainer(alone).run().iterations == 2
    beside()
    model = write_model(tmp_path / "model", **changes)
    with Trainer(model) as training:
        result = training.run()
        last = CheckpointStore(model.path).load("last").weights
        assert all(value.equal(last[name]) for name, value in training.network.state_dict().items())
    assert (result.reason, result.iterations) == ("goal", 2)
    assert_same(model.path, alone.path)


def test_a_fleet_reaches_its_goal_in_the_last_iteration(tmp_path: Path, beside: Callable[[], None]):
    """The goal is the reason, not the limit, which was known before it."""
    beside()
    settings = {"goal_clean_share": 0.5, "goal_evaluations": 1, "max_iterations": 1}
    model = write_model(tmp_path, actions=ROUND_AND_ROUND, hyperparameters=ONE_EPISODE, training=settings)
    assert Trainer(model).run().reason == "goal"


@pytest.mark.parametrize("lag", [0, 1])
def test_a_fleet_goes_back_to_the_best_where_one_process_does(
    lag: int, tmp_path: Path, beside: Callable[[], None], monkeypatch: pytest.MonkeyPatch
):
    """And learns the same afterwards (with a policy lag, no less)."""
    script = [80.0, *[1.0] * COLLAPSE_EVALUATIONS, 60.0, 70.0]
    settings = {"max_iterations": len(script), "max_policy_lag": lag}
    folders = []
    for name in ("alone", "model"):
        script_of(monkeypatch, script)
        model = write_model(tmp_path / name, hyperparameters=ONE_EPISODE, training=settings)
        assert Trainer(model).run().iterations == len(script)
        folders.append(model.path)
        beside()
    if lag == 0:
        assert_same(*folders)
    assert len(curve(folders[1])) == len(script)


@pytest.mark.parametrize("where", ["here", "beside"])
def test_a_training_that_ended_with_a_return_to_the_best_goes_on_from_there(
    where: str, tmp_path: Path, beside: Callable[[], None], monkeypatch: pytest.MonkeyPatch
):
    """Resumed, it is one that never stopped in between: no evaluation is driven again."""
    if where == "beside":
        beside()
    script = [80.0, *[1.0] * COLLAPSE_EVALUATIONS, 60.0]
    whole = write_model(tmp_path / "whole", hyperparameters=ONE_EPISODE, training={"max_iterations": len(script)})
    script_of(monkeypatch, script)
    Trainer(whole).run()
    script_of(monkeypatch, script)
    model = write_model(tmp_path / "parts", hyperparameters=ONE_EPISODE, training={"max_iterations": len(script) - 1})
    Trainer(model).run()
    assert Trainer(model, resume=True, iterations=1).run().iterations == len(script)
    assert_same(model.path, whole.path)


@pytest.mark.parametrize("where", ["here", "beside"])
def test_a_finished_training_that_resumes_drives_nothing(where: str, tmp_path: Path, beside: Callable[[], None]):
    """Neither its last evaluation nor the run-off; it leaves and chooses the same."""
    if where == "beside":
        beside()
    model = write_model(
        tmp_path, actions=ROUND_AND_ROUND, hyperparameters=ONE_EPISODE, training={"max_iterations": 2, "eval_laps": 1}
    )
    first = Stages()
    result = Trainer(model, listener=first).run()
    assert first.begun.count("evaluate") > 2  # also in duels, or in the run-off
    states = [path.read_bytes() for path in sorted((tmp_path / "model").glob("*.json"))]
    files = weights(tmp_path), curve(tmp_path), log(tmp_path)
    again = Stages()
    assert Trainer(model, listener=again, resume=True).run().best == result.best
    assert not {"collect", "update", "evaluate", "checkpoint"} & set(again.begun)
    assert (weights(tmp_path), curve(tmp_path), log(tmp_path)) == files
    assert [path.read_bytes() for path in sorted((tmp_path / "model").glob("*.json"))] == states

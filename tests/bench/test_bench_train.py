"""The training benchmark, and the environment as Stable-Baselines3 gets it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from tiny_model import write_model

from hotlap.bench import records_cost, sb3
from hotlap.bench.recipe import stock_model
from hotlap.bench.sb3 import require_sb3, sb3_environment
from hotlap.bench.training_speed import bench_train
from hotlap.envs.time_trial import TimeTrialVectorEnv
from hotlap.errors import ConfigError, MissingExtraError
from hotlap.records.events import IterationRecord
from hotlap.training.trainer import Trainer


def test_recipe_is_the_stock_one(tmp_path: Path):
    """The numbers of DeepRacer-for-Cloud's default files."""
    model = stock_model(tmp_path, track="first_lap", training={"seed": 3})
    settings, metadata = model.hyperparameters, model.metadata
    assert (settings.batch_size, settings.num_epochs, settings.num_episodes_between_training) == (64, 5, 20)
    assert (settings.lr, settings.discount_factor, settings.loss_type) == (3e-4, 0.99, "huber")
    actions = [(action.steering_angle, action.speed) for action in metadata.action_space.actions]
    assert actions == [(-30, 0.6), (-15, 0.6), (0, 0.6), (15, 0.6), (30, 0.6)]
    assert metadata.network == "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW"
    assert not model.job.training.shared_encoder
    assert model.job.training.seed == 3


def test_sb3_gets_the_new_start_in_the_step_that_ends_an_episode():
    """As Stable-Baselines3 expects: the last image in the info, a time limit marked, the new start as observation."""
    pytest.importorskip("stable_baselines3", reason="stable-baselines3 is not installed: pip install 'hotlap[sb3]'")
    plain = TimeTrialVectorEnv(2, max_steps=3)
    env = sb3_environment(TimeTrialVectorEnv(2, max_steps=3))
    env.seed(0)
    expected, _ = plain.reset(seed=0)
    obs = env.reset()
    assert obs.shape == (2, 1, 120, 160)
    np.testing.assert_array_equal(obs[:, 0], expected[..., 0])
    for step in range(1, 7):
        expected, rewards, _, truncated, _ = plain.step(np.array([2, 3]))
        obs, found, dones, infos = env.step(np.array([2, 3]))
        np.testing.assert_allclose(found, rewards, rtol=1e-6)
        assert dones.tolist() == truncated.tolist() == [step % 3 == 0] * 2
        if dones.all():
            for world in range(2):
                np.testing.assert_array_equal(infos[world]["terminal_observation"][0], expected[world, ..., 0])
                assert infos[world]["TimeLimit.truncated"]
            expected, *_ = plain.step(np.array([0, 0]))  # resets there
        np.testing.assert_array_equal(obs[:, 0], expected[..., 0])


def test_absence_of_sb3_is_an_error_that_tells_the_way(monkeypatch):
    monkeypatch.setattr(sb3, "find_spec", lambda name: None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hotlap\[sb3\]'"):
        require_sb3()


@pytest.mark.parametrize(("options", "words"), [({"iterations": 0}, "--iterations"), ({"versus": "rllib"}, "rllib")])
def test_impossible_arguments_are_named(options, words):
    with pytest.raises(ConfigError, match=words):
        bench_train(**options)


@pytest.mark.slow
def test_training_is_measured():
    """A real run: the stable keys, a share of the peak below one, and stages that make up the rates."""
    found = bench_train(iterations=1, others=False)
    assert found["env_steps_per_s"] == pytest.approx(
        found["num_steps"] / (found["stages_s"]["collect"] + found["stages_s"]["update"])
    )
    # Five epochs over what was collected, less the incomplete minibatch of each.
    num_samples = found["update_samples_per_s"] * found["stages_s"]["update"]
    assert 0.8 * 5 * found["num_steps"] < num_samples <= 5 * found["num_steps"]
    assert 0.0 < found["gemm_share"] < 1.0
    assert found["sb3_ratio"] is None
    assert found["shared_encoder_env_steps_per_s"] is None


def test_what_records_cost_is_measured_with_the_same_work(monkeypatch: pytest.MonkeyPatch):
    """Without records a training plays and learns the same, and writes nothing."""
    written: dict[bool, set[str]] = {}
    losses: dict[bool, list[dict[str, float]]] = {}
    run = Trainer.run

    def watched(trainer: Trainer) -> object:
        recorded = type(trainer) is Trainer
        result = run(trainer)
        folder = trainer.folder.path
        written[recorded] = {
            str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file() and path.stat().st_size
        }
        losses[recorded] = trainer.listener._listeners[0].losses  # type: ignore[attr-defined]
        return result

    class Watch(records_cost._Watch):
        def __init__(self) -> None:
            super().__init__()
            self.losses: list[dict[str, float]] = []

        def on_iteration(self, record: IterationRecord) -> None:
            super().on_iteration(record)
            self.losses.append(record.losses)

    monkeypatch.setattr(records_cost, "_Watch", Watch)
    monkeypatch.setattr(Trainer, "run", watched)
    monkeypatch.setattr(records_cost, "stock_model", lambda folder, **_: write_model(folder))
    found = records_cost.measure_records_cost(track="first_lap", iterations=1, repeats=1, options={})
    assert found["records_cost"] > -1
    assert {"collect", "update", "record", "checkpoint"} <= found["records"]["stages_s"].keys()
    assert losses[True] == losses[False]
    assert "metrics/progress.jsonl" in written[True]
    given = {"reward_function.py", "model_metadata.json", "hyperparameters.json", "job.toml", "ring.npy"}
    announced = {"model/model_metadata.json", "ip/hyperparameters.json", "ip/ip.json", "ip/done"}
    locked = {".training.lock", ".training.json"}
    assert written[False] <= given | announced | locked

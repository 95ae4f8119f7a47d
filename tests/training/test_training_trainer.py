"""Whole trainings in small: the same bytes again, resumed after kills, stopped by rules and by mistakes."""

from __future__ import annotations

import csv
import json
import signal
import sys
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from hotlap_process import Hotlap, end, wait_for
from tiny_model import ROUND_AND_ROUND, WANDERING, write_model
from watched_reward import WATCHED

from hotlap.cli import main as command_line
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import RecordError, RewardError, TrainingError
from hotlap.evaluation.statistics import EvaluationReport, LapResult
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.events import IterationRecord, ProgressLog
from hotlap.records.folder import Folder
from hotlap.rl.learner import Update
from hotlap.rollouts.worker import PlayedEpisode
from hotlap.sim.scene import RaceRules
from hotlap.training import selection
from hotlap.training.listener import Silence
from hotlap.training.selection import COLLAPSE_EVALUATIONS
from hotlap.training.trainer import MAX_BAD_UPDATES, Trainer

pytestmark = pytest.mark.usefixtures("short_run_offs")

ONE_EPISODE = {"num_episodes_between_training": 1}


class Notes(Silence):
    """Listens, and notes how often the reward function had been called when each stage began."""

    def __init__(self, folder: Path) -> None:
        self.calls = folder / "calls"
        self.stages: list[tuple[str, int]] = []
        self.messages: list[str] = []

    def on_stage(self, stage: str, total: int | None) -> None:
        self.stages.append((stage, self.calls.stat().st_size if self.calls.exists() else 0))

    def on_message(self, message: str) -> None:
        self.messages.append(message)


def lasting_files(folder: Path) -> dict[str, bytes]:
    """What a training leaves behind and what must not depend on the clock."""
    kept = {}
    patterns = ("model/*.safetensors", "training-simtrace/*.csv", "metrics/**/*.json", "model/deepracer*.json")
    for pattern in (*patterns, "logs/training/*", "metrics/episodes.jsonl"):
        kept |= {str(path.relative_to(folder)): path.read_bytes() for path in sorted(folder.glob(pattern))}
    return kept


def curve(folder: Path) -> list[IterationRecord]:
    """The recorded iterations, without what the clock says."""
    return [replace(record, elapsed_s=0.0, stages_s={}) for record in ProgressLog(Folder(folder)).read()]


def run_command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int | str | None:
    """Run `hotlap` in this process; the exit code."""
    monkeypatch.setattr(sys, "argv", ["hotlap", *arguments])
    try:
        command_line.main()
    except SystemExit as exit:
        return exit.code
    return 0


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Notes]:
    """A training of three iterations that nothing disturbed."""
    model = write_model(tmp_path_factory.mktemp("finished"), reward=WATCHED)
    notes = Notes(model.path)
    result = Trainer(model, listener=notes).run()
    assert (result.reason, result.iterations) == ("max_iterations", 3)
    return model.path, notes


def test_the_same_seed_gives_the_same_bytes(finished: tuple[Path, Notes], tmp_path: Path):
    """Checkpoints, traces, metrics and choice of the best."""
    again = write_model(tmp_path / "again", reward=WATCHED)
    Trainer(again).run()
    first, second = lasting_files(finished[0]), lasting_files(again.path)
    assert first.keys() == second.keys()
    assert {name for name in first if first[name] != second[name]} == set()
    assert curve(finished[0]) == curve(again.path)
    assert len([name for name in first if name.endswith(".safetensors")]) == 5  # 0 to 3, and the newest optimizer
    assert len([name for name in first if name.endswith(".csv")]) == 3


def test_another_seed_gives_another_model(finished: tuple[Path, Notes], tmp_path: Path):
    """Both the first weights and the episodes follow from the seed."""
    model = write_model(tmp_path, reward=WATCHED, training={"seed": 1, "max_iterations": 1})
    Trainer(model).run()
    name = "model/0_Step-0.safetensors"
    assert (tmp_path / name).read_bytes() != (finished[0] / name).read_bytes()
    assert curve(tmp_path)[0].num_steps != curve(finished[0])[0].num_steps


def test_the_records_of_a_training_fit_together(finished: tuple[Path, Notes]):
    """Numbers run through: iterations, episodes, steps, simulation clock, in traces, metrics and progress alike."""
    folder, _ = finished
    records = curve(folder)
    assert [record.iteration for record in records] == [0, 1, 2]
    metrics = json.loads((folder / "metrics" / "TrainingMetrics.json").read_text())["metrics"]
    assert [each["episode"] for each in metrics if each["phase"] == "training"] == list(range(1, 10))
    # Each evaluation follows the training episodes of its iteration and repeats the numbers of the last of them.
    assert [(each["phase"], each["episode"], each["trial"]) for each in metrics[3:5]] == [("evaluation", 3, 3)] * 2
    evaluated = [each["completion_percentage"] for each in metrics if each["phase"] == "evaluation"]
    for record, pair in zip(records, zip(evaluated[0::2], evaluated[1::2], strict=True), strict=True):
        assert record.evaluation is not None
        assert sum(pair) / 2 == pytest.approx(record.evaluation.completion_mean, abs=1.0)  # percents are cut
    steps = 0
    clock = 0.0
    for record in records:
        with open(folder / f"training-simtrace/{record.iteration}-iteration.csv") as file:
            rows = list(csv.DictReader(file))
        assert len(rows) == record.num_steps
        assert sorted({int(row["episode"]) for row in rows}) == [3 * record.iteration + k for k in range(3)]
        steps += len(rows)
        assert record.total_steps == steps
        assert record.checkpoint == f"{record.iteration + 1}_Step-{steps}.ckpt"
        rewards = [sum(float(row["reward"]) for row in rows if int(row["episode"]) == number) for number in range(9)]
        assert record.reward_mean == pytest.approx(sum(rewards) / 3, rel=1e-6)
        assert float(rows[0]["tstamp"]) == pytest.approx(clock + 1 / 15, abs=1e-5)
        clock += len(rows) / 15
        for row in rows:
            assert (row["done"] == "True") == (row["episode_status"] not in ("prepare", "in_progress"))


@pytest.mark.parametrize(("stage", "occurrence"), [("collect", 1), ("evaluate", 2)], ids=["collect", "last_evaluation"])
def test_a_killed_training_resumes_as_if_nothing_had_happened(
    finished: tuple[Path, Notes], tmp_path: Path, stage: str, occurrence: int
):
    """kill -9 in the middle of collecting or of evaluating, then --resume: the same bytes as without the kill."""
    undisturbed, notes = finished
    model = write_model(tmp_path / "killed", reward=WATCHED)
    begin = [calls for name, calls in notes.stages if name == stage][occurrence]
    (model.path / "hang").write_text(str(begin + 5))
    with Hotlap(tmp_path).fork("train", model.path) as training:
        wait_for((model.path / "hanging").exists, "the place where the training is killed")
        training.send_signal(signal.SIGKILL)
        end(training)
    assert lasting_files(model.path) != lasting_files(undisturbed)
    (model.path / "hang").unlink()

    result = Trainer(model, resume=True).run()
    assert result.iterations == 3
    resumed, expected = lasting_files(model.path), lasting_files(undisturbed)
    assert resumed.keys() == expected.keys()
    assert {name for name in resumed if resumed[name] != expected[name]} == set()
    assert curve(model.path) == curve(undisturbed)


def test_a_finished_training_goes_on_where_it_ended(tmp_path: Path):
    """One iteration, then a second with --resume, e-greedy: the share of random actions goes on falling too."""
    settings: dict[str, Any] = {"exploration_type": "e-greedy", "epsilon_steps": 200}
    whole = write_model(tmp_path / "whole", hyperparameters=settings, training={"max_iterations": 2})
    Trainer(whole).run()
    model = write_model(tmp_path / "parts", hyperparameters=settings, training={"max_iterations": 1})
    Trainer(model).run()
    result = Trainer(model, job=model.job.updated(training={"max_iterations": 2}), resume=True).run()
    assert (result.iterations, result.total_steps) == (2, curve(whole.path)[-1].total_steps)
    resumed, expected = lasting_files(model.path), lasting_files(whole.path)
    assert {name for name in expected if resumed.get(name) != expected[name]} == set()
    assert curve(model.path) == curve(whole.path)


def test_files_that_changed_in_between_are_told_once(tmp_path: Path):
    """The training goes on with them; without a change, or with a state that knows of none, nothing is said."""

    def messages() -> list[str]:
        notes = Notes(tmp_path)
        Trainer(model, resume=True, listener=notes, iterations=1).run()
        return notes.messages

    model = write_model(tmp_path, training={"max_iterations": 1})
    Trainer(model).run()
    assert messages() == []
    model.reward_file.write_text(f"{model.reward_file.read_text()}# faster\n")
    write = model.hyperparameters_file.write_text
    write(model.hyperparameters_file.read_text().replace('"num_epochs": 1', '"num_epochs": 2'))
    model = ModelFolder(tmp_path)
    (told,) = messages()
    assert told.startswith("Changed since the last iteration: reward_function.py, hyperparameters.json. ")
    assert messages() == []
    for path in (tmp_path / "model").glob("*.state.json"):
        state = json.loads(path.read_text())
        del state["extra"]["files"]
        path.write_text(json.dumps(state))
    model.reward_file.write_text(f"{model.reward_file.read_text()}# faster still\n")
    assert messages() == []


def test_a_reward_function_that_fails_costs_nothing_of_the_iterations_before(
    finished: tuple[Path, Notes], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """One paragraph, exit code 2; checkpoints, progress and traces stay, and training goes on once it is mended."""
    undisturbed, notes = finished
    model = write_model(tmp_path / "model", reward=WATCHED)
    begin = [calls for name, calls in notes.stages if name == "collect"][2]
    (model.path / "fail").write_text(str(begin + 5))
    assert run_command(monkeypatch, "train", str(model.path)) == 2
    told = capsys.readouterr().err
    assert "Traceback" not in told
    assert "reward_function.py, line 13, episode" in " ".join(told.split())
    assert "RuntimeError: as asked" in " ".join(told.split())
    assert [name.number for name in CheckpointStore(model.path).list()] == [0, 1, 2]
    assert curve(model.path) == curve(undisturbed)[:2]
    assert (model.path / "training-simtrace" / "1-iteration.csv").exists()
    (model.path / "fail").unlink()
    assert run_command(monkeypatch, "train", str(model.path), "--resume", "--json") == 0
    assert json.loads(capsys.readouterr().out)["iterations"] == 3
    assert lasting_files(model.path) == lasting_files(undisturbed)


def test_an_earlier_training_is_neither_overwritten_nor_mixed_with_a_new_one(tmp_path: Path):
    """Without --resume or --wipe it is refused; --wipe begins anew without a trace of the old."""
    model = write_model(tmp_path / "model", training={"max_iterations": 2})
    Trainer(model).run()
    before = lasting_files(model.path)
    with pytest.raises(RecordError, match=r"2_Step-\d+.ckpt.*--resume.*--wipe"):
        Trainer(model).open()
    assert lasting_files(model.path) == before
    shorter = model.job.updated(training={"max_iterations": 1, "seed": 5})
    Trainer(model, job=shorter, wipe=True).run()
    fresh = write_model(tmp_path / "fresh")
    Trainer(fresh, job=shorter.updated(race={"track": str(fresh.path / "ring.npy")})).run()
    assert lasting_files(model.path) == lasting_files(fresh.path)
    assert len(curve(model.path)) == 1


def test_wiping_waits_until_the_new_training_can_begin(tmp_path: Path):
    """A mistake in the reward function must not cost the model that --wipe was to replace."""
    model = write_model(tmp_path / "model", training={"max_iterations": 1})
    Trainer(model).run()
    kept = sorted((model.path / "model").iterdir())
    model.reward_file.write_text("def reward_function(params)\n")
    with pytest.raises(RewardError):
        Trainer(model, wipe=True).open()
    assert sorted((model.path / "model").iterdir()) == kept


def test_a_checkpoint_of_another_network_is_not_resumed(tmp_path: Path):
    """The files were changed in between: say so, touch nothing."""
    model = write_model(tmp_path, training={"max_iterations": 1})
    Trainer(model).run()
    before = lasting_files(tmp_path)
    with pytest.raises(RecordError, match="made for another network"):
        Trainer(write_model(tmp_path, actions=WANDERING[:2]), resume=True).open()
    assert lasting_files(tmp_path) == before


@pytest.mark.parametrize("folder", ["model", "metrics", "training-simtrace"])
def test_a_place_that_cannot_be_written_is_an_error_with_a_way_out(
    folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """A file stands where a folder is needed: it also stops the superuser, whom permissions do not."""
    model = write_model(tmp_path, training={"max_iterations": 1})
    (tmp_path / folder).write_text("in the way")
    assert run_command(monkeypatch, "train", str(model.path)) == 2
    told = " ".join(capsys.readouterr().err.split())
    assert "could not be written" in told
    assert f"A file stands where the folder {tmp_path / folder} is needed; move it away" in told
    assert "Traceback" not in told


class Poisoned:
    """A learner whose updates break the weights, the first ``times`` of them."""

    def __init__(self, trainer: Trainer, times: int) -> None:
        self.trainer, self.times, self.update_truly = trainer, times, trainer.learner.update

    def __call__(self, *arguments: Any, **settings: Any) -> Update:
        stats = self.update_truly(*arguments, **settings)
        if self.times:
            self.times -= 1
            next(self.trainer.network.parameters()).data.fill_(torch.nan)
            stats = replace(stats, finite=False)
        return stats


def test_weights_that_break_are_taken_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """The iteration is played again from the good weights, with other episodes; numbering has no gap."""
    model = write_model(tmp_path, training={"max_iterations": 2})
    notes = Notes(tmp_path)
    with Trainer(model, listener=notes) as trainer:
        monkeypatch.setattr(trainer.learner, "update", Poisoned(trainer, 1))
        assert trainer.run().iterations == 2
    assert len(notes.messages) == 1
    assert "not finite" in notes.messages[0]
    assert [record.iteration for record in curve(tmp_path)] == [0, 1]
    last = CheckpointStore(tmp_path).load("last")
    assert last.name.number == 2
    assert all(bool(torch.isfinite(value).all()) for value in last.weights.values())


def test_a_learning_rate_beyond_all_measure_ends_with_the_last_good_checkpoint(tmp_path: Path):
    """Extreme rewards and steps: the weights overflow in each attempt, and after three training gives up."""
    extreme = "def reward_function(params):\n    return 1e5 if params['steps'] % 2 else -1e5\n"
    model = write_model(tmp_path, reward=extreme, hyperparameters={"lr": 1e30, "batch_size": 16, "num_epochs": 2})
    notes = Notes(tmp_path)
    with pytest.raises(TrainingError, match=r"not finite.*0_Step-0.ckpt.*Lower lr"):
        Trainer(model, listener=notes).run()
    assert len(notes.messages) == MAX_BAD_UPDATES
    last = CheckpointStore(tmp_path).load("last")
    assert last.name.number == 0
    assert all(bool(torch.isfinite(value).all()) for value in last.weights.values())


def test_another_measure_of_the_best_counts_all_laps_anew(tmp_path: Path):
    """What was chosen by percent is compared in milliseconds when job.toml says so at a resume."""
    model = write_model(tmp_path, actions=ROUND_AND_ROUND, training={"max_iterations": 1}, hyperparameters=ONE_EPISODE)
    Trainer(model, job=model.job.updated(training={"best_model_metric": "progress"})).run()
    job = model.job.updated(training={"best_model_metric": "laptime", "max_iterations": 3})
    best = Trainer(model, job=job, resume=True).run().best
    assert best is not None
    assert best.metric > 1000
    entry = CheckpointStore(tmp_path).best()
    assert entry is not None
    assert (str(entry.name), entry.avg_eval_metric) == (best.name, best.metric)


@pytest.mark.parametrize("lost", [False, True], ids=["there", "lost"])
def test_a_policy_that_collapsed_goes_back_to_the_best(lost: bool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """After several bad evaluations in a row, not after single ones; the numbering goes on."""
    bad = [1.0] * COLLAPSE_EVALUATIONS
    script = [80.0, bad[0], 79.0, *bad]
    model = write_model(tmp_path, training={"max_iterations": len(script)}, hyperparameters=ONE_EPISODE)
    notes = Notes(tmp_path)
    num_iterations = len(script)

    def measure(episodes: Sequence[PlayedEpisode], rules: RaceRules) -> tuple[EvaluationReport, list[float]]:
        """The progress at the end of every lap is what the script says."""
        if lost and len(script) == 1:
            (best,) = (path for path in (tmp_path / "model").glob("1_Step-*.safetensors") if "opt" not in path.name)
            best.unlink()
        return EvaluationReport((LapResult(1, 1000, script.pop(0), "off_track"),)), [0.0]

    monkeypatch.setattr(selection, "measured", measure)
    with Trainer(model, listener=notes) as trainer:
        assert trainer.run().iterations == num_iterations == len(curve(tmp_path))
    (message,) = notes.messages
    if lost:
        assert message.endswith("Training goes on with the present weights.")
        return
    best = CheckpointStore(tmp_path).load("best")
    assert best.name.number == 1
    for name, value in trainer.network.state_dict().items():
        assert torch.equal(value, best.weights[name]), name


def test_continuous_actions_train(tmp_path: Path):
    """Both dimensions are written to the trace, within their ranges, and the weights move."""
    actions = {"steering_angle": {"low": -25, "high": 25}, "speed": {"low": 2.0, "high": 3.0}}
    model = write_model(tmp_path, actions=actions, training={"max_iterations": 1})
    assert Trainer(model).run().iterations == 1
    with open(tmp_path / "training-simtrace" / "0-iteration.csv") as file:
        rows = list(csv.DictReader(file))
    assert all(-25 <= float(row["steer"]) <= 25 and 2 <= float(row["throttle"]) <= 3 for row in rows)
    assert all(row["action"].startswith("[") for row in rows)
    store = CheckpointStore(tmp_path)
    first, last = store.load(0), store.load(1)
    assert all(bool(torch.isfinite(value).all()) for value in last.weights.values())
    assert any(not torch.equal(first.weights[name], value) for name, value in last.weights.items())


def test_the_step_cap_bounds_an_iteration(tmp_path: Path):
    """Episodes beyond it are neither learnt from nor recorded; an iteration without any is an error."""
    model = write_model(tmp_path / "some", training={"max_iterations": 1, "step_cap": 30})
    Trainer(model).run()
    (record,) = curve(model.path)
    assert record.num_steps <= 30
    assert 0 < record.num_episodes < 3
    none = write_model(tmp_path / "none", training={"max_iterations": 1, "step_cap": 3})
    with pytest.raises(TrainingError, match=r"step cap of 3 steps.*step_cap"):
        Trainer(none).run()


def stop(tmp_path: Path, **changes: Any) -> tuple[str, int]:
    result = Trainer(write_model(tmp_path, **changes)).run()
    return result.reason, result.iterations


def test_training_stops_at_its_goal(tmp_path: Path):
    """Here any policy drives clean laps, so as many evaluations are enough as must reach it in a row."""
    changes: dict[str, Any] = {
        "actions": ROUND_AND_ROUND,
        "race": {"randomize_vehicle": 0.0},
        "hyperparameters": ONE_EPISODE,
        "training": {"goal_clean_share": 0.95, "goal_evaluations": 2, "max_iterations": 5},
    }
    assert stop(tmp_path, **changes) == ("goal", 2)
    record = curve(tmp_path)[-1]
    assert record.evaluation is not None
    assert (record.evaluation.clean_rate, record.laps_completed, record.is_best) == (1.0, 1, True)
    assert record.evaluation.completion_mean == 100.0
    best = json.loads((tmp_path / "model" / "deepracer_checkpoints.json").read_text())["best_checkpoint"]
    assert (best["name"], best["avg_eval_metric"]) == (record.checkpoint, 100.0)


def test_training_stops_at_the_limits_of_the_hyperparameters(tmp_path: Path):
    """term_cond_max_episodes counts iterations; term_cond_avg_score is the mean reward of an iteration's episodes."""
    assert stop(
        tmp_path / "episodes",
        hyperparameters=ONE_EPISODE | {"term_cond_max_episodes": 1},
        training={"max_iterations": 0},
    ) == ("term_cond_max_episodes", 1)
    assert stop(tmp_path / "score", hyperparameters=ONE_EPISODE | {"term_cond_avg_score": 3.0}) == (
        "term_cond_avg_score",
        1,
    )


def test_training_stops_when_time_is_up(tmp_path: Path):
    """Between iterations; the first checkpoint is there in any case."""
    assert stop(tmp_path, training={"max_minutes": 1e-6}) == ("max_minutes", 0)
    assert [name.number for name in CheckpointStore(tmp_path).list()] == [0]


def test_evaluations_may_be_rarer_than_iterations(tmp_path: Path):
    """eval_every 2: the second iteration of two is evaluated."""
    settings = {"max_iterations": 2, "eval_every": 2, "eval_laps": 1}
    model = write_model(tmp_path, hyperparameters=ONE_EPISODE, training=settings)
    Trainer(model).run()
    assert [record.evaluation is not None for record in curve(tmp_path)] == [False, True]


def test_errors_of_the_reward_function_reach_whoever_trains(tmp_path: Path):
    """As `RewardError`, before anything else is spoilt."""
    model = write_model(tmp_path, reward="def reward_function(params):\n    return params['progres']\n")
    with pytest.raises(RewardError, match="Did you mean 'progress'"):
        Trainer(ModelFolder(model.path)).run()
    assert [name.number for name in CheckpointStore(tmp_path).list()] == [0]

"""A training that begins with another model's weights: what goes on, what begins anew, and what must fit."""

from __future__ import annotations

import json
import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from s3_server import S3Server
from tiny_model import ROUND_AND_ROUND, WANDERING, write_model

import hotlap
from hotlap.cli import main as command_line
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import RecordError
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.trainer_state import TrainerState
from hotlap.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("slim_networks")


def run_command(monkeypatch: pytest.MonkeyPatch, *words: object) -> int | str | None:
    """Run `hotlap` in this process; the exit code."""
    monkeypatch.setattr(sys, "argv", ["hotlap", *map(str, words)])
    try:
        command_line.main()
    except SystemExit as exit:
        return exit.code
    return 0


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """A model with the checkpoints 0 and 1, of which 1 is the best."""
    model = write_model(tmp_path_factory.mktemp("source"), training={"max_iterations": 1}, built_in_network=True)
    Trainer(model).run()
    return model


def model_in(folder: Path, source: ModelFolder | Path, which: str | int = "best", **changes: Any) -> ModelFolder:
    """A model that is to begin with weights of ``source``, for one iteration."""
    place = source.path if isinstance(source, ModelFolder) else source
    training = {"max_iterations": 1, "clone_from": str(place), "clone_checkpoint": which}
    return write_model(folder, training=training | changes.pop("training", {}), **changes, built_in_network=True)


def bytes_below(folder: Path) -> dict[Path, bytes]:
    """All files but the lock, which says who came last."""
    return {
        path: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.name.startswith(".training")
    }


def same_weights(place: Path | str, number: int, source: ModelFolder, of: int) -> bool:
    ours, theirs = CheckpointStore(place).load(number).weights, CheckpointStore(source.path).load(of).weights
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def state_of(folder: Path, number: int) -> TrainerState:
    state = CheckpointStore(folder).load(number).state
    assert state is not None
    return state


@pytest.mark.parametrize(("which", "number"), [("best", 1), (0, 0)])
def test_numbers_go_on_and_statistics_begin_anew(source: ModelFolder, tmp_path: Path, which, number):
    """All weights are taken, those of the value too; the source stays as it is, its pointer included."""
    before = bytes_below(source.path)
    model = model_in(tmp_path, source, which)
    Trainer(model).run()
    assert [name.number for name in CheckpointStore(tmp_path).list()] == [number + 1, number + 2]
    assert same_weights(tmp_path, number + 1, source, number)
    assert not same_weights(tmp_path, number + 2, source, number)
    first = state_of(tmp_path, number + 1)
    assert (first.iteration, first.total_steps, first.num_episodes, first.best) == (0, 0, 0, None)
    index = json.loads((tmp_path / "model" / "deepracer_checkpoints.json").read_text())
    assert index["best_checkpoint"]["name"].startswith(f"{number + 2}_Step-")
    assert bytes_below(source.path) == before


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"actions": WANDERING[:2]}, "action_space of 3 discrete actions, not 2 discrete actions"),
        (
            {"actions": {"steering_angle": {"low": -25, "high": 25}, "speed": {"low": 2.0, "high": 3.0}}},
            "action_space of 3 discrete actions, not continuous actions",
        ),
        ({"training": {"shared_encoder": True}}, "training.critic = camera, not none (shared_encoder)"),
        (
            {"metadata": {"neural_network": "DEEP_CONVOLUTIONAL_NETWORK_DEEP", "sensor": ["LEFT_CAMERA"]}},
            "neural_network DEEP_CONVOLUTIONAL_NETWORK_SHALLOW, not DEEP_CONVOLUTIONAL_NETWORK_DEEP; "
            "sensor FRONT_FACING_CAMERA, not LEFT_CAMERA",
        ),
    ],
    ids=["number", "kind", "encoder", "network_and_sensor"],
)
def test_what_does_not_fit_is_named(source: ModelFolder, tmp_path: Path, changes: dict[str, Any], says: str):
    """Nothing is written before the architecture has proved to fit."""
    metadata = changes.pop("metadata", {})
    model = model_in(tmp_path, source, **changes)
    model.metadata_file.write_text(json.dumps(json.loads(model.metadata_file.read_text()) | metadata))
    with pytest.raises(RecordError, match=r"checkpoint 1_Step-\d+\.ckpt in .* made for another network") as caught:
        Trainer(ModelFolder(tmp_path)).open()
    assert f"describe now: {says}. Clone a model of the same" in str(caught.value)
    assert not (tmp_path / "model").exists()


def test_what_a_clone_may_change(source: ModelFolder, tmp_path: Path):
    """Values of actions, hyperparameters, the reward function."""
    actions = [ROUND_AND_ROUND[0], *ROUND_AND_ROUND]
    model = model_in(
        tmp_path,
        source,
        actions=actions,
        reward="def reward_function(params):\n    return 1.0\n",
        hyperparameters={"lr": 1e-4, "discount_factor": 0.5, "batch_size": 16},
    )
    assert Trainer(model).run().iterations == 1
    assert CheckpointStore(tmp_path).load(2).metadata["action_space"]["actions"] == actions


def test_an_earlier_training_is_not_replaced_unless_it_is_wiped(source: ModelFolder, tmp_path: Path):
    """Not by a clone either, not even of itself; --resume goes on and clones nothing."""
    shutil.copytree(source.path, tmp_path / "own")
    model = ModelFolder(tmp_path / "own")
    job = model.job.updated(training={"clone_from": str(model.path)}, race={"track": str(model.path / "ring.npy")})
    before = bytes_below(model.path)
    with pytest.raises(RecordError, match=r"already holds a trained model .*--resume.*--wipe"):
        Trainer(model, job=job).open()
    assert bytes_below(model.path) == before
    with Trainer(model, job=job, resume=True) as trainer:
        assert (trainer.state.iteration, trainer.cloned) == (1, None)
    Trainer(model, job=job, wipe=True).run()
    assert [name.number for name in CheckpointStore(model.path).list()] == [2, 3]
    assert same_weights(model.path, 2, source, 1)
    log = (model.path / "logs/training/training-sagemaker.log").read_text()
    assert [line for line in log.splitlines() if line.startswith("Checkpoint>")] == [
        f"Checkpoint> Saving in path=['./checkpoint_sagemaker/agent/{name}']"
        for name in CheckpointStore(model.path).list()
    ]


def test_a_model_of_deepracer_is_not_written_over(tmp_path: Path):
    """Its files would be mixed with ours, so neither a new training nor --resume begins; --wipe does."""
    model = write_model(tmp_path, training={"max_iterations": 1}, built_in_network=True)
    (tmp_path / "model").mkdir()
    (tmp_path / "model" / "11_Step-38428.ckpt.index").write_bytes(b"theirs")
    for settings in ({}, {"resume": True}):
        with pytest.raises(RecordError, match=r"DeepRacer trained \(model/11_Step-38428\.ckpt\.index\).*--clone"):
            Trainer(model, **settings).open()
    Trainer(model, wipe=True).run()
    assert not (tmp_path / "model" / "11_Step-38428.ckpt.index").exists()


def test_an_archive_is_cloned_as_it_is(
    source: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
):
    """What `hotlap import` reads; the folder names its source, not what was made of it meanwhile."""
    assert run_command(monkeypatch, "export", source.path, "--output", tmp_path / "car.tar.gz") == 0
    model = write_model(tmp_path / "model", training={"max_iterations": 1}, built_in_network=True)
    capsys.readouterr()
    place = tmp_path / "car.tar.gz"
    assert run_command(monkeypatch, "train", model.path, "--clone", place) == 0
    told = " ".join(capsys.readouterr().err.split())
    assert f"of {place}." in told
    assert "The value network did not come with the model and begins with random weights" in told
    assert "reward function" not in told, "files beside the weights are not cloned"
    theirs, ours = CheckpointStore(source.path).load(1), CheckpointStore(model.path)
    first = ours.load(ours.list()[0].number)
    assert f"Begins with checkpoint {first.name.number - 1}_Step-" in told
    policy = {name: weight for name, weight in theirs.weights.items() if name.startswith("policy.")}
    assert all(torch.equal(first.weights[name], weight) for name, weight in policy.items())

    again = write_model(
        tmp_path / "again", training={"max_minutes": 1e-6, "clone_from": str(place)}, built_in_network=True
    )
    hotlap.train(again.path)
    assert CheckpointStore(again.path).load(first.name.number).weights.keys() == first.weights.keys()


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("--clone", "nowhere"), "nowhere: there is no such file or folder"),
        (("--clone-checkpoint", "best"), "Add --clone FROM"),
        (
            ("--clone", "SOURCE", "--clone-checkpoint", "first"),
            "--clone-checkpoint must be best, last, a number or a name",
        ),
        (("--clone", "SOURCE", "--clone-checkpoint", "7"), "no checkpoint 7"),
    ],
)
def test_mistakes_name_the_way_out(
    source: ModelFolder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    says: str,
):
    model = write_model(tmp_path, built_in_network=True)
    words = tuple(str(source.path) if word == "SOURCE" else word for word in words)
    assert run_command(monkeypatch, "train", model.path, *words) == 2
    assert says in " ".join(capsys.readouterr().err.split())
    assert not (tmp_path / "model").exists()


def test_models_in_buckets_are_cloned_into_buckets(
    s3_server: S3Server, s3_bucket: str, source: ModelFolder, tmp_path: Path
):
    """A prefix with files of the user's is no obstacle to a clone, one with another model's is."""
    client = s3_server.client()
    for path in (source.path / "model").iterdir():
        client.put_object(Bucket=s3_bucket, Key=f"theirs/model/{path.name}", Body=path.read_bytes())
    client.put_object(Bucket=s3_bucket, Key="mine/notes.txt", Body=b"1")
    client.put_object(Bucket=s3_bucket, Key="original/model/model_11.pb", Body=b"1")
    model = model_in(tmp_path, Path("unused"))

    def job(place: str, source: str | None) -> Any:
        training = {"output": f"s3://{s3_bucket}/{place}", "clone_from": source}
        return model.job.model_copy(update={"training": model.job.training.model_copy(update=training)})

    theirs = f"s3://{s3_bucket}/theirs"
    with pytest.raises(RecordError, match=r"mine is not empty: it holds 1 file such as notes\.txt"):
        Trainer(model, job=job("mine", None)).open()
    with pytest.raises(RecordError, match=r"theirs is not empty"):
        Trainer(model, job=job("theirs", theirs)).open()
    with pytest.raises(RecordError, match=r"original holds a model that DeepRacer trained \(model/model_11\.pb\)"):
        Trainer(model, job=job("original", None), resume=True).open()
    Trainer(model, job=job("mine", theirs)).run()
    place = f"s3://{s3_bucket}/mine"
    assert [name.number for name in CheckpointStore(place).list()] == [2, 3]
    assert same_weights(place, 2, source, 1)

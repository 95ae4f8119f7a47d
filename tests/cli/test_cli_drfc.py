"""Folders of DeepRacer-for-Cloud on the command line, from the files as they are to a trained and evaluated model."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
import torch
import typer
from drfc_folder import RUN_ENV, changed, write_drfc_folder, write_three_workers
from model_layout import missing, undocumented
from tiny_model import SMALL_NETWORK, write_model
from typer.testing import CliRunner, Result

from hotlap.cli.doctor import doctor
from hotlap.cli.evaluate import evaluate
from hotlap.cli.export import export
from hotlap.cli.train import train
from hotlap.config import ConfigWarning
from hotlap.errors import ConfigError, HotlapError, RecordError
from hotlap.records.checkpoints import CheckpointStore, IndexEntry
from hotlap.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("slim_networks", "coarse_figures")

TINY = {"num_episodes_between_training": 3, "num_epochs": 1, "term_cond_max_episodes": 1}
FEW_LAPS = "[training]\neval_laps = 2\nthreads = 1\n"  # the least that DR_TRAIN_MIN_EVAL_TRIALS lets it be
SMALL = f'{FEW_LAPS}network = "{SMALL_NETWORK}"\n'

app = typer.Typer()
for command in (train, evaluate, export, doctor):
    app.command()(command)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLAP_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("DR_RUN_ID", raising=False)


def hotlap(*words: object, code: int = 0, columns: int = 160) -> Result:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": str(columns)})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == code, done.output
    return done


@pytest.mark.filterwarnings("ignore::hotlap.config.ConfigWarning")
def test_a_folder_trains_and_is_evaluated_as_it_is(tmp_path: Path):
    """Everything that it leaves lies in the folder that stands for the bucket; its own files stay as they were.

    It leaves what docs/records.md says, file by file, and nothing else.
    """
    run = {"DR_WORLD_NAME": "first_lap", "DR_TRAIN_MIN_EVAL_TRIALS": 2, "DR_EVAL_MAX_RESETS": 2, "DR_RUN_ID": 4}
    system = {"DR_ROBOMAKER_MOUNT_LOGS": True}
    folder = write_drfc_folder(tmp_path / "drfc", system=system, run=run, hyperparameters=TINY)
    (folder / "job.toml").write_text(FEW_LAPS)
    own = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}

    done = hotlap("train", "--drfc", folder, "--json")
    model = folder / "bucket" / "rl-deepracer-sagemaker"
    result = json.loads(done.stdout)
    assert (result["folder"], result["reason"], result["iterations"]) == (str(model), "term_cond_max_episodes", 1)
    assert done.stderr.count("DR_DOCKER_STYLE") == 1
    assert f"hotlap doctor --drfc {folder}" in done.stderr
    assert "'WORLD_NAME': 'first_lap'" in (model / "training_params.yaml").read_text()
    assert (model / "reward_function.py").read_bytes() == own[folder / "custom_files" / "reward_function.py"]
    assert json.loads((model / "metrics/TrainingMetrics.json").read_text())["best_model_metric"] == "progress"
    (job,) = (json.loads(path.read_text()) for path in (tmp_path / "state").rglob("*.json"))
    assert job["name"] == "deepracer-4"

    report = json.loads(hotlap("evaluate", "--drfc", folder, "--json", "--trials", 1).stdout)
    assert (report["folder"], report["track"], report["num_laps"]) == (str(model), "first_lap", 1)
    assert report["videos"] == []
    assert Path(report["trace"]).is_relative_to(model)
    stamp = Path(report["metrics"]).stem
    assert f"- 'rl-deepracer-sagemaker/{stamp}'" in (model / "evaluation_params.yaml").read_text()
    assert {path: path.read_bytes() for path in own} == own
    (folder / "custom_files" / "reward_function.py").unlink()
    again = json.loads(hotlap("evaluate", "--drfc", folder, "--json", "--trials", 1).stdout)
    assert again["laps"] == report["laps"], "an evaluation needs no reward function"
    with pytest.raises(ConfigError, match="DR_LOCAL_S3_REWARD_KEY"):
        hotlap("train", "--drfc", folder, "--resume")

    assert undocumented(model) == []
    assert missing(model) == {
        "training_params_1.yaml",
        "metrics/TrainingMetrics_K.json",
        "K/training-simtrace/I-iteration.csv",
        "model/.lock",
        # No film was wanted.
        "mp4/camera-pip/I-video.mp4",
        "mp4/camera-45degree/I-video.mp4",
        "mp4/camera-topview/I-video.mp4",
        "evaluation-T/I-video.mp4",
        # Nor was it compared with others.
        "evaluation-T/comparison.png",
        # These lie with the model that was given.
        "job.toml",
        "hyperparameters.json",
        "model_metadata.json",
        "tracks/…",
    }


@pytest.mark.data
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.filterwarnings("ignore::hotlap.config.ConfigWarning")
def test_three_workers_train_on_three_tracks(tmp_path: Path, reference_data: Path, monkeypatch):
    """The template files with multi-config; each worker leaves traces and metrics of its own track."""
    monkeypatch.setenv("HOTLAP_TRACKS", str(reference_data / "tracks"))
    folder = write_three_workers(tmp_path / "drfc", run={"DR_TRAIN_MIN_EVAL_TRIALS": 3}, hyperparameters=TINY)
    (folder / "job.toml").write_text(SMALL)
    assert json.loads(hotlap("train", "--drfc", folder, "--json").stdout)["total_episodes"] == 3
    model = folder / "bucket" / "rl-deepracer-sagemaker"
    lengths = set()
    for worker in range(3):
        (trace,) = (model / str(worker) / "training-simtrace").glob("*.csv")
        header, first, *_ = (line.split(",") for line in trace.read_text().splitlines())
        lengths.add(round(float(first[header.index("track_len")]), 1))
    assert lengths == {17.7, 23.1, 17.4}
    assert {path.name for path in (model / "metrics").glob("TrainingMetrics*")} == {
        "TrainingMetrics.json",
        "TrainingMetrics_1.json",
        "TrainingMetrics_2.json",
    }
    assert (model / "training_params_3.yaml").is_file()
    report = json.loads(hotlap("evaluate", "--drfc", folder, "--json", "--laps", 2).stdout)
    assert (report["track"], report["num_laps"]) == ("reinvent_base", 2)


def test_the_doctor_tells_three_kinds_of_variables(tmp_path: Path):
    run = {"DR_WORLD_NAME": "first_lap", "DR_TRAIN_ROUND_ROBIN_ADVANCE_DISTANCE": 0.1}
    folder = write_drfc_folder(tmp_path, system={"DR_WORKERS": 3}, run=run)
    found = json.loads(hotlap("doctor", "--drfc", folder, "--json").stdout)
    assert list(found) == ["ok", "folder", "problems", "warnings", "trained", "works", "differs", "ignored"]
    assert (found["ok"], found["problems"]) == (True, [])
    assert found["folder"] == str(folder / "bucket" / "rl-deepracer-sagemaker")
    rows = {row["variable"]: row for kind in ("works", "differs", "ignored") for row in found[kind]}
    assert rows["DR_WORLD_NAME"]["set"] == [{"value": "first_lap", "file": str(folder / "run.env"), "line": 2}]
    assert rows["DR_WORLD_NAME"] in found["works"]
    assert rows["DR_TRAIN_MIN_EVAL_TRIALS"] in found["differs"]
    assert rows["DR_DOCKER_STYLE"] in found["ignored"]
    for name in ("DR_AWS_APP_REGION", "DR_UPLOAD_S3_BUCKET", "DR_LOCAL_S3_PROFILE", "DR_CLOUD"):
        assert "--output s3://bucket/prefix" in rows[name]["text"]
    dead, round_robin = found["warnings"]
    assert "DR_TRAIN_ROUND_ROBIN_ADVANCE_DISTANCE does nothing" in dead
    assert "(20 episodes / 3 workers) × 0.05" in round_robin

    text = hotlap("doctor", "--drfc", folder).stdout
    parts = (
        "Works as in the original",
        "DR_RACE_TYPE",
        "Works differently",
        "DR_TRAIN_MIN_EVAL_TRIALS",
        "Means nothing here",
    )
    assert sorted(parts, key=text.index) == list(parts)
    assert " ".join(dead.split()[-6:]) in " ".join(text.split())
    assert "Ready to train." in text


def test_names_and_values_can_be_copied_from_a_narrow_terminal(tmp_path: Path):
    """Each stands in one piece at the beginning of a line; a kind without variables has a sentence."""
    folder = write_drfc_folder(tmp_path, run={"DR_WORLD_NAME": "first_lap"})
    lines = hotlap("doctor", "--drfc", folder, columns=80).stdout.splitlines()
    for name in re.findall(r"(?m)^(DR_\w+)=", RUN_ENV):
        (line,) = (line for line in lines if re.search(rf"(^|, ){name}(=|,|$)", line))
        assert line.startswith("DR_")
    assert "DR_LOCAL_S3_MODEL_METADATA_KEY=custom_files/model_metadata.json" in lines
    (folder / "run.env").write_text("DR_WORLD_NAME=first_lap\n")
    (folder / "system.env").write_text("DR_WORKERS=1\n")
    assert hotlap("doctor", folder).stdout.count("None of the variables that are set.") == 2


def test_the_doctor_tells_what_workers_have_of_their_own(tmp_path: Path):
    folder = write_three_workers(tmp_path)
    (folder / "worker-3.env").write_text("DR_WORLD_NAME=first_lap\n")
    text = hotlap("doctor", "--drfc", folder, code=1).stdout
    assert "worker-2.env: reInvent2019_track" in text
    assert "worker-3.env: first_lap" in text
    assert "there is no track named 'reinvent_base'" in text
    assert "Cannot be trained yet." in text


@pytest.mark.filterwarnings("ignore::hotlap.config.ConfigWarning")
def test_the_last_checkpoint_by_default_is_told_where_another_is_best(tmp_path: Path):
    """As in the original nobody asked for it; who asks, on the command line or in run.env, is told nothing."""
    run = {"DR_WORLD_NAME": "first_lap", "DR_TRAIN_MIN_EVAL_TRIALS": 2, "DR_LOCAL_S3_MODEL_PREFIX": "first"}
    folder = write_drfc_folder(tmp_path / "drfc", run=run, hyperparameters=TINY | {"term_cond_max_episodes": 2})
    (folder / "job.toml").write_text(SMALL)
    unset = re.sub(r"(?m)^DR_(EVAL|LOCAL_S3_PRETRAINED)_CHECKPOINT=.*\n", "", (folder / "run.env").read_text())
    (folder / "run.env").write_text(unset)
    hotlap("train", folder)
    first = folder / "bucket/first"
    entry = IndexEntry(CheckpointStore(first).list()[1], 1.0, 0.0)
    CheckpointStore(first).write_index(best=entry, last=entry)

    laps = ("--laps", 1, "--no-video")
    told = "(last: DR_EVAL_CHECKPOINT is not set; the best is 1, --checkpoint best)"
    assert told in hotlap("evaluate", folder, *laps).stderr
    assert "DR_EVAL_CHECKPOINT is not set" in hotlap("doctor", folder).stdout
    for words in (("--checkpoint", "last"), ("--checkpoint", "best")):
        assert "DR_EVAL_CHECKPOINT" not in hotlap("evaluate", folder, *laps, *words).stderr
    (folder / "run.env").write_text(f"{unset}DR_EVAL_CHECKPOINT=last\n")
    assert "DR_EVAL_CHECKPOINT" not in hotlap("evaluate", folder, *laps).stderr

    second = {"DR_LOCAL_S3_MODEL_PREFIX": "second", "DR_LOCAL_S3_PRETRAINED": True}
    (folder / "run.env").write_text(changed(unset, second | {"DR_LOCAL_S3_PRETRAINED_PREFIX": "first"}))
    assert "DR_LOCAL_S3_PRETRAINED_CHECKPOINT is not set" in hotlap("doctor", folder).stdout
    begun = hotlap("train", folder, "--iterations", 1).stderr
    assert "(last: DR_LOCAL_S3_PRETRAINED_CHECKPOINT is not set; the best is 1, --clone-checkpoint best)." in begun
    begun = hotlap("train", folder, "--iterations", 1, "--wipe", "--clone", first).stderr
    assert f"Begins with checkpoint {entry.name} of {first}." in begun, "--clone takes the best"


@pytest.mark.filterwarnings("ignore::hotlap.config.ConfigWarning")
def test_a_pretrained_model_is_where_training_begins(tmp_path: Path):
    """As the variables say, from the same bucket; the pretrained prefix stays as it is."""
    run = {"DR_WORLD_NAME": "first_lap", "DR_TRAIN_MIN_EVAL_TRIALS": 2, "DR_LOCAL_S3_MODEL_PREFIX": "first"}
    second = run | {
        "DR_LOCAL_S3_MODEL_PREFIX": "second",
        "DR_LOCAL_S3_PRETRAINED": True,
        "DR_LOCAL_S3_PRETRAINED_PREFIX": "first",
        "DR_LOCAL_S3_PRETRAINED_CHECKPOINT": "last",
    }
    folder = write_drfc_folder(tmp_path / "drfc", run=run, hyperparameters=TINY)
    (folder / "job.toml").write_text(SMALL)
    hotlap("train", "--drfc", folder)
    bucket = folder / "bucket"
    before = {path: path.read_bytes() for path in (bucket / "first" / "model").iterdir()}
    (folder / "run.env").write_text(changed((folder / "run.env").read_text(), second))
    told = hotlap("train", "--drfc", folder).stderr
    assert f"Begins with checkpoint {CheckpointStore(bucket / 'first').list()[-1]} of {bucket / 'first'}." in told
    assert [name.number for name in CheckpointStore(bucket / "second").list()] == [2, 3]
    weights = [CheckpointStore(bucket / name).load(number).weights for name, number in (("first", 1), ("second", 2))]
    assert all(torch.equal(weight, weights[1][name]) for name, weight in weights[0].items())
    assert {path: path.read_bytes() for path in before} == before


def test_a_model_of_the_original_is_no_place_to_begin(tmp_path: Path):
    """Doctor and training say the same, and what they say is what helps."""
    run = {"DR_WORLD_NAME": "first_lap", "DR_LOCAL_S3_MODEL_PREFIX": "team/mine-9"}
    folder = write_drfc_folder(tmp_path / "drfc", run=run)
    theirs = folder / "bucket/team/mine-9/model/3_Step-90.ckpt.index"
    theirs.parent.mkdir(parents=True)
    theirs.write_bytes(b"")
    (folder / "bucket/team/mine-10").mkdir()
    (problem,) = json.loads(hotlap("doctor", folder, "--json", code=1).stdout)["problems"]
    assert problem == (
        f"{folder / 'bucket/team/mine-9'} holds a model that DeepRacer trained (model/3_Step-90.ckpt.index). Begin "
        f"with its weights under another name: in {folder / 'run.env'} set DR_LOCAL_S3_MODEL_PREFIX=team/mine-11, "
        "DR_LOCAL_S3_PRETRAINED=True and DR_LOCAL_S3_PRETRAINED_PREFIX=team/mine-9, or delete it and begin anew with "
        "--wipe."
    )
    for words in ((), ("--resume",), ("--detach",)):
        with pytest.raises(RecordError) as caught:
            hotlap("train", folder, *words)
        assert str(caught.value) == problem
    lines = json.loads(hotlap("doctor", tmp_path, "--json", code=1).stdout)["folders"]
    assert [(line["ok"], "DR_LOCAL_S3_PRETRAINED=True" in line["text"]) for line in lines] == [(False, True)]

    text = (folder / "run.env").read_text()
    for name, value in re.findall(r"(DR_\w+)=([^ ,]+)", problem):
        text = changed(text, {name: value})
    (folder / "run.env").write_text(text)
    assert json.loads(hotlap("doctor", folder, "--json").stdout)["folder"] == str(folder / "bucket/team/mine-11")


def test_only_an_import_drives_a_model_of_the_original(tmp_path: Path):
    """In a folder of DeepRacer-for-Cloud, in a model folder, and where it lies alone."""
    drfc = write_drfc_folder(tmp_path / "drfc", run={"DR_WORLD_NAME": "first_lap"})
    model = write_model(tmp_path / "model").path
    alone = tmp_path / "alone"
    for name, place in {drfc: drfc / "bucket/rl-deepracer-sagemaker", model: model, alone: alone}.items():
        (place / "model").mkdir(parents=True)
        (place / "model" / "3_Step-90.ckpt.index").write_bytes(b"")
        for command in ("evaluate", "export"):
            with pytest.raises(HotlapError, match=rf"DeepRacer trained.*`hotlap import {place} NEW`"):
                hotlap(command, name)


def test_a_model_that_goes_on_is_told_from_one_that_begins(tmp_path: Path):
    """As `hotlap train` sees it: the first weights of a training that came to nothing are no loss."""
    model = write_model(tmp_path / "mine", training={"max_iterations": 1})
    assert json.loads(hotlap("doctor", model.path, "--json").stdout)["trained"] is None
    Trainer(model).run()
    words = "holds a trained model (checkpoint 1): go on with --resume, or begin anew with --wipe"
    assert json.loads(hotlap("doctor", model.path, "--json").stdout)["trained"] == words
    assert f"{model.path} {words}." in hotlap("doctor", model.path).stdout
    table = hotlap("doctor", tmp_path).stdout
    assert "1 of 1 folders are ready to train." in table
    assert "go on with --resume" in " ".join(table.split())


def test_the_doctor_misses_a_model_to_clone(tmp_path: Path):
    run = {"DR_WORLD_NAME": "first_lap", "DR_LOCAL_S3_PRETRAINED": True}
    folder = write_drfc_folder(tmp_path, run=run)
    assert "rl-sagemaker-pretrained: there is no such model" in hotlap("doctor", "--drfc", folder, code=1).stdout
    (folder / "bucket" / "rl-sagemaker-pretrained").mkdir(parents=True)
    hotlap("doctor", "--drfc", folder)


def test_the_doctor_looks_into_model_folders_too(tmp_path: Path):
    model = write_model(tmp_path / "model", race={"start": "round_robin"}, training={"workers": 4})
    found = json.loads(hotlap("doctor", model.path, "--json").stdout)
    assert list(found) == ["ok", "folder", "problems", "warnings", "trained"]
    many, round_robin, *_ = found["warnings"]
    assert "4 workers are too many for 3 episodes" in many
    assert "(3 episodes / 3 workers) × 0.05" in round_robin


def test_a_training_warns_of_what_the_doctor_would_tell(tmp_path: Path):
    """Of what the options make of the job."""
    model = write_model(tmp_path / "model", race={"track": "no_such_track", "start": "fixed"})
    with (
        pytest.raises(Exception, match="no_such_track"),
        pytest.warns(ConfigWarning, match="9 workers are too many for 3 episodes"),
    ):
        hotlap("train", model.path, "--workers", 9)

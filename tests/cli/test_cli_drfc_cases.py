"""Folders of DeepRacer-for-Cloud as people save them train by their name alone."""

from __future__ import annotations

import json
import shutil
import warnings
from pathlib import Path

import pytest
import typer
from drfc_folder import write_drfc_folder
from tiny_model import SMALL_NETWORK
from typer.testing import CliRunner, Result

from hotlap.cli.doctor import doctor
from hotlap.cli.evaluate import evaluate
from hotlap.cli.export import export
from hotlap.cli.jobs import stop
from hotlap.cli.model_argument import model_place
from hotlap.cli.train import train
from hotlap.config import ConfigWarning
from hotlap.config.drfc import is_drfc_folder
from hotlap.errors import ConfigError
from hotlap.records.checkpoints import CheckpointStore

pytestmark = pytest.mark.usefixtures("slim_networks", "coarse_figures")

CASES = Path(__file__).parent.parent / "cases"
SHORT = "[training]\neval_laps = 5\nthreads = 1\nstep_cap = 60\n"
SMALL = f'{SHORT}network = "{SMALL_NETWORK}"\n'

app = typer.Typer()
for command in (train, evaluate, export, doctor, stop):
    app.command()(command)


@pytest.fixture(autouse=True)
def state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOTLAP_STATE", str(tmp_path / "state"))
    for name in ("DR_RUN_ID", "LAUNCH_BUCKET", "LAUNCH_REGION"):
        monkeypatch.delenv(name, raising=False)


def hotlap(*words: object) -> Result:
    done = CliRunner().invoke(app, [str(word) for word in words], env={"COLUMNS": "160"})
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    assert done.exit_code == 0, done.output
    return done


def case(name: str, folder: Path, *, files_of: str | None = None, settings: str = SMALL) -> Path:
    """A copy of a case that trains in seconds, with the three files of another one where it has none."""
    shutil.copytree(CASES / name, folder)
    if files_of:
        for file in ("reward_function.py", "model_metadata.json", "hyperparameters.json"):
            shutil.copyfile(CASES / files_of / file, folder / file)
    file = folder / "hyperparameters.json"
    file.write_text(json.dumps(json.loads(file.read_text()) | {"num_episodes_between_training": 2, "num_epochs": 1}))
    (folder / "job.toml").write_text(settings)
    return folder


@pytest.mark.filterwarnings("ignore::hotlap.config.ConfigWarning")
def test_files_side_by_side_train_are_evaluated_and_exported(tmp_path: Path):
    """The model goes where the variables say, which is told; every other command finds it by the same name."""
    folder = case("drfc-side-by-side", tmp_path / "mine", settings=SHORT)  # a car takes the built-in network
    own = {path: path.read_bytes() for path in folder.iterdir()}
    done = hotlap("train", folder, "--iterations", 1, "--json")
    model = folder / "bucket/models/summer/try-04"
    assert json.loads(done.stdout)["folder"] == str(model)
    assert f"{folder} is a folder of DeepRacer-for-Cloud; its model lies in {model}." in done.stderr
    assert CheckpointStore(model).list()
    assert {path: path.read_bytes() for path in folder.iterdir() if path.is_file()} == own

    report = json.loads(hotlap("evaluate", folder, "--laps", 1, "--checkpoint", "last", "--json").stdout)
    assert report["folder"] == str(model)
    assert json.loads(hotlap("export", folder, "--checkpoint", "last", "--json").stdout)["archive"] == str(
        model / "model.tar.gz"
    )
    (job,) = (json.loads(path.read_text()) for path in (tmp_path / "state").rglob("*.json"))
    assert json.loads(hotlap("stop", folder, "--json").stdout)["folder"] == job["folder"] == str(model)


@pytest.mark.parametrize(("command", "told"), [("train", True), ("evaluate", False), ("export", False)])
def test_what_a_folder_has_no_use_for_is_told_once(tmp_path: Path, command: str, told: bool):
    """Before a training; not before every command, and what is not set only where somebody asks."""
    folder = case("drfc-side-by-side", tmp_path / "mine")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConfigWarning)
        done = CliRunner().invoke(app, [command, str(folder), *(["--iterations", "1"] if told else [])])
    assert not [each for each in caught if "system.env" in str(each.message)]
    assert f"{folder} is a folder of DeepRacer-for-Cloud" in done.stderr
    assert ("Without meaning here" in done.stderr) == told


def test_a_bucket_that_is_left_to_the_launch_script_is_a_folder(tmp_path: Path):
    """What nothing sets is told once by name, with file and line, and the folder trains."""
    folder = case("drfc", tmp_path / "mine", files_of="drfc-side-by-side")
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", ConfigWarning)
        done = hotlap("train", folder, "--iterations", 1, "--json")
    model = folder / "bucket/training/first_lap/first-model"
    assert json.loads(done.stdout)["folder"] == str(model)
    assert CheckpointStore(model).list()
    told = [str(each.message) for each in caught if "is not set anywhere" in str(each.message)]
    assert told == [
        f"{folder / 'system.env'}, line 2: $LAUNCH_REGION is not set anywhere, so DR_AWS_APP_REGION is ''.",
        f"{folder / 'system.env'}, line 3: $LAUNCH_BUCKET is not set anywhere, so DR_UPLOAD_S3_BUCKET is '', "
        "DR_LOCAL_S3_BUCKET has its default, 'bucket'.",
    ]


def test_a_variable_of_the_shell_is_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("LAUNCH_BUCKET", "cars")
    folder = case("drfc", tmp_path / "mine", files_of="drfc-side-by-side")
    assert json.loads(hotlap("doctor", folder, "--json").stdout)["folder"] == str(
        folder / "cars/training/first_lap/first-model"
    )


@pytest.mark.filterwarnings("ignore::hotlap.config.ConfigWarning")
def test_the_template_of_sac_lacks_only_sac(tmp_path: Path):
    """Before anything begins; the folder stays as it is."""
    folder = tmp_path / "mine"
    shutil.copytree(CASES / "drfc-sac", folder)
    with pytest.raises(ConfigError, match=r"^training_algorithm 'sac' is not available yet\. Use \"clipped_ppo\""):
        hotlap("train", folder)
    assert {path.name for path in folder.iterdir()} == {path.name for path in (CASES / "drfc-sac").iterdir()}


@pytest.mark.filterwarnings("ignore::hotlap.config.ConfigWarning")
def test_a_copy_is_a_model_folder(tmp_path: Path):
    """What the variables said stands in its job.toml; --resume goes on in it."""
    folder, copy = case("drfc-side-by-side", tmp_path / "mine"), tmp_path / "copy"
    hotlap("train", folder, "--output", copy, "--iterations", 1, "--json")
    assert not is_drfc_folder(copy)
    assert not (copy / "run.env").exists()
    assert json.loads(hotlap("doctor", copy, "--json").stdout)["folder"] == str(copy)


def test_what_a_folder_is_follows_one_rule(tmp_path: Path):
    """It is DeepRacer-for-Cloud's with run.env, unless hotlap has trained in it before, which goes on as it began."""
    side_by_side = case("drfc-side-by-side", tmp_path / "mine")
    assert is_drfc_folder(side_by_side)
    assert model_place(str(side_by_side)) == str(side_by_side)  # nothing is trained yet
    (side_by_side / "model").mkdir()
    (side_by_side / "model" / "3_Step-90.ckpt.index").write_bytes(b"")
    assert is_drfc_folder(side_by_side)  # trained by the original
    (side_by_side / "model" / "3_Step-90.safetensors").write_bytes(b"")
    assert not is_drfc_folder(side_by_side)
    experiments = write_drfc_folder(tmp_path / "all", system={"DR_EXPERIMENT_NAME": "a"}, root="experiments/a")
    assert is_drfc_folder(experiments)
    (experiments / "run.env").unlink(missing_ok=True)
    assert is_drfc_folder(experiments)
    assert not is_drfc_folder(tmp_path)
    assert not is_drfc_folder(tmp_path / "none")

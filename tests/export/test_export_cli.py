"""``hotlap export`` and ``hotlap import`` as commands."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from car_reference import install
from sample_policies import make_policy
from test_export_import import value_tower, write_prefix
from tiny_model import write_model
from typer.testing import CliRunner

from hotlap.cli.main import app
from hotlap.config.model_folder import ModelFolder
from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.errors import ConfigError, MissingExtraError, RecordError
from hotlap.export.clone_source import readable_source
from hotlap.records.checkpoints import CheckpointName, CheckpointStore, IndexEntry
from hotlap.records.opening import open_store
from hotlap.rl.specs import DiscreteActions
from hotlap.rollouts.model import build_network
from hotlap.training.course import Course

pytestmark = pytest.mark.usefixtures("slim_networks")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ModelFolder:
    """Three checkpoints, of which the middle one is the best."""
    folder = write_model(tmp_path_factory.mktemp("models") / "mine", built_in_network=True)
    store = CheckpointStore(folder.path)
    for number in (0, 1, 2):
        network = build_network(folder.metadata, seed=number)
        store.save(number, 100 * number, network.state_dict(), metadata={"network": folder.metadata.network})
    best, last = (IndexEntry(CheckpointName(number, 100 * number), 1.0, 0.0) for number in (1, 2))
    store.write_index(best=best, last=last)
    return folder


def run(*words: object) -> dict:
    """The JSON that a command prints."""
    result = CliRunner().invoke(app, [*map(str, words), "--json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def weights(folder: Path, which: int | str = "last") -> dict[str, torch.Tensor]:
    return CheckpointStore(folder).load(which).weights  # type: ignore[arg-type]


@pytest.mark.parametrize(("which", "number"), [("best", 1), ("last", 2), ("0", 0)])
def test_any_checkpoint_travels_to_a_car_and_back(model: ModelFolder, tmp_path: Path, which: str, number: int):
    """Out through the archive, in again: the same bits."""
    archive = tmp_path / "my-car.tar.gz"
    out = run("export", model.path, "--checkpoint", which, "--output", archive)
    assert out["checkpoint"] == f"{number}_Step-{100 * number}.ckpt"
    assert out["largest_difference"] <= 1e-5
    assert out["num_images"] == 40
    assert out["archive_bytes"] == archive.stat().st_size
    assert 0 <= out["same_action"] <= 1
    assert out["onnx"] is None
    name, _, metadata = install(archive.name, archive.read_bytes())
    assert (name, len(metadata["action_space"])) == ("my-car", 3)
    back = run("import", archive, tmp_path / "back")
    assert back["value"] == "fresh"
    assert back["num_outputs"] == 3
    assert back["largest_difference"] <= 1e-5
    expected = {key: value for key, value in weights(model.path, number).items() if key.startswith("policy.")}
    found = weights(tmp_path / "back")
    assert all(torch.equal(value, found[key]) for key, value in expected.items())


def test_a_model_that_learned_from_a_teacher_travels_like_any_other(tmp_path: Path):
    """Its critic, which sees the state, stays at home; the teacher itself, which sees nothing else, does not travel."""
    model = write_model(
        tmp_path / "model",
        training={"method": "teacher", "max_minutes": 60},
        teacher={"iterations": 1, "episodes": 2},
        student={"iterations": 1, "episodes": 2, "samples": 64},
        polish={"iterations": 1},
        built_in_network=True,
    )
    Course(model).run()
    archive = tmp_path / "my-car.tar.gz"
    out = run("export", model.path, "--output", archive)
    assert out["largest_difference"] <= 1e-5
    name, _, metadata = install(archive.name, archive.read_bytes())
    assert (name, len(metadata["action_space"])) == ("my-car", 3)
    run("import", archive, tmp_path / "back")
    expected = {key: value for key, value in weights(model.path, "best").items() if key.startswith("policy.")}
    found = weights(tmp_path / "back")
    assert all(torch.equal(value, found[key]) for key, value in expected.items())
    refused(ConfigError, "VISIBLE_STATE", "export", model.path / "teacher")


def test_archive_lies_in_the_folder_and_is_the_same_each_time(model: ModelFolder):
    assert run("export", model.path)["archive"] == str(model.path / "model.tar.gz")
    first = (model.path / "model.tar.gz").read_bytes()
    run("export", model.path)
    assert (model.path / "model.tar.gz").read_bytes() == first


def test_onnx_lies_beside_the_archive(model: ModelFolder, tmp_path: Path):
    onnx = pytest.importorskip("onnx")
    out = run("export", model.path, "--onnx", "--output", tmp_path / "my-car.tar.gz")
    assert out["onnx"] == str(tmp_path / "my-car.onnx")
    onnx.checker.check_model(onnx.load(out["onnx"]))


def test_output_for_people(model: ModelFolder):
    result = CliRunner().invoke(app, ["export", str(model.path)], catch_exceptions=False)
    assert "checkpoint 1_Step-100.ckpt" in result.stdout
    assert "Read back and compared with the network on 40 images: largest difference" in result.stdout
    assert "docs/car.md" in result.stdout


def refused(error: type[Exception], message: str, *words: object) -> None:
    with pytest.raises(error, match=message):
        CliRunner().invoke(app, [*map(str, words)], catch_exceptions=False)


def test_refusals_name_the_way_out(model: ModelFolder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    refused(ConfigError, r"letters, digits", "export", model.path, "--output", tmp_path / "my car.zip")
    refused(
        ConfigError,
        r"--checkpoint must be best, last, a number or a name such as 5_Step-4912, got 'x'",
        "export",
        model.path,
        "--checkpoint",
        "x",
    )
    refused(RecordError, r"no checkpoint 7 in .*It holds: 0_Step-0", "export", model.path, "--checkpoint", 7)
    refused(RecordError, r"no such file or folder", "import", tmp_path / "nothing", tmp_path / "new")
    monkeypatch.setitem(__import__("sys").modules, "onnx", None)
    refused(MissingExtraError, r"hotlap\[onnx\]", "export", model.path, "--onnx")


def test_broken_weights_are_not_exported(tmp_path: Path):
    """Nothing is written."""
    folder = write_model(tmp_path / "broken", built_in_network=True)
    state = build_network(folder.metadata).state_dict()
    state["policy.head.logits.bias"][0] = np.nan
    CheckpointStore(folder.path).save(0, 0, state, metadata={})
    refused(RecordError, r"differ by nan.*nothing was written", "export", folder.path, "--checkpoint", "last")
    assert not (folder.path / "model.tar.gz").exists()


def test_continuous_actions_and_their_doubts(tmp_path: Path):
    """A range that is not the same on both sides drives otherwise on the car."""
    space = {"steering_angle": {"low": -30, "high": 15}, "speed": {"low": 0.5, "high": 2}}
    folder = write_model(tmp_path / "continuous", actions=space, built_in_network=True)
    CheckpointStore(folder.path).save(0, 0, build_network(folder.metadata).state_dict(), metadata={})
    out = run("export", folder.path, "--checkpoint", "last")
    assert out["largest_difference"] <= 1e-5
    assert any("two sides steer differently" in doubt for doubt in out["doubts"])
    back = run("import", out["archive"], tmp_path / "back")
    assert any("spread of 1" in remark for remark in back["remarks"])


@pytest.mark.parametrize("kind", ["zip", "gztar"])
@pytest.mark.parametrize("inside", [".", "mine"])
def test_an_archive_of_a_model_folder_is_unpacked(model: ModelFolder, tmp_path: Path, kind: str, inside: str):
    """As somebody hands it on, with the folder or only what is in it; films and hidden files stay behind."""
    source = Path(shutil.copytree(model.path, tmp_path / "source" / "mine"))
    for name in ("mp4/camera-pip/0-video.mp4", ".DS_Store", "curve.png"):
        (source / name).parent.mkdir(parents=True, exist_ok=True)
        (source / name).write_bytes(b"0")
    archive = shutil.make_archive(str(tmp_path / "packed"), kind, source.parent if inside == "mine" else source, inside)
    out = run("import", archive, tmp_path / "new")
    assert out["checkpoint"] == "1_Step-100.ckpt"
    assert {"reward_function.py", "job.toml", "ring.npy", "model/2_Step-200.safetensors"} <= set(out["written"])
    assert not {name for name in out["written"] if name.endswith((".mp4", ".png", ".DS_Store"))}
    for name in out["written"]:
        assert (tmp_path / "new" / name).read_bytes() == (model.path / name).read_bytes()
    refused(RecordError, r"it is not empty", "import", archive, tmp_path / "new")
    job = model.job.updated(training={"clone_from": archive, "clone_checkpoint": 0})
    with readable_source(job, tmp_path / "clone", resume=False) as readable:
        store = CheckpointStore(str(readable.training.clone_from))
        assert store.load(readable.training.clone_checkpoint).name.number == 0


def test_an_archive_of_the_files_alone_is_unpacked_too(model: ModelFolder, tmp_path: Path):
    """A model that is not trained yet; with a graph of DeepRacer in it the graph is what is imported."""
    source = write_model(tmp_path / "source", built_in_network=True).path
    out = run("import", shutil.make_archive(str(tmp_path / "packed"), "zip", source), tmp_path / "new")
    assert out["checkpoint"] is None
    assert ModelFolder(tmp_path / "new").metadata == ModelFolder(source).metadata
    (source / "agent").mkdir()
    (source / "agent" / "model.pb").write_bytes(b"0")
    archive = shutil.make_archive(str(tmp_path / "theirs"), "zip", source)
    refused(RecordError, r"model\.pb", "import", archive, tmp_path / "other")


def test_models_in_buckets(s3_bucket: str, tmp_path: Path):
    """A prefix of the original is imported from where it lies; what we leave in one is exported from there."""
    policy, value = make_policy(SHALLOW, DiscreteActions(3)), value_tower()
    prefix = write_prefix(tmp_path / "prefix", policy, value)
    theirs = open_store(f"s3://{s3_bucket}/theirs")
    for path in prefix.rglob("*"):
        if path.is_file():
            theirs.put(path.relative_to(prefix).as_posix(), path.read_bytes())
    back = run("import", f"s3://{s3_bucket}/theirs", tmp_path / "new")
    assert (back["checkpoint"], back["value"]) == ("11_Step-38428.ckpt", "compared")
    found = weights(tmp_path / "new")
    assert all(torch.equal(value, found[f"policy.{name}"]) for name, value in policy.state_dict().items())

    ours = open_store(f"s3://{s3_bucket}/ours")
    for path in (tmp_path / "new").rglob("*"):
        if path.is_file():
            ours.put(path.relative_to(tmp_path / "new").as_posix(), path.read_bytes())
    out = run("export", f"s3://{s3_bucket}/ours", "--output", tmp_path / "car.tar.gz")
    assert out["checkpoint"] == "11_Step-38428.ckpt"
    again = run("import", tmp_path / "car.tar.gz", tmp_path / "again")
    assert again["num_outputs"] == 3
    assert torch.equal(weights(tmp_path / "again")["policy.head.logits.weight"], found["policy.head.logits.weight"])

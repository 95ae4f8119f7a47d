"""A channel and the settings of a job become a model folder; what is trained there is delivered."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import pytest
from tiny_model import write_model

from hotlap.config.job import Job
from hotlap.deploy.contract import Contract, read_contract
from hotlap.deploy.settings import sort_hyperparameters
from hotlap.deploy.workspace import deliver, not_read, prepare
from hotlap.errors import ConfigError


@pytest.fixture
def contract(tmp_path) -> Contract:
    """A job of one host whose channel ``training`` holds a model."""
    write_model(tmp_path / "input" / "data" / "training")
    return read_contract(tmp_path, {})


def channel(contract: Contract) -> Path:
    return contract.channels["training"]


def test_settings_of_the_job_win_over_the_files_of_the_channel(contract):
    """By name; what the job does not say stays as the files have it, and the result is written down."""
    settings = sort_hyperparameters({"lr": "0.002", "training.eval_laps": "5"})
    folder, job = prepare(contract, settings)
    assert folder.path == contract.checkpoint_dir
    assert folder.hyperparameters.lr == 0.002
    assert folder.hyperparameters.batch_size == 32
    assert (job.training.eval_laps, job.training.max_iterations) == (5, 3)
    assert Job.load(folder.job_file) == job
    assert folder.reward_file.read_text() == (channel(contract) / "reward_function.py").read_text()
    assert (folder.path / "ring.npy").is_file()  # a route file that race.track may name


def test_reward_function_and_metadata_are_enough(contract):
    """Everything else has its default."""
    for name in ("hyperparameters.json", "job.toml"):
        (channel(contract) / name).unlink()
    folder, job = prepare(contract, sort_hyperparameters({}))
    assert job == Job()
    assert folder.hyperparameters.lr == 0.0003


def test_a_channel_in_the_notebook_s_layout_is_read_by_its_keys(contract):
    """The original uploads a prefix with the files under other names; as a channel that prefix is a model folder."""
    files = channel(contract)
    (files / "mine").mkdir()
    (files / "reward_function.py").rename(files / "mine" / "reward.py")
    (files / "model").mkdir()
    (files / "model_metadata.json").rename(files / "model" / "model_metadata.json")
    keys = {"s3_bucket": "bucket", "s3_prefix": "prefix", "reward_function_s3_source": "prefix/mine/reward.py"}
    folder, _ = prepare(contract, sort_hyperparameters(keys))
    assert "reward_function" in folder.reward_file.read_text()
    assert folder.metadata.network == "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW"
    uri = keys | {"reward_function_s3_source": "s3://bucket/prefix/mine/reward.py"}
    prepare(contract, sort_hyperparameters(uri))


def test_what_the_reward_function_imports_comes_along(contract):
    """Modules and packages beside it; no other folders."""
    (channel(contract) / "helper.py").write_text("")
    (channel(contract) / "driving").mkdir()
    (channel(contract) / "driving" / "__init__.py").write_text("")
    (channel(contract) / "videos").mkdir()
    folder, _ = prepare(contract, sort_hyperparameters({}))
    assert (folder.path / "helper.py").is_file()
    assert (folder.path / "driving" / "__init__.py").is_file()
    assert not (folder.path / "videos").exists()


def test_what_an_interrupted_start_left_stays(contract):
    """The checkpoint folder comes back after an interruption; its checkpoints are not the channel's to replace."""
    checkpoint = contract.checkpoint_dir / "model" / "3_Step-9.safetensors"
    checkpoint.parent.mkdir(parents=True)
    checkpoint.write_bytes(b"weights")
    (channel(contract) / "model").mkdir()
    (channel(contract) / "model" / checkpoint.name).write_bytes(b"other weights")
    prepare(contract, sort_hyperparameters({}))
    assert checkpoint.read_bytes() == b"weights"


def test_the_model_is_delivered_and_its_traces_apart(contract):
    """What an evaluation needs goes with the model; the large files beside it do not."""
    prepare(contract, sort_hyperparameters({}))
    for name in ("model/1_Step-2.safetensors", "training-simtrace/0-iteration.csv", "1/training-simtrace/0.csv"):
        (contract.checkpoint_dir / name).parent.mkdir(parents=True, exist_ok=True)
        (contract.checkpoint_dir / name).write_text(name)
    deliver(contract)
    delivered = {str(file.relative_to(contract.model_dir)) for file in contract.model_dir.rglob("*") if file.is_file()}
    assert {"reward_function.py", "job.toml", "hyperparameters.json", "model/1_Step-2.safetensors"} <= delivered
    assert not any("simtrace" in name for name in delivered)
    for name in ("training-simtrace/0-iteration.csv", "1/training-simtrace/0.csv"):
        assert (contract.data_dir / name).read_text() == name


def test_places_in_s3_that_have_no_effect_are_named():
    """All but the keys that lead to files within the channel, and empty ones."""
    settings = sort_hyperparameters(
        {"s3_bucket": "b", "s3_prefix": "p", "model_metadata_s3_key": "p/m.json", "pretrained_s3_prefix": "q"}
        | {"pretrained_checkpoint": ""}
    )
    assert not_read(settings) == ["pretrained_s3_prefix", "s3_bucket"]
    settings = sort_hyperparameters(settings.places | {"pretrained_s3_bucket": "c"})
    assert not_read(settings) == ["s3_bucket"]


@pytest.mark.parametrize("name", ["training", "model", "cars"])
def test_the_channel_may_have_another_name_if_it_is_the_only_one(contract, name):
    renamed = channel(contract).rename(channel(contract).with_name(name))
    prepare(replace(contract, channels={name: renamed}), sort_hyperparameters({}))


def test_what_is_missing_is_named(contract):
    """A channel at all, the right one of several, its folder, its files."""
    none = sort_hyperparameters({})
    with pytest.raises(ConfigError, match=r"has no input channel.*`training`"):
        prepare(replace(contract, channels={}), none)
    hint = sort_hyperparameters({"s3_bucket": "b", "s3_prefix": "p"})
    with pytest.raises(ConfigError, match="s3://b/p, which s3_bucket and s3_prefix name, will do"):
        prepare(replace(contract, channels={}), hint)
    with pytest.raises(ConfigError, match="has the channels a, b,"):
        prepare(replace(contract, channels={"a": Path("a"), "b": Path("b")}), none)
    with pytest.raises(ConfigError, match=r"'training'.*does not exist"):
        prepare(replace(contract, channels={"training": Path("nowhere")}), none)
    (channel(contract) / "model_metadata.json").unlink()
    with pytest.raises(ConfigError, match=r"lacks model_metadata\.json; looked for.*model/model_metadata\.json"):
        prepare(contract, none)


def test_a_key_does_not_lead_out_of_the_channel(contract):
    """Whoever may set hyperparameters may not thereby read other files of the host."""
    (channel(contract) / "reward_function.py").unlink()
    (channel(contract).parent / "secret.py").write_text("")
    for key in ("../secret.py", "p/../../secret.py", str(channel(contract).parent / "secret.py")):
        with pytest.raises(ConfigError, match=r"lacks reward_function\.py"):
            prepare(contract, sort_hyperparameters({"s3_prefix": "p", "reward_function_s3_source": key}))


def test_a_wrong_hyperparameter_of_the_job_is_not_blamed_on_the_file(contract):
    with pytest.raises(ConfigError, match=r"^hyperparameters of the training job: lr must be a number, got 'fast'"):
        prepare(contract, sort_hyperparameters({"lr": "fast"}))
    (channel(contract) / "hyperparameters.json").write_text(json.dumps({"lr": "slow"}))
    with pytest.raises(ConfigError, match=r"hyperparameters\.json: lr must be a number, got 'slow'"):
        prepare(contract, sort_hyperparameters({}))[0].hyperparameters  # noqa: B018  (read when asked for)

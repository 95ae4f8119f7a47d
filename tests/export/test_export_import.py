"""Import: what the original's trainer leaves becomes a model folder that drives, trains on and can be cloned."""

from __future__ import annotations

import io
import json
import tarfile
import zipfile
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from sample_policies import STEER_AND_SPEED, make_policy
from tf_files import OriginalGraph, checkpoint_files, frozen_graph, write_checkpoint
from tiny_model import WANDERING, write_model

from hotlap.config.model_folder import ModelFolder
from hotlap.deepracer.metadata_names import SHALLOW
from hotlap.deepracer.sensors import observation_shapes
from hotlap.errors import ConfigError, RecordError
from hotlap.evaluation.evaluator import Evaluator
from hotlap.export.car_archive import car_metadata, pack_archive
from hotlap.export.car_graph import car_graph
from hotlap.export.importing import import_model
from hotlap.export.layers import TowerLayers, layers_of
from hotlap.records.checkpoints import CheckpointStore
from hotlap.rl.networks import Tower
from hotlap.rl.specs import DiscreteActions
from hotlap.training.trainer import Trainer

pytestmark = pytest.mark.usefixtures("slim_networks")

THREE = DiscreteActions(3)
METADATA = {
    "action_space": [{**action, "index": index} for index, action in enumerate(WANDERING)],
    "sensor": ["FRONT_FACING_CAMERA"],
    "neural_network": SHALLOW,
    "version": "5",
}
CONTINUOUS = {
    "action_space": {"steering_angle": {"low": -30, "high": 30}, "speed": {"low": 0.5, "high": 3}},
    "action_space_type": "continuous",
    "sensor": ["FRONT_FACING_CAMERA"],
    "neural_network": SHALLOW,
    "version": "5",
}
NAME = "11_Step-38428"


def value_tower(seed: int = 5) -> Tower:
    generator = torch.Generator().manual_seed(seed)
    return Tower(SHALLOW, observation_shapes(["FRONT_FACING_CAMERA"]), has_value=True, generator=generator)


def write_prefix(folder: Path, policy: Tower, value: Tower, metadata: dict[str, Any] = METADATA, **extra: Any) -> Path:
    """A model prefix as the original leaves it."""
    write_checkpoint(folder / "model", f"{NAME}.ckpt", layers_of(policy), layers_of(value), **extra)
    (folder / "model" / "model_11.pb").write_bytes(frozen_graph(layers_of(policy)))
    (folder / "model" / "model_metadata.json").write_text(json.dumps(metadata))
    (folder / "model" / ".coach_checkpoint").write_text(f"{NAME}.ckpt\n")
    entry = {"name": f"{NAME}.ckpt", "avg_comp_pct": 50.0, "time_stamp": 1.5}
    index = {"best_checkpoint": entry, "last_checkpoint": entry}
    (folder / "model" / "deepracer_checkpoints.json").write_text(json.dumps(index))
    (folder / "reward_function.py").write_text("def reward_function(params):\n    return params['speed']\n")
    (folder / "ip").mkdir()
    (folder / "ip" / "hyperparameters.json").write_text(json.dumps({"batch_size": 32, "num_epochs": 3, "lr": 0.0002}))
    (folder / "metrics").mkdir()
    (folder / "metrics" / "TrainingMetrics.json").write_text("{}")
    return folder


def weights(folder: Path) -> dict[str, torch.Tensor]:
    return CheckpointStore(folder).load("last").weights


def same(tower: Tower, loaded: dict[str, torch.Tensor], prefix: str, *, without: str = "nothing") -> bool:
    return all(
        torch.equal(value, loaded[f"{prefix}.{name}"])
        for name, value in tower.state_dict().items()
        if not name.endswith(without)
    )


def test_archive_of_a_car_becomes_a_model(tmp_path: Path):
    """import(export(policy)) has every bit of the policy; the value, which is not in it, begins anew and says so."""
    policy = make_policy(SHALLOW, THREE)
    metadata = write_model(tmp_path / "own", built_in_network=True).metadata
    (tmp_path / "car.tar.gz").write_bytes(pack_archive(car_graph(layers_of(policy)), car_metadata(metadata)))
    result = import_model(tmp_path / "car.tar.gz", tmp_path / "new", track="needle_eye")
    assert same(policy, weights(tmp_path / "new"), "policy")
    assert result.policy.value == "fresh"
    assert any("value network did not come" in remark for remark in result.remarks)
    without = " ".join(result.files_remarks)
    assert "reward_function.py is hotlap's" in without
    assert "came without hyperparameters.json" in without
    assert "track" not in without, "it was given"
    assert result.policy.agreement.largest_difference < 1e-10
    model = ModelFolder(tmp_path / "new")
    assert model.metadata == metadata
    assert model.job.race.track == "needle_eye"
    assert str(result.checkpoint) == "0_Step-0.ckpt"


def test_prefix_brings_both_networks_and_the_settings(tmp_path: Path):
    """From the checkpoint, each compared with its own graph; reward function and hyperparameters come along."""
    policy, value = make_policy(SHALLOW, THREE), value_tower()
    source = write_prefix(tmp_path / "prefix", policy, value)
    result = import_model(source, tmp_path / "new")
    loaded = weights(tmp_path / "new")
    assert same(policy, loaded, "policy")
    assert same(value, loaded, "value")
    assert result.policy.value == "compared"
    assert result.policy.value_agreement is not None
    assert result.policy.value_agreement.largest_difference < 1e-10
    assert str(result.checkpoint) == f"{NAME}.ckpt"
    assert CheckpointStore(tmp_path / "new").best().name == result.checkpoint  # type: ignore[union-attr]
    assert (tmp_path / "new" / "reward_function.py").read_text() == (source / "reward_function.py").read_text()
    assert ModelFolder(tmp_path / "new").hyperparameters.lr == 0.0002
    assert (tmp_path / "new" / "model_metadata.json").read_text() == json.dumps(METADATA)
    read_it, track = result.files_remarks
    assert "read it first" in read_it
    assert "does not tell its track: job.toml names hotlap's first_lap" in track


def test_broken_settings_do_not_stop_an_import(tmp_path: Path):
    """Ours are written instead, and it is said why."""
    source = write_prefix(tmp_path / "prefix", make_policy(SHALLOW, THREE), value_tower())
    (source / "ip" / "hyperparameters.json").write_text('{"lr": "fast"}')
    result = import_model(source, tmp_path / "new")
    assert any("hotlap's were written" in remark and "'fast'" in remark for remark in result.remarks)
    assert ModelFolder(tmp_path / "new").hyperparameters.lr > 0


def test_continuous_prefix_brings_the_spread(tmp_path: Path):
    policy, log_std = make_policy(SHALLOW, STEER_AND_SPEED), np.array([-0.5, 0.25], np.float32)
    write_prefix(tmp_path / "prefix", policy, value_tower(), CONTINUOUS, log_std=log_std)
    result = import_model(tmp_path / "prefix", tmp_path / "new")
    loaded = weights(tmp_path / "new")
    assert same(policy, loaded, "policy", without="log_std")
    np.testing.assert_array_equal(loaded["policy.head.log_std"].numpy(), log_std)
    assert result.policy.log_std_known


def test_spread_that_did_not_come_is_said(tmp_path: Path):
    (tmp_path / "model_metadata.json").write_text(json.dumps(CONTINUOUS))
    graph = tmp_path / "agent" / "model.pb"
    graph.parent.mkdir()
    graph.write_bytes(frozen_graph(layers_of(make_policy(SHALLOW, STEER_AND_SPEED))))
    result = import_model(graph, tmp_path / "new")
    assert not result.policy.log_std_known
    assert any("spread of 1" in remark for remark in result.remarks)


def test_checkpoint_without_its_graph(tmp_path: Path):
    """With the frozen policy the value is found by names; with no graph at all nothing can be proved: refused."""
    policy, value = make_policy(SHALLOW, THREE), value_tower()
    source = write_prefix(tmp_path / "prefix", policy, value)
    (source / "model" / f"{NAME}.ckpt.meta").unlink()
    result = import_model(source, tmp_path / "one")
    assert (result.policy.value, result.policy.read_from) == ("by_names", "model_11.pb")
    assert same(value, weights(tmp_path / "one"), "value")
    (source / "model" / "model_11.pb").unlink()
    with pytest.raises(RecordError, match=r"no graph beside it.*11_Step-38428\.ckpt\.meta or model_11\.pb"):
        import_model(source, tmp_path / "two")
    assert not (tmp_path / "two").exists()


@pytest.mark.parametrize("named", [f"model/{NAME}.ckpt.index", f"model/{NAME}.ckpt", "model/model_11.pb", "model"])
def test_file_or_folder_in_a_prefix_can_be_named(tmp_path: Path, named: str):
    policy = make_policy(SHALLOW, THREE)
    source = write_prefix(tmp_path / "prefix", policy, value_tower())
    result = import_model(source / named, tmp_path / "new")
    assert result.checkpoint.number == 11
    assert same(policy, weights(tmp_path / "new"), "policy")


def test_archive_of_a_whole_prefix(tmp_path: Path):
    """As the web console downloads it: everything below one folder."""
    policy, value = make_policy(SHALLOW, THREE), value_tower()
    source = write_prefix(tmp_path / "prefix", policy, value)
    with tarfile.open(tmp_path / "virtualmodel.tar.gz", "w:gz") as tar:
        tar.add(source, arcname=".")
    result = import_model(tmp_path / "virtualmodel.tar.gz", tmp_path / "new")
    assert (result.policy.value, result.policy.read_from) == ("compared", f"{NAME}.ckpt")
    assert same(value, weights(tmp_path / "new"), "value")
    (source / "model" / f"{NAME}.ckpt.meta").unlink()
    with tarfile.open(tmp_path / "frozen.tar.gz", "w:gz") as tar:
        tar.add(source, arcname="theirs")
    assert import_model(tmp_path / "frozen.tar.gz", tmp_path / "frozen").policy.read_from == "model_11.pb"


def test_zip_of_a_whole_prefix(tmp_path: Path):
    """As DeepRacer on AWS gives it; the name does not matter."""
    policy, value = make_policy(SHALLOW, THREE), value_tower()
    source = write_prefix(tmp_path / "prefix", policy, value)
    with zipfile.ZipFile(tmp_path / "download", "w", zipfile.ZIP_DEFLATED) as archive:
        for path in sorted(source.rglob("*")):
            archive.write(path, Path("model-1") / path.relative_to(source))
    result = import_model(tmp_path / "download", tmp_path / "new")
    assert (result.policy.value, result.policy.read_from) == ("compared", f"{NAME}.ckpt")
    (tmp_path / "download").write_bytes((tmp_path / "download").read_bytes()[:-9])
    with pytest.raises(RecordError, match="not an archive of a DeepRacer model: it is cut short"):
        import_model(tmp_path / "download", tmp_path / "other")


def test_choice_among_checkpoints(tmp_path: Path):
    """By the index; without one the newest; by number; or an error that lists what there is."""
    source = tmp_path / "model"
    source.mkdir()
    (source / "model_metadata.json").write_text(json.dumps(METADATA))
    policies = {number: make_policy(SHALLOW, THREE, seed=number) for number in (3, 4, 10)}
    for number, policy in policies.items():
        (source / f"model_{number}.pb").write_bytes(frozen_graph(layers_of(policy)))
    newest = import_model(source, tmp_path / "newest")
    assert newest.checkpoint.number == 10
    assert any("the newest, 10" in remark for remark in newest.remarks)
    entries = {"best_checkpoint": {"name": "3_Step-70.ckpt"}, "last_checkpoint": {"name": "4_Step-90.ckpt"}}
    (source / "deepracer_checkpoints.json").write_text(json.dumps(entries))
    for which, number in (("best", 3), ("last", 4), (10, 10)):
        result = import_model(source, tmp_path / f"n{number}", which=which)  # type: ignore[arg-type]
        assert result.checkpoint.number == number
        assert same(policies[number], weights(tmp_path / f"n{number}"), "policy")
    with pytest.raises(RecordError, match=r"no checkpoint 5\. There are: 3, 4, 10"):
        import_model(source, tmp_path / "n5", which=5)


def test_imported_model_drives_trains_on_and_is_cloned(tmp_path: Path):
    """The numbers of its checkpoints go on where they were."""
    policy, value = make_policy(SHALLOW, THREE), value_tower()
    source = write_prefix(tmp_path / "prefix", policy, value)
    model = write_model(tmp_path / "new", built_in_network=True)  # brings a small track and short settings
    result = import_model(source, model.path)
    assert sorted(result.kept) == sorted(
        ["model_metadata.json", "reward_function.py", "hyperparameters.json", "job.toml"]
    )
    report = Evaluator(model, laps=2).run()
    assert report.num_laps == 2
    outcome = Trainer(model, job=model.job.updated(training={"max_iterations": 1}), resume=True).run()
    assert outcome.iterations == 1
    assert outcome.total_steps > 38428
    names = CheckpointStore(model.path).list()
    assert [name.number for name in names] == [11, 12]
    assert names[1].steps == outcome.total_steps
    assert not same(policy, weights(model.path), "policy")  # it learned

    import_model(source, tmp_path / "origin")
    clone = write_model(
        tmp_path / "clone",
        training={"clone_from": str(tmp_path / "origin"), "max_iterations": 1},
        built_in_network=True,
    )
    Trainer(clone).run()
    first = CheckpointStore(clone.path).load(12)
    assert same(policy, first.weights, "policy")
    assert same(value, first.weights, "value")


def test_folder_with_a_model_is_left_alone(tmp_path: Path):
    source = write_prefix(tmp_path / "prefix", make_policy(SHALLOW, THREE), value_tower())
    import_model(source, tmp_path / "new")
    with pytest.raises(RecordError, match=r"already holds a trained model \(11_Step-38428\.ckpt\).*new folder"):
        import_model(source, tmp_path / "new")
    with pytest.raises(RecordError, match=r"this is a hotlap model.*clone_from"):
        import_model(tmp_path / "new", tmp_path / "other")


def test_metadata_of_the_folder_must_not_contradict(tmp_path: Path):
    source = write_prefix(tmp_path / "prefix", make_policy(SHALLOW, THREE), value_tower())
    write_model(
        tmp_path / "new",
        actions=[{"steering_angle": angle, "speed": 1} for angle in (-20, 0, 20)],
        built_in_network=True,
    )
    with pytest.raises(ConfigError, match=r"says something else than the model_metadata\.json of the model"):
        import_model(source, tmp_path / "new")


def test_metadata_can_be_given(tmp_path: Path):
    """A graph alone says nothing of what its outputs mean."""
    graph = tmp_path / "model.pb"
    graph.write_bytes(frozen_graph(layers_of(make_policy(SHALLOW, THREE))))
    with pytest.raises(ConfigError, match=r"no model_metadata\.json with the model.*--metadata FILE"):
        import_model(graph, tmp_path / "new")
    given = tmp_path / "given.json"
    given.write_text(json.dumps(METADATA))
    assert import_model(graph, tmp_path / "new", metadata_file=given).num_outputs == 3


@pytest.mark.parametrize(
    ("changes", "reason"),
    [
        (
            {"action_space": METADATA["action_space"][:2]},
            "has 3 outputs, but the action space of model_metadata.json 2",
        ),
        ({"neural_network": "DEEP_CONVOLUTIONAL_NETWORK"}, "is DEEP_CONVOLUTIONAL_NETWORK_SHALLOW; .* says DEEP_CON"),
        (CONTINUOUS, "chooses discrete actions"),
        ({**CONTINUOUS, "training_algorithm": "sac"}, "SAC, which hotlap can neither drive nor train"),
        ({"sensor": ["STEREO_CAMERAS"]}, "its images have 1 channels, but model_metadata.json says STEREO_CAMERAS"),
    ],
)
def test_graph_that_is_not_what_the_metadata_says(tmp_path: Path, changes: dict, reason: str):
    """Refused with what it is, before anything is written."""
    source = write_prefix(tmp_path / "prefix", make_policy(SHALLOW, THREE), value_tower(), {**METADATA, **changes})
    with pytest.raises(RecordError, match=reason):
        import_model(source, tmp_path / "new")
    assert not (tmp_path / "new").exists()


def test_graph_that_computes_something_else_is_refused(tmp_path: Path):
    """The walk passes by what it takes for reshaping; the comparison notices what it was."""
    policy = layers_of(make_policy(SHALLOW, THREE))
    for number, (factor, message) in enumerate(((2.0, "differs from the model's own graph by"), (1.0, None))):
        graph = OriginalGraph(frozen=True)
        last = graph.tower(policy, "network_1", "ppo_head_0/policy_fc")
        scaled = graph.add("scaled", "Mul", last, graph.const("factor", factor))
        graph.add("policy", "Softmax", scaled)
        place = tmp_path / f"{number}"
        place.mkdir()
        (place / "model.pb").write_bytes(graph.content())
        (place / "model_metadata.json").write_text(json.dumps(METADATA))
        if message:
            with pytest.raises(RecordError, match=message):
                import_model(place / "model.pb", place / "new")
        else:
            import_model(place / "model.pb", place / "new")


def test_damaged_variable_is_noticed(tmp_path: Path):
    """Every variable is checked against the checksum that was written with it."""
    source = write_prefix(tmp_path / "prefix", make_policy(SHALLOW, THREE), value_tower())
    data = source / "model" / f"{NAME}.ckpt.data-00000-of-00001"
    content = bytearray(data.read_bytes())
    content[len(content) // 2] ^= 1
    data.write_bytes(content)
    with pytest.raises(RecordError, match=r"is damaged or cut short"):
        import_model(source, tmp_path / "new")


def test_two_models_in_one_folder_are_not_mixed(tmp_path: Path):
    for name in ("one", "two"):
        write_prefix(tmp_path / "bucket" / name, make_policy(SHALLOW, THREE), value_tower())
    with pytest.raises(RecordError, match=r"more than one model.*Name the folder of one"):
        import_model(tmp_path / "bucket", tmp_path / "new")


def test_folder_without_a_model(tmp_path: Path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(RecordError, match=r"there is no DeepRacer model in it.*model_N\.pb"):
        import_model(tmp_path / "empty", tmp_path / "new")
    with pytest.raises(RecordError, match=r"no such file or folder"):
        import_model(tmp_path / "nowhere.tar.gz", tmp_path / "new")


def test_archive_of_two_unnumbered_graphs(tmp_path: Path):
    content = frozen_graph(layers_of(make_policy(SHALLOW, THREE)))
    with tarfile.open(tmp_path / "two.tar.gz", "w:gz") as tar:
        for name in ("agent/model.pb", "other.pb"):
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))
    with pytest.raises(RecordError, match=r"several graphs without a number \(agent/model\.pb, other\.pb\)"):
        import_model(tmp_path / "two.tar.gz", tmp_path / "new")


def test_value_of_another_kind_than_the_policy(tmp_path: Path):
    """Hotlap has one network for both."""
    policy = layers_of(make_policy(SHALLOW, THREE))
    value = layers_of(value_tower())
    smaller: TowerLayers = replace(value, convs=value.convs[:2])
    rng = np.random.default_rng(0)
    kernel = rng.normal(0, 0.01, (13 * 18 * 64, value.head.kernel.shape[0])).astype(np.float32)
    smaller = replace(smaller, middleware=(replace(value.middleware[0], kernel=kernel),))
    write_checkpoint(tmp_path / "model", f"{NAME}.ckpt", policy, smaller)
    (tmp_path / "model" / "model_metadata.json").write_text(json.dumps(METADATA))
    with pytest.raises(RecordError, match=r"the value network .* is another than that of the policy"):
        import_model(tmp_path / "model", tmp_path / "new")


def test_variables_of_a_checkpoint_are_read_by_name():
    """The table's blocks share the beginnings of names."""
    from hotlap.export.tf_checkpoint import read_index

    arrays = {f"a/layer_{index}/kernel": np.full((index + 1, 2), index, np.float32) for index in range(23)}
    index, data = checkpoint_files(arrays)
    entries = read_index(index, "x.index")
    assert set(entries) == set(arrays)
    for name, entry in entries.items():
        content = data[entry.offset : entry.offset + entry.size]
        np.testing.assert_array_equal(np.frombuffer(content, "<f4").reshape(entry.shape), arrays[name])

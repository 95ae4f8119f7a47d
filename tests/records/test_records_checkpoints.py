"""Checkpoints: what is saved comes back, whatever happens to the process or the disk in between."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import textwrap
from unittest.mock import patch

import pytest
import torch

from hotlap.errors import RecordError
from hotlap.records.checkpoints import CheckpointName, CheckpointStore, IndexEntry
from hotlap.records.folder import Folder
from hotlap.records.opening import open_store
from hotlap.records.trainer_state import BestCheckpoint, TrainerState

METADATA = {"network": "DEEP_CONVOLUTIONAL_NETWORK_SHALLOW", "sensors": ["FRONT_FACING_CAMERA"], "seed": 7}


def weights(seed: int = 0) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    kernel = torch.randn(8, 3, 5, 5, generator=generator)
    return {
        "policy.conv.weight": kernel.contiguous(memory_format=torch.channels_last),
        "policy.log_std": torch.zeros(2),
        "policy.tied": kernel,
        "value.weight": torch.randn(4, 6, generator=generator).T,
        "value.half": torch.randn(3, generator=generator).bfloat16(),
        "value.step": torch.tensor(12),
        "value.mask": torch.tensor([True, False]),
    }


def state(iteration: int) -> TrainerState:
    best = BestCheckpoint("1_Step-100.ckpt", 87.5, 0.25, 11_800.0)
    return TrainerState(iteration, 100 * iteration, 20 * iteration, 12.5, 30.25, 7, best=best, extra={"rng": [1, 2]})


def entry(number: int) -> IndexEntry:
    return IndexEntry(CheckpointName(number, 100 * number), 50.0, 12.0)


def save(store: CheckpointStore, number: int) -> None:
    moments = {"policy.exp_avg": torch.full((3,), float(number))}
    store.save(number, 100 * number, weights(number), metadata=METADATA, optimizer=moments, state=state(number))


def test_load_undoes_save(tmp_path):
    store = CheckpointStore(tmp_path)
    save(store, 3)
    loaded = store.load()
    assert loaded.name == CheckpointName(3, 300)
    assert loaded.metadata == METADATA
    assert loaded.state == state(3)
    assert loaded.optimizer is not None
    assert torch.equal(loaded.optimizer["policy.exp_avg"], torch.full((3,), 3.0))
    expected = weights(3)
    assert loaded.weights.keys() == expected.keys()
    for name, tensor in expected.items():
        assert loaded.weights[name].dtype == tensor.dtype
        assert torch.equal(loaded.weights[name], tensor)
    assert (tmp_path / "model" / ".coach_checkpoint").read_text() == "3_Step-300.ckpt\n"


def test_equal_checkpoints_are_equal_in_bytes_in_any_process(tmp_path):
    """Safetensors orders its metadata at random per process; ours must not show it."""
    program = textwrap.dedent("""
        import sys, torch
        from hotlap.records.checkpoints import CheckpointStore
        from hotlap.records.folder import Folder
        torch.manual_seed(0)
        tensors = {name: torch.randn(3, 4) for name in "edcba"}
        metadata = {f"key {i}": i for i in range(20)}
        CheckpointStore(Folder(sys.argv[1], sync=False)).save(0, 0, tensors, metadata=metadata, optimizer=tensors)
    """)
    with patch.object(sys, "argv", ["here", tmp_path / "here"]), torch.random.fork_rng():
        exec(program, {})
    subprocess.run([sys.executable, "-c", program, tmp_path / "there"], check=True)
    for name in ("0_Step-0.safetensors", "0_Step-0.optimizer.safetensors"):
        assert (tmp_path / "here/model" / name).read_bytes() == (tmp_path / "there/model" / name).read_bytes()


def test_newest_four_and_the_best_are_kept_and_one_optimizer(tmp_path):
    store = CheckpointStore(Folder(tmp_path, sync=False))
    for number in range(8):
        save(store, number)
        if number == 1:
            store.write_index(best=entry(1), last=entry(1))
    assert [name.number for name in store.list()] == [1, 4, 5, 6, 7]
    names = {path.name for path in (tmp_path / "model").iterdir()}
    assert {name for name in names if ".optimizer." in name} == {"7_Step-700.optimizer.safetensors"}
    assert len([name for name in names if name.endswith(".state.json")]) == 5
    assert store.load("best").name.number == 1
    assert store.load(5).name.number == 5
    store.write_index(best=entry(6), last=entry(7))
    assert [name.number for name in store.list()] == [4, 5, 6, 7]


def test_index_has_the_fields_of_the_original(tmp_path):
    store = CheckpointStore(tmp_path)
    store.write_index(best=entry(1), last=IndexEntry(CheckpointName(2, 200), float("nan"), 13.5))
    assert json.loads((tmp_path / "model" / "deepracer_checkpoints.json").read_text()) == {
        "best_checkpoint": {"name": "1_Step-100.ckpt", "avg_eval_metric": 50.0, "time_stamp": 12.0},
        "last_checkpoint": {"name": "2_Step-200.ckpt", "avg_eval_metric": None, "time_stamp": 13.5},
    }
    assert store.best() == entry(1)


@pytest.mark.parametrize("damage", ["truncated", "empty", "bit", "header"])
def test_damaged_newest_checkpoint_is_skipped_with_a_warning(tmp_path, damage):
    store = CheckpointStore(tmp_path)
    save(store, 1)
    save(store, 2)
    path = tmp_path / "model" / "2_Step-200.safetensors"
    data = bytearray(path.read_bytes())
    if damage == "truncated":
        data = data[: len(data) // 2]
    elif damage == "empty":
        data = bytearray()
    elif damage == "bit":
        data[-5] ^= 1
    else:
        data[:8] = b"\xff" * 8
    path.write_bytes(data)
    with pytest.warns(UserWarning, match="2_Step-200.ckpt is damaged"):
        loaded = store.load("last")
    assert loaded.name.number == 1
    assert loaded.state == state(1)
    with pytest.raises(RecordError, match="damaged"):
        store.load(2)


def test_a_resumed_run_replaces_the_future_it_abandons(tmp_path):
    """After the damaged 2 at step 250, training goes on from 1 and makes another 2, which must be the last."""
    store = CheckpointStore(tmp_path)
    save(store, 1)
    store.save(2, 250, weights(), metadata=METADATA)
    save(store, 2)
    assert store.list() == [CheckpointName(1, 100), CheckpointName(2, 200)]
    assert store.load().optimizer is not None


@pytest.mark.parametrize("written", ["optimizer", "state"])
def test_kill_before_the_weights_leaves_the_checkpoint_before(tmp_path, written):
    """The files of a save, in order, up to the kill."""
    store = CheckpointStore(tmp_path)
    save(store, 1)
    full = tmp_path / "full"
    save(CheckpointStore(full), 2)
    stems = ["2_Step-200.optimizer.safetensors", "2_Step-200.state.json"]
    for name in stems[: 1 + (written == "state")]:
        (tmp_path / "model" / name).write_bytes((full / "model" / name).read_bytes())
    (tmp_path / "model" / ".2_Step-200.safetensors.x1.part").write_bytes(b"torn")
    loaded = store.load()
    assert loaded.name.number == 1
    assert loaded.state == state(1)
    assert loaded.optimizer is not None


def test_missing_best_falls_back_to_the_last(tmp_path):
    store = CheckpointStore(tmp_path)
    save(store, 1)
    with pytest.warns(UserWarning, match="no best"):
        assert store.load("best").name.number == 1
    store.write_index(best=entry(0), last=entry(1))
    with pytest.warns(UserWarning, match="0_Step-0.ckpt is missing"):
        assert store.load("best").name.number == 1
    (tmp_path / "model" / "deepracer_checkpoints.json").write_text('{"best_check')
    with pytest.warns(UserWarning, match="damaged"):
        assert store.best() is None


def test_nothing_to_load_says_so(tmp_path):
    with pytest.raises(RecordError, match="no checkpoint"):
        CheckpointStore(tmp_path / "none").load()
    save(CheckpointStore(tmp_path), 1)
    with pytest.raises(RecordError, match=r"no checkpoint 9.*1_Step-100\.ckpt"):
        CheckpointStore(tmp_path).load(9)


@pytest.mark.parametrize("text", ["", "[]", '{"format": 99}', '{"format": 1, "iteration": 3}', '{"format": 1, "a": 1}'])
def test_damaged_state_is_reported(text):
    with pytest.raises(RecordError):
        TrainerState.from_json(text.encode())


@pytest.mark.skipif(os.name == "nt" or os.geteuid() == 0, reason="permissions do not bind this user")
def test_unwritable_folder_is_explained(tmp_path):
    tmp_path.chmod(0o500)
    with pytest.raises(RecordError, match="writable"):
        save(CheckpointStore(tmp_path), 1)
    tmp_path.chmod(0o700)


def test_a_message_names_the_folder_and_not_the_object(tmp_path):
    """As one would type it."""
    with pytest.raises(RecordError) as caught:
        CheckpointStore(tmp_path).load("last")
    assert f"There is no checkpoint in {tmp_path}:" in str(caught.value)
    assert "Folder(" not in str(caught.value)
    assert str(open_store(tmp_path)) == str(tmp_path)

"""Laws of every store, a folder or a bucket, and of those that a training writes and the next one finds."""

from __future__ import annotations

import itertools
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch

from hotlap.errors import ConfigError, RecordError
from hotlap.records.address import S3Prefix
from hotlap.records.checkpoints import CheckpointName, CheckpointStore, IndexEntry
from hotlap.records.download import download
from hotlap.records.events import IterationRecord, ProgressLog
from hotlap.records.folder import Folder
from hotlap.records.metrics import EpisodeMetrics, TrainingMetrics, read_metrics
from hotlap.records.mirror import Mirror
from hotlap.records.opening import open_store
from hotlap.records.s3 import Bucket
from hotlap.records.store import Store

Opener = Callable[[], Store]


@pytest.fixture(params=["folder", "bucket"])
def opened(request: pytest.FixtureRequest, tmp_path: Path) -> Opener:
    """Opens the same store anew at each call."""
    if request.param == "bucket":
        model: str | Path = f"s3://{request.getfixturevalue('s3_bucket')}/models/law"
    else:
        model = tmp_path / "model"
    return lambda: open_store(model)


@pytest.fixture(params=["folder", "mirrored"])
def resumed(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Callable[[], Folder]]:
    """What a training writes into, as the next one finds it: the same folder, or what came to another by a bucket."""
    if request.param == "folder":
        yield lambda: Folder(tmp_path / "model")
        return
    bucket = Bucket(S3Prefix(request.getfixturevalue("s3_bucket"), "models/law"))
    mirrors: list[Mirror] = []

    def finish() -> None:
        for mirror in mirrors:
            assert mirror.flush(patience_s=30)
            mirror.close()
        mirrors.clear()

    def call() -> Folder:
        finish()
        folder = Path(tempfile.mkdtemp(dir=tmp_path))
        download(bucket, folder)
        mirrors.append(Mirror(folder, bucket))
        return Folder(folder)

    yield call
    finish()


@pytest.fixture
def store(opened: Opener) -> Store:
    return opened()


def test_put_get_list_delete(store: Store):
    assert store.list("model") == []
    store.put("model/b", b"1")
    store.put("model/a", b"2")
    store.put("model/deep/c", b"3")
    store.put("models/d", b"3")
    store.put("top", b"3")
    store.put("model/b", b"4")
    store.put("model/new", b"6")
    assert store.get("model/b") == b"4"
    assert store.get("model/new") == b"6"
    assert store.list("model") == ["model/a", "model/b", "model/new"]
    assert store.exists("model/deep/c")
    assert store.exists("top")
    store.delete("model/b")
    store.delete("model/b")
    store.delete("top")
    assert not store.exists("model/b")
    assert not store.exists("top")
    assert store.list("model") == ["model/a", "model/new"]
    with pytest.raises(RecordError, match=r"model/b does not exist"):
        store.get("model/b")


def test_what_is_not_there(store: Store):
    """No error, but for those who want the bytes."""
    assert not store.exists("model/none")
    assert store.list("none") == []
    store.delete("model/none")
    store.delete("none/none")
    with pytest.raises(RecordError, match="model/none does not exist"):
        store.get("model/none")


@pytest.mark.parametrize("key", ["", "/etc/x", "../x", "a/../../x", "a//b", ".", "a/"])
def test_keys_cannot_leave_the_place(store: Store, key: str):
    for attempt in (
        lambda: store.put(key, b""),
        lambda: store.get(key),
        lambda: store.exists(key),
        lambda: store.delete(key),
    ):
        with pytest.raises(RecordError, match="cannot name a file of the run"):
            attempt()


@pytest.mark.parametrize("name", ["a b", "ä", "x+y", "x%20y", "x#y", "x&y=z", "it's"])
def test_names_stay_as_they_are(opened: Opener, name: str):
    opened().put(f"{name}/{name}", b"1")
    store = opened()
    assert store.get(f"{name}/{name}") == b"1"
    assert store.list(name) == [f"{name}/{name}"]


def test_the_next_training_finds_what_was_written(resumed: Callable[[], Folder]):
    """The last state of everything."""
    first = resumed()
    first.put("metrics/a", b"old")
    first.put("metrics/b", b"goes")
    first.put("metrics/a", b"new")
    first.delete("metrics/b")
    first.append("metrics/c", b"1")
    first.append("metrics/c", b"2")
    second = resumed()
    assert (second.get("metrics/a"), second.get("metrics/c")) == (b"new", b"12")
    assert second.list("metrics") == ["metrics/a", "metrics/c"]
    second.append("metrics/c", b"3")
    second.delete("metrics/a")
    assert resumed().get("metrics/c") == b"123"
    assert resumed().list("metrics") == ["metrics/c"]


def test_readers_see_the_old_bytes_or_the_new_ones(store: Store):
    """Never a mixture, a part, or nothing."""
    size = 100_000
    store.put("model/x", b"a" * size)
    ended = threading.Event()
    seen: list[bytes] = []

    def read() -> None:
        while not ended.is_set():
            seen.append(store.get("model/x"))

    reader = threading.Thread(target=read)
    reader.start()
    for letter in itertools.islice(itertools.cycle(b"ba"), 20):
        store.put("model/x", bytes([letter]) * size)
    ended.set()
    reader.join()
    assert seen
    assert all(data in (b"a" * size, b"b" * size) for data in seen)


def test_checkpoints_live_there(opened: Opener):
    """Saved, pruned, chosen as the best, loaded by the next."""
    checkpoints = CheckpointStore(opened(), keep=2)
    for number in range(5):
        name = checkpoints.save(
            number, 10 * number, {"w": torch.full((3,), float(number))}, metadata={}, optimizer={"m": torch.zeros(1)}
        )
        if number == 1:
            checkpoints.write_index(best=IndexEntry(name, 50.0, 1.0), last=IndexEntry(name, 50.0, 1.0))
    kept = [CheckpointName(1, 10), CheckpointName(3, 30), CheckpointName(4, 40)]
    assert checkpoints.list() == kept
    again = CheckpointStore(opened(), keep=2)
    assert again.list() == kept
    assert again.load("best").weights["w"].tolist() == [1.0] * 3
    last = again.load("last")
    assert (last.name, last.weights["w"].tolist()) == (CheckpointName(4, 40), [4.0] * 3)
    assert last.optimizer is not None
    assert again.store.get("model/.coach_checkpoint") == b"4_Step-40.ckpt\n"


def test_growing_records_live_there(resumed: Callable[[], Folder]):
    """The progress and the metrics of a training go on where the resumed one begins."""
    record = IterationRecord(0, "1_Step-1.ckpt", 1, 1, 1.0, 1, 1, 1.0, 1.0, 0)
    episode = EpisodeMetrics(1.0, 0.0, 1.0, 1, 1, "training", 10.0, "off_track")
    store = resumed()
    log, metrics = ProgressLog(store, num_iterations=0), TrainingMetrics(store)
    for _ in range(3):
        log.append(record)
        metrics.add([episode])
        metrics.save()
    store = resumed()
    log, metrics = ProgressLog(store, num_iterations=1), TrainingMetrics(store, num_episodes=2)
    assert len(log.read()) == 3  # all are of iteration 0
    log.append(record)
    metrics.save()
    store = resumed()
    assert len(ProgressLog(store).read()) == 4
    assert len(read_metrics(store, "metrics/TrainingMetrics.json")) == 2


def test_open_store_reads_addresses(tmp_path: Path, s3_bucket: str):
    assert isinstance(open_store(tmp_path), Folder)
    assert isinstance(open_store(str(tmp_path)), Folder)
    bucket = open_store(f"s3://{s3_bucket}/a/b/")
    assert isinstance(bucket, Bucket)
    assert str(bucket) == f"s3://{s3_bucket}/a/b"
    assert open_store(bucket) is bucket


@pytest.mark.parametrize(
    "text", ["s3://", "s3://bucket", "s3://bucket/", "s3:///prefix", "s3://a/b", "s3://bucket/a//b", "s3://bucket/../b"]
)
def test_addresses_that_are_none(text: str):
    """A whole bucket is none either: it may hold other things than one model."""
    with pytest.raises(ConfigError, match=r"s3://bucket/prefix, such as"):
        S3Prefix.parse(text)

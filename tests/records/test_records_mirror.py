"""The mirror: nobody waits for it, nothing is lost, and a reader of the bucket never finds a name without its file.

The bucket is a folder where the medium does not matter. It is away while a file stands in its place.
"""

from __future__ import annotations

import itertools
import os
import re
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch
from s3_server import S3Server
from tcp_proxy import Proxy

from hotlap.errors import RecordError
from hotlap.records import mirror, s3
from hotlap.records.address import S3Prefix
from hotlap.records.checkpoints import CheckpointName, CheckpointStore, IndexEntry
from hotlap.records.claim import SucceededError
from hotlap.records.download import download
from hotlap.records.folder import Folder
from hotlap.records.mirror import Mirror
from hotlap.records.s3 import Bucket
from hotlap.records.store import Store


class Watched(Folder):
    """A folder that notes what is done to it, in order; it may be away, and it may wait."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, sync=False)
        self.deeds: list[tuple[str, str]] = []
        self.after: Callable[[], None] = lambda: None
        self.request = threading.RLock()  # who looks after one does not see it vanish
        self.root.mkdir()

    def put(self, key: str, data: bytes) -> None:
        with self.request:
            super().put(key, data)
            self.deeds.append(("put", key))
            self.after()

    def delete(self, key: str) -> None:
        with self.request:
            if not self.root.is_dir():  # to a folder, what is below no folder is gone already
                raise RecordError(f"{self.root} is away")
            super().delete(key)
            self.deeds.append(("delete", key))
            self.after()

    def vanish(self) -> None:
        """Until `return_`."""
        with self.request:
            self.root.rename(self.root.with_suffix(".away"))
            self.root.write_text("away")

    def return_(self) -> None:
        with self.request:
            self.root.unlink()
            self.root.with_suffix(".away").rename(self.root)

    def files(self) -> dict[str, bytes]:
        """All of them."""
        return {
            path.relative_to(self.root).as_posix(): path.read_bytes()
            for path in self.root.rglob("*")
            if path.is_file() and not path.name.endswith(".part")
        }


@pytest.fixture
def remote(tmp_path: Path) -> Watched:
    return Watched(tmp_path / "remote")


@pytest.fixture
def store(tmp_path: Path) -> Folder:
    """What a training writes."""
    return Folder(tmp_path / "run")


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same laws hold with short pauses."""
    monkeypatch.setattr(mirror, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(mirror, "LONGEST_PAUSE_S", 0.05)
    monkeypatch.setattr(mirror, "LOOK_S", 0.01)


@contextmanager
def mirrored(
    store: Folder,
    remote: Store,
    *,
    tell: Callable[[str], None] = lambda message: None,
    confirm: Callable[[], None] = lambda: None,
) -> Iterator[Mirror]:
    """A mirror at work."""
    mirror = Mirror(store.root, remote, tell=tell, confirm=confirm)
    mirror.start()
    try:
        yield mirror
    finally:
        mirror.close()


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def save(checkpoints: CheckpointStore, number: int) -> CheckpointName:
    """A checkpoint, as a training saves it."""
    weights = {"w": torch.full((100,), float(number))}
    return checkpoints.save(number, 10 * number, weights, metadata={}, optimizer={"m": torch.zeros(3)})


def test_an_outage_is_told_once_and_loses_nothing(remote: Watched, store: Folder):
    """One line when uploads begin to fail, one when they succeed again; writing and reading go on meanwhile."""
    told: list[str] = []
    with mirrored(store, remote, tell=told.append) as mirror:
        store.put("metrics/a", b"1")
        assert mirror.flush(patience_s=30)
        remote.vanish()
        for number in range(20):
            store.put(f"training-simtrace/{number}-iteration.csv", str(number).encode())
            store.append("metrics/a", b"1")
        wait_for(lambda: told)
        time.sleep(0.2)  # several attempts more
        assert mirror.failing
        missing = mirror.missing()
        assert (len(missing), missing.num_bytes) == (21, 21 + 10 + 20)
        remote.return_()
        assert mirror.flush(patience_s=30)
        assert not mirror.missing()
    assert len(told) == 2
    assert re.search(r"takes no files: .*A file stands where.*The run goes on; what it writes waits in .*run", told[0])
    assert re.search(r"takes files again, after \d+ s; \d+ files \(\d+\.\d MB\) left to upload", told[1])
    assert remote.files() == {
        "metrics/a": b"1" * 21,
        **{f"training-simtrace/{number}-iteration.csv": str(number).encode() for number in range(20)},
    }


def test_only_what_counts_in_the_end_travels(remote: Watched, store: Folder):
    """However long a bucket is away, no more waits than what the run leaves behind."""
    with mirrored(store, remote) as mirror:
        checkpoints = CheckpointStore(store, keep=2)
        save(checkpoints, 0)
        assert mirror.flush(patience_s=30)
        remote.vanish()
        for number in range(1, 30):
            save(checkpoints, number)
        assert len(mirror.missing()) < 15
        remote.deeds.clear()
        remote.return_()
        assert mirror.flush(patience_s=30)
    weights = [key for deed, key in remote.deeds if deed == "put" and "Step" in key and "optimizer" not in key]
    assert len(weights) <= 4  # what was there when it vanished, and the two that are kept
    assert CheckpointStore(remote).list() == [CheckpointName(28, 280), CheckpointName(29, 290)]
    assert set(remote.files()) == {
        "model/.coach_checkpoint",
        "model/28_Step-280.safetensors",
        "model/29_Step-290.safetensors",
        "model/29_Step-290.optimizer.safetensors",
    }


@pytest.mark.parametrize("disturbed", ["never", "by outages", "by a disk without hard links"])
def test_no_reader_finds_a_name_without_its_file(
    remote: Watched, store: Folder, disturbed: str, monkeypatch: pytest.MonkeyPatch
):
    """After every single request: the named checkpoints are there, and metrics reach as far as every checkpoint."""
    problems: list[str] = []
    busy: list[bool] = []
    outages = disturbed == "by outages"
    if disturbed == "by a disk without hard links":

        def refuse(*_: object) -> None:
            raise PermissionError("no links here")

        monkeypatch.setattr(os, "link", refuse)

    def look() -> None:
        files = remote.files()
        names = [files.get("model/.coach_checkpoint", b"").decode().strip()]
        names += re.findall(r"\d+_Step-\d+\.ckpt", files.get("model/deepracer_checkpoints.json", b"").decode())
        for name in filter(None, names):
            if f"model/{name.removesuffix('.ckpt')}.safetensors" not in files:
                problems.append(f"{name} is named, but not there, after {remote.deeds[-1]}")
        newest = max(
            (int(key.split("_")[0][6:]) for key in files if re.search(r"Step-\d+\.safetensors", key)), default=0
        )
        if int(files.get("metrics/count", b"0")) < newest:
            problems.append(f"metrics are behind checkpoint {newest}")
        if "Step-" in remote.deeds[-1][1]:
            busy.append("model/.lock" in files)

    remote.after = look
    with mirrored(store, remote) as mirror:
        checkpoints = CheckpointStore(store, keep=2)
        best = None
        for number in range(40):
            if outages and number % 10 == 3:
                remote.vanish()
            store.put("metrics/count", str(number).encode())
            name = save(checkpoints, number)
            if number % 3 == 0 or best is None:
                best = IndexEntry(name, 1.0, 1.0)
            checkpoints.write_index(best=best, last=IndexEntry(name, 1.0, 1.0))
            if outages and number % 10 == 7:
                remote.return_()
            if number % 7 == 0 and not mirror.failing:
                wait_for(lambda: len(remote.deeds) > 0)
        assert mirror.flush(patience_s=30)
    assert problems == []
    assert busy
    assert all(busy)
    assert "model/.lock" not in remote.files()
    assert remote.files() == {key: store.get(key) for folder in ("model", "metrics") for key in store.list(folder)}
    assert CheckpointStore(remote).list()[-1] == CheckpointName(39, 390)


def test_weights_that_go_while_they_travel_arrive_whole(remote: Watched, store: Folder):
    """A link so slow that a checkpoint is dropped before its turn: what is named arrives first, then it goes."""
    checkpoints = CheckpointStore(store, keep=2)
    numbers = itertools.count(2)
    seen: list[set[str]] = []

    def train_on() -> None:
        if len(seen) < 3 and "safetensors" in remote.deeds[-1][1]:
            for _ in range(3):
                save(checkpoints, next(numbers))
        if remote.deeds[-1] == ("put", "model/.coach_checkpoint"):
            seen.append({str(name) for name in CheckpointStore(remote).list()})
            assert remote.get("model/.coach_checkpoint").decode().strip() in seen[-1]

    remote.after = train_on
    save(checkpoints, 0)
    save(checkpoints, 1)
    with mirrored(store, remote) as mirror:
        wait_for(lambda: len(seen) >= 3)
        assert mirror.flush(patience_s=30)
    assert {"0_Step-0.ckpt", "1_Step-10.ckpt"} <= seen[0]
    assert CheckpointStore(remote).list() == checkpoints.list()


def test_a_writer_does_not_wait_for_a_server_that_hangs(
    s3_bucket: str, s3_server: S3Server, store: Folder, monkeypatch: pytest.MonkeyPatch
):
    """A thousand things happen between two answers; what counts in the end arrives."""
    monkeypatch.setattr(s3, "REQUEST_S", 2)
    proxy = Proxy(int(s3_server.endpoint.rpartition(":")[2]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    bucket = Bucket(S3Prefix(s3_bucket, "hangs"))
    with mirrored(store, bucket) as mirror:
        proxy.silent = True
        store.put("metrics/first", b"1")
        wait_for(lambda: mirror._left)  # it is on its way
        for number in range(30):
            store.put("metrics/a", str(number).encode())
        assert not mirror.failing  # no request had the time to fail
        assert set(mirror.missing().changed) == {"metrics/a", "metrics/first"}
        proxy.silent = False
        proxy.drop()
        assert mirror.flush(patience_s=30)
    assert bucket.get("metrics/a") == b"29"
    proxy.close()


def test_cut_connections_and_slow_answers(
    s3_bucket: str, s3_server: S3Server, store: Folder, monkeypatch: pytest.MonkeyPatch
):
    """Files that break off in the middle of their upload arrive whole at last."""
    proxy = Proxy(int(s3_server.endpoint.rpartition(":")[2]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    data = {f"model/{number}": os.urandom(300_000) for number in range(4)}
    told: list[str] = []
    bucket = Bucket(S3Prefix(s3_bucket, "cut"))
    with mirrored(store, bucket, tell=told.append) as mirror:
        proxy.cut_after = 200_000
        for key, content in data.items():
            store.put(key, content)
        wait_for(lambda: told)
        proxy.cut_after = None
        proxy.delay_s = 0.01
        assert mirror.flush(patience_s=30)
    assert re.search("cut takes no files: (the connection broke|no connection|no answer)", told[0])
    assert {key: Bucket(S3Prefix(s3_bucket, "cut")).get(key) for key in data} == data
    proxy.close()


def test_a_server_that_dies_in_the_middle(s3_bucket: str, s3_server: S3Server, store: Folder):
    """Killed while it takes files, and started again with what it has."""
    if s3_server.given:
        pytest.skip("a server that is not ours is not killed")
    data = {f"model/{number}": os.urandom(200_000) for number in range(12)}
    bucket = Bucket(S3Prefix(s3_bucket, "dies"))
    for key, content in data.items():
        store.put(key, content)
    with mirrored(store, bucket) as mirror:
        wait_for(lambda: len(mirror.missing()) < 10)
        s3_server.stop()
        try:
            wait_for(lambda: mirror.failing)
        finally:
            s3_server.start()
        assert mirror.flush(patience_s=60)
    assert {key: bucket.get(key) for key in data} == data
    assert bucket.all_keys() == sorted(data)


WRITE = """
import itertools, sys
from pathlib import Path
from hotlap.records import mirror
from hotlap.records.folder import Folder
mirror.LOOK_S = mirror.FIRST_PAUSE_S = mirror.LONGEST_PAUSE_S = 0.001
store = Folder(Path(sys.argv[1]) / "run")
mirror.Mirror(store.root, Folder(Path(sys.argv[1]) / "remote", sync=False)).start()
for number in itertools.count():
    store.put(f"model/{number}", str(number).encode() * 1000)
    store.put("metrics/count", str(number).encode())
    if number >= 3:
        store.delete(f"model/{number - 3}")
    print(number, flush=True)
"""


@pytest.mark.parametrize("away", [False, True])
def test_a_killed_process_loses_nothing_that_it_had_written(away: bool, tmp_path: Path, store: Folder):
    """What it wrote is brought there by the next one, and what it had uploaded and removed since does not stay."""
    if away:
        (tmp_path / "remote").write_text("away")
    with subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 100:
                break
        writer.send_signal(signal.SIGKILL)
        written = [int(line), *map(int, writer.stdout.read().split())][-1]
    if away:
        (tmp_path / "remote").unlink()
    else:
        (tmp_path / "remote").rename(tmp_path / "kept")
    remote = Watched(tmp_path / "remote")
    if not away:
        remote.root.rmdir()
        (tmp_path / "kept").rename(remote.root)
    count = int(store.get("metrics/count"))
    assert written <= count <= written + 1
    with mirrored(store, remote) as mirror:
        assert mirror.flush(patience_s=30)
    files = remote.files()
    assert files.pop("metrics/count") == str(count).encode()
    numbers = sorted(int(key.removeprefix("model/")) for key in files)
    assert numbers in ([*range(count - 2, count + 1)], [*range(count - 3, count + 1)], [*range(count - 2, count + 2)])
    assert all(data == key.removeprefix("model/").encode() * 1000 for key, data in files.items())


def test_what_is_there_does_not_travel_again(remote: Watched, store: Folder):
    """The next process uploads what has changed since, and nothing else."""
    for key in ("metrics/a", "metrics/b", "model/c"):
        store.put(key, b"1")
    with mirrored(store, remote) as mirror:
        assert mirror.flush(patience_s=30)
    remote.deeds.clear()
    store.put("metrics/b", b"2")
    store.delete("metrics/a")
    with mirrored(store, remote) as mirror:
        assert mirror.flush(patience_s=30)
    assert remote.deeds == [("put", "metrics/b"), ("delete", "metrics/a")]


def test_what_was_deleted_while_its_upload_failed_goes_in_the_end(tmp_path: Path, store: Folder):
    """An upload whose answer was lost may have arrived: the deletion is carried out all the same."""

    class Lossy(Watched):
        lost = 0

        def put(self, key: str, data: bytes) -> None:
            super().put(key, data)
            if key == "model/x" and self.lost < 3:
                self.lost += 1
                raise RecordError("the answer got lost")

    lossy = Lossy(tmp_path / "lossy")
    store.put("model/x", b"1")
    with mirrored(store, lossy) as mirror:
        wait_for(lambda: lossy.lost)
        store.delete("model/x")
        assert mirror.flush(patience_s=30)
    assert lossy.files() == {}


def test_flush_gives_up_in_time_and_the_next_one_ends_the_work(remote: Watched, store: Folder):
    store.put("metrics/b", b"1")
    with mirrored(store, remote) as mirror:
        assert mirror.flush(patience_s=30)
    remote.vanish()
    store.put("metrics/a", b"1")
    store.delete("metrics/b")
    with mirrored(store, remote) as mirror:
        assert not mirror.flush(patience_s=0.1)
        missing = mirror.missing()
        assert (set(missing.changed), missing.gone, missing.num_bytes) == ({"metrics/a"}, ["metrics/b"], 1)
    remote.return_()
    with mirrored(store, remote) as mirror:
        assert mirror.flush(patience_s=30)
        assert not mirror.missing()
    assert remote.files() == {"metrics/a": b"1"}


def test_a_prefix_that_is_anothers_now_is_not_written_to(remote: Watched, store: Folder):
    """The training hears of it when it asks; what it wrote stays on the disk."""
    taken = False

    def confirm() -> None:
        if taken:
            raise SucceededError("another one")

    with mirrored(store, remote, confirm=confirm) as mirror:
        store.put("metrics/a", b"1")
        assert mirror.flush(patience_s=30)
        mirror.check()
        taken = True
        store.put("metrics/b", b"1")
        with pytest.raises(SucceededError, match="another one"):
            mirror.flush(patience_s=30)
        with pytest.raises(SucceededError, match="another one"):
            mirror.check()
    assert set(remote.files()) == {"metrics/a"}
    assert set(mirror.missing().changed) == {"metrics/b"}


def test_a_training_goes_on_with_what_it_needs_of_a_bucket(s3_bucket: str, tmp_path: Path):
    """It reads the newest checkpoints and those that are named; what it only removes need not come, and is removed."""
    bucket = Bucket(S3Prefix(s3_bucket, "resumed"))
    first = Folder(tmp_path / "first")
    checkpoints = CheckpointStore(first, keep=None)
    for number in range(8):
        name = save(checkpoints, number)
        first.put(f"training-simtrace/{number}-iteration.csv", str(number).encode())
        if number == 1:
            best = IndexEntry(name, 1.0, 1.0)
    checkpoints.write_index(best=best, last=IndexEntry(name, 1.0, 1.0))
    first.put("metrics/progress.jsonl", b"{}")
    first.put("metrics/evaluation/evaluation-1.json", b"{}")
    first.put("mine.txt", b"mine")
    with mirrored(first, bucket) as mirror:
        assert mirror.flush(patience_s=30)
    bucket.put("model/.lock", b"")  # of an upload that was broken off
    before = {key: bucket.get(key) for key in bucket.all_keys() if key != "model/.lock"}

    second = Folder(tmp_path / "second")
    download(bucket, second.root)
    checkpoints = CheckpointStore(second, keep=4)
    sizes = {name.number: len(second.get(f"model/{name.stem}.safetensors")) for name in checkpoints.list()}
    assert [number for number, size in sizes.items() if size] == [1, 4, 5, 6, 7]
    assert len(sizes) == 8
    assert not second.exists("mine.txt")
    with mirrored(second, bucket) as mirror:
        assert mirror.flush(patience_s=30)
        assert {key: bucket.get(key) for key in bucket.all_keys()} == before
        checkpoints.prune()
        second.delete("training-simtrace/7-iteration.csv")
        assert mirror.flush(patience_s=30)
    gone = {f"model/{number}_Step-{number}0.safetensors" for number in (2, 3)}
    gone |= {"model/0_Step-0.safetensors", "training-simtrace/7-iteration.csv"}
    assert {key: bucket.get(key) for key in bucket.all_keys()} == {
        key: data for key, data in before.items() if key not in gone
    }

"""The spool: writers never wait, nothing is lost, and whoever reads the remote store never finds a name without a file.

The remote store is a folder where the medium does not matter. It is away while a file stands in its place.
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
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from s3_server import S3Server
from tcp_proxy import Proxy

from hotlap.errors import RecordError
from hotlap.records import s3, spool
from hotlap.records.address import S3Prefix
from hotlap.records.checkpoints import CheckpointName, CheckpointStore, IndexEntry
from hotlap.records.folder import Folder
from hotlap.records.ownership import SucceededError
from hotlap.records.patience import Patience
from hotlap.records.s3 import Bucket
from hotlap.records.spool import Spool
from hotlap.records.spool_folder import SpoolFolder


class Watched(Folder):
    """A folder that notes what is done to it, in order; it may be away, and it may wait."""

    def __init__(self, root: Path) -> None:
        super().__init__(root, sync=False)
        self.deeds: list[tuple[str, str]] = []
        self.after: Callable[[], None] = lambda: None
        self.root.mkdir()

    def put(self, key: str, data: bytes) -> None:
        super().put(key, data)
        self.deeds.append(("put", key))
        self.after()

    def delete(self, key: str) -> None:
        super().delete(key)
        self.deeds.append(("delete", key))
        self.after()

    def vanish(self) -> None:
        """Until `return_`."""
        self.root.rename(self.root.with_suffix(".away"))
        self.root.write_text("away")

    def return_(self) -> None:
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


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The same laws hold with short pauses."""
    monkeypatch.setattr(spool, "FIRST_PAUSE_S", 0.01)
    monkeypatch.setattr(spool, "LONGEST_PAUSE_S", 0.05)


def wait_for(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.005)


def save(checkpoints: CheckpointStore, number: int) -> CheckpointName:
    """A checkpoint, as a training saves it."""
    weights = {"w": torch.full((100,), float(number))}
    return checkpoints.save(number, 10 * number, weights, metadata={}, optimizer={"m": torch.zeros(3)})


def test_an_outage_is_told_once_and_loses_nothing(remote: Watched, tmp_path: Path):
    """One line when uploads begin to fail, one when they succeed again; writing and reading go on meanwhile."""
    told: list[str] = []
    with Spool(remote, tmp_path / "spool", tell=told.append) as store:
        store.put("metrics/a", b"1")
        assert store.flush(patience_s=30)
        remote.vanish()
        for number in range(20):
            store.put(f"training-simtrace/{number}-iteration.csv", str(number).encode())
            store.append("metrics/a", b"1")
        wait_for(lambda: told)
        time.sleep(0.2)  # several attempts more
        assert store.get("metrics/a") == b"1" * 21
        assert store.get("training-simtrace/7-iteration.csv") == b"7"
        assert len(store.list("training-simtrace")) == 20
        assert store.failing
        remote.return_()
        assert store.flush(patience_s=30)
    assert len(told) == 2
    assert re.search(
        r"takes no files: .*A file stands where.*The run goes on; what it writes waits in .*spool", told[0]
    )
    assert re.search(r"takes files again, after \d+ s; \d+ files \(\d+\.\d MB\) left to upload", told[1])
    assert remote.files() == {
        "metrics/a": b"1" * 21,
        **{f"training-simtrace/{number}-iteration.csv": str(number).encode() for number in range(20)},
    }


def test_only_what_counts_in_the_end_travels(remote: Watched, tmp_path: Path):
    """However long a store is away, no more waits than what the run leaves behind."""
    with Spool(remote, tmp_path / "spool") as store:
        checkpoints = CheckpointStore(store, keep=2)
        save(checkpoints, 0)
        assert store.flush(patience_s=30)
        remote.vanish()
        for number in range(1, 30):
            save(checkpoints, number)
        names = {path.name for path in (tmp_path / "spool").iterdir()}
        assert len(names) < 15
        remote.deeds.clear()
        remote.return_()
        assert store.flush(patience_s=30)
    weights = [key for deed, key in remote.deeds if deed == "put" and "Step" in key and "optimizer" not in key]
    assert len(weights) <= 4  # what was there when it vanished, and the two that are kept
    assert CheckpointStore(remote).list() == [CheckpointName(28, 280), CheckpointName(29, 290)]
    assert set(remote.files()) == {
        "model/.coach_checkpoint",
        "model/28_Step-280.safetensors",
        "model/29_Step-290.safetensors",
        "model/29_Step-290.optimizer.safetensors",
    }


@pytest.mark.parametrize("outages", [False, True])
def test_no_reader_finds_a_name_without_its_file(remote: Watched, tmp_path: Path, outages: bool):
    """After every single request: the named checkpoints are there, and metrics reach as far as every checkpoint."""
    problems: list[str] = []
    busy: list[bool] = []

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
    with Spool(remote, tmp_path / "spool") as store:
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
            if number % 7 == 0 and not store.failing:
                wait_for(lambda: len(remote.deeds) > 0)
        assert store.flush(patience_s=30)
    assert problems == []
    assert busy
    assert all(busy)
    assert "model/.lock" not in remote.files()
    assert CheckpointStore(remote).list()[-1] == CheckpointName(39, 390)


def test_a_writer_does_not_wait_for_a_server_that_hangs(
    s3_bucket: str, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """A thousand things happen between two answers, and a reader is served from what waits."""
    monkeypatch.setattr(s3, "REQUEST_S", 2)
    proxy = Proxy(int(s3_server.endpoint.rpartition(":")[2]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    bucket = Bucket(S3Prefix(s3_bucket, "hangs"))
    with Spool(bucket, tmp_path / "spool") as store:
        assert store.list("metrics") == []
        proxy.silent = True
        store.put("metrics/first", b"1")
        wait_for(lambda: not store._waiting)  # it is on its way
        for number in range(30):
            store.put("metrics/a", str(number).encode())
            assert store.get("metrics/a") == str(number).encode()
        assert store.list("metrics") == ["metrics/a", "metrics/first"]
        assert not store.failing  # no request had the time to fail
        proxy.silent = False
        proxy.drop()
        assert store.flush(patience_s=30)
    assert bucket.get("metrics/a") == b"29"
    proxy.close()


def test_cut_connections_and_slow_answers(
    s3_bucket: str, s3_server: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    """Files that break off in the middle of their upload arrive whole at last."""
    proxy = Proxy(int(s3_server.endpoint.rpartition(":")[2]))
    monkeypatch.setenv("AWS_ENDPOINT_URL", proxy.endpoint)
    data = {f"model/{number}": os.urandom(300_000) for number in range(4)}
    told: list[str] = []
    bucket = Bucket(S3Prefix(s3_bucket, "cut"))
    with Spool(bucket, tmp_path / "spool", tell=told.append) as store:
        proxy.cut_after = 200_000
        for key, content in data.items():
            store.put(key, content)
        wait_for(lambda: told)
        proxy.cut_after = None
        proxy.delay_s = 0.01
        assert store.flush(patience_s=30)
    assert re.search("cut takes no files: (the connection broke|no connection|no answer)", told[0])
    assert {key: Bucket(S3Prefix(s3_bucket, "cut")).get(key) for key in data} == data
    proxy.close()


def test_a_server_that_dies_in_the_middle(s3_bucket: str, s3_server: S3Server, tmp_path: Path):
    """Killed while it takes files, and started again with what it has."""
    if s3_server.given:
        pytest.skip("a server that is not ours is not killed")
    data = {f"model/{number}": os.urandom(200_000) for number in range(12)}
    bucket = Bucket(S3Prefix(s3_bucket, "dies"))
    with Spool(bucket, tmp_path / "spool") as store:
        for key, content in data.items():
            store.put(key, content)
        wait_for(lambda: store.left[0] < 10)
        s3_server.stop()
        try:
            wait_for(lambda: store.failing)
        finally:
            s3_server.start()
        assert store.flush(patience_s=60)
    assert {key: bucket.get(key) for key in data} == data


WRITE = """
import itertools, sys
from pathlib import Path
from hotlap.records.folder import Folder
from hotlap.records.spool import Spool
store = Spool(Folder(Path(sys.argv[1]) / "remote", sync=False), Path(sys.argv[1]) / "spool")
for number in itertools.count():
    store.put(f"model/{number}", str(number).encode() * 1000)
    store.put("metrics/count", str(number).encode())
    if number >= 3:
        store.delete(f"model/{number - 3}")
    print(number, flush=True)
"""


def test_a_killed_process_loses_nothing_that_it_had_written(tmp_path: Path):
    """What `put` returned from is there for the next process, in the same order; also while the store is away."""
    (tmp_path / "remote").write_text("away")
    with subprocess.Popen([sys.executable, "-c", WRITE, str(tmp_path)], stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        for line in writer.stdout:
            if int(line) >= 20:
                break
        writer.send_signal(signal.SIGKILL)
        written = [int(line), *map(int, writer.stdout.read().split())][-1]
    (tmp_path / "remote").unlink()
    remote = Watched(tmp_path / "remote")
    with Spool(remote, tmp_path / "spool") as store:
        count = int(store.get("metrics/count"))
        assert written <= count <= written + 1
        assert store.flush(patience_s=30)
    files = remote.files()
    assert files.pop("metrics/count") == str(count).encode()
    numbers = sorted(int(key.removeprefix("model/")) for key in files)
    assert numbers in ([*range(count - 2, count + 1)], [*range(count - 3, count + 1)], [*range(count - 2, count + 2)])
    assert all(data == key.removeprefix("model/").encode() * 1000 for key, data in files.items())
    assert not list((tmp_path / "spool").glob(".*.part"))


def test_what_was_deleted_while_its_upload_failed_goes_in_the_end(remote: Watched, tmp_path: Path):
    """An upload whose answer was lost may have arrived: the deletion is carried out all the same."""

    class Lossy(Watched):
        lost = 0

        def put(self, key: str, data: bytes) -> None:
            super().put(key, data)
            if key == "model/x" and self.lost < 3:
                self.lost += 1
                raise RecordError("the answer got lost")

    lossy = Lossy(tmp_path / "lossy")
    with Spool(lossy, tmp_path / "spool") as store:
        assert store.list("model") == []
        store.put("model/x", b"1")
        wait_for(lambda: lossy.lost)
        store.delete("model/x")
        assert not store.exists("model/x")
        assert store.flush(patience_s=30)
    assert "model/x" not in lossy.files()


def test_flush_gives_up_in_time_and_the_next_one_ends_the_work(remote: Watched, tmp_path: Path):
    remote.vanish()
    with Spool(remote, tmp_path / "spool") as store:
        store.put("metrics/a", b"1")
        store.delete("metrics/b")
        assert not store.flush(patience_s=0.1)
        assert store.left == (2, 1)
    assert SpoolFolder(tmp_path / "spool").newest("metrics/a") == b"1"
    remote.return_()
    with Spool(remote, tmp_path / "spool") as store:
        assert store.get("metrics/a") == b"1"
        assert not store.exists("metrics/b")
        assert store.flush(patience_s=30)
        assert store.left == (0, 0)
    assert remote.files() == {"metrics/a": b"1"}


def test_a_full_spool_waits_for_room_then_says_what_to_do(remote: Watched, tmp_path: Path):
    """It never drops anything: a writer waits as with a full disk, and ends with a clear error."""
    told: list[str] = []
    patience = Patience(0.3, told.append)
    remote.vanish()
    with Spool(remote, tmp_path / "spool", patience=patience, max_bytes=1000) as store:
        store.put("metrics/a", b"a" * 900)
        with pytest.raises(RecordError, match=r"has become too much: .*It is safe.*hotlap upload.*resume the run"):
            store.put("metrics/b", b"b" * 200)
        assert "Waiting up to 0 s until there is room" in told[0]
        threading.Timer(0.1, remote.return_).start()
        patience.seconds = 60
        store.put("trace", b"c" * 1000)
        assert store.flush(patience_s=30)
    assert remote.files() == {"metrics/a": b"a" * 900, "trace": b"c" * 1000}


def test_a_store_that_is_anothers_now_is_not_written_to(remote: Watched, tmp_path: Path):
    """The writer hears of it at its next write; what it wrote stays on the disk."""
    answers = itertools.chain([None], itertools.repeat(SucceededError("another one")))

    def confirm() -> None:
        if (error := next(answers)) is not None:
            raise error

    with Spool(remote, tmp_path / "spool", confirm=confirm) as store:
        store.put("metrics/a", b"1")
        wait_for(lambda: remote.deeds)
        store.put("metrics/b", b"1")
        wait_for(lambda: store._thread is None)
        with pytest.raises(SucceededError, match="another one"):
            store.put("metrics/c", b"1")
        with pytest.raises(SucceededError):
            store.flush(patience_s=30)
    assert set(remote.files()) == {"metrics/a"}
    assert {entry.key for entry in SpoolFolder(tmp_path / "spool").entries() if entry.deed == "put"} >= {"metrics/b"}


def test_copies_of_checkpoints_do_not_stay(remote: Watched, tmp_path: Path):
    """The spool of an ended run holds its metrics, which are watched, and no weights."""
    with Spool(remote, tmp_path / "spool") as store:
        save(CheckpointStore(store), 0)
        store.put("metrics/progress.jsonl", b"{}")
        assert store.flush(patience_s=30)
        assert any("safetensors" in entry.key for entry in store.folder.entries())
    assert [(entry.deed, entry.key) for entry in store.folder.entries()] == [("kept", "metrics/progress.jsonl")]
    assert store.get("model/0_Step-0.safetensors") == remote.get("model/0_Step-0.safetensors")

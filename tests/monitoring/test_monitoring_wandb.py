"""A run of Weights & Biases without a network: what its library would upload, read with its own message types."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest
from news import beginning, news_of

from hotlap.config.monitoring import Monitoring
from hotlap.errors import MissingExtraError
from hotlap.monitoring.monitor import Monitor
from hotlap.monitoring.weights_and_biases import WeightsAndBiases

BLOCK = 1 << 15  # [bytes] of the library's files, which are LevelDB logs behind seven bytes of their own
HEADER = 7  # [bytes] of each piece: checksum, length, kind


def messages(file: Path) -> Iterator[bytes]:
    """The messages in a file, put together from their pieces."""
    data = file.read_bytes()
    assert data[:4] == b":W&B"
    place, message = 7, b""
    while place + HEADER <= len(data):
        length, kind = int.from_bytes(data[place + 4 : place + 6], "little"), data[place + 6]
        if kind == 0 or BLOCK - place % BLOCK < HEADER:  # the rest of a block is empty
            place += BLOCK - place % BLOCK
            continue
        message += data[place + HEADER : place + HEADER + length]
        place += HEADER + length
        if kind in (1, 4):  # whole, or a last piece
            yield message
            message = b""


@pytest.fixture
def told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder in which two runs of the same training left their files."""
    monkeypatch.setenv("WANDB_MODE", "offline")
    monkeypatch.setenv("WANDB_API_KEY", "0123456789" * 4)
    for name in ("WANDB_DIR", "WANDB_PROJECT", "WANDB_ENTITY"):
        monkeypatch.delenv(name, raising=False)
    for number in range(2):
        sink = WeightsAndBiases("racing")
        sink.begin(beginning(tmp_path, num_iterations=number))
        sink.send(news_of(number))
        sink.end()
        second = int(time.time())
        while int(time.time()) == second:  # after which the library names its folders
            time.sleep(0.01)
    return tmp_path


def test_the_run_holds_what_was_told_and_nothing_else(told: Path):
    """Values of iterations and of training episodes, one run for both parts, and nothing about user and machine."""
    from wandb.proto.wandb_internal_pb2 import Record

    files = sorted((told / "logs" / "wandb").glob("offline-run-*/*.wandb"))
    rows: list[dict[str, float]] = []
    runs = []
    for file in files:
        for message in messages(file):
            record = Record.FromString(message)
            if record.HasField("run"):
                runs.append(record.run)
            if record.HasField("history"):
                row = {each.key or "/".join(each.nested_key): each.value_json for each in record.history.item}
                rows.append({name: json.loads(value) for name, value in row.items() if not name.startswith("_")})
    assert {(run.project, run.display_name) for run in runs} == {("racing", "my model")}
    assert {run.run_id for run in runs} == {"0123456789abcdef"}
    assert [row["training/reward"] for row in rows if "training/reward" in row] == [1.5, 2.5]
    assert [row["progress/steps"] for row in rows if "training/reward" in row] == [100, 200]
    assert [(row["episode/number"], row["episode/reward"]) for row in rows if "episode/number" in row] == [
        (1, 27.5),
        (2, 28.5),
        (3, 29.5),
        (4, 30.5),
    ]
    assert not [path for file in files for path in (file.parent / "files").iterdir()]
    assert not any(run.host or run.git.remote_url for run in runs)
    written = b"".join(path.read_bytes() for path in told.rglob("*") if path.is_file())
    assert b"0123456789" * 4 not in written


WITHOUT_KEY = """
import sys
from pathlib import Path
from news import beginning
from hotlap.monitoring.weights_and_biases import WeightsAndBiases
assert sys.stdin.isatty()
try:
    WeightsAndBiases("racing").begin(beginning(Path(sys.argv[1])))
except PermissionError as error:
    print(error)
"""


def test_without_a_key_nobody_is_asked_for_one(tmp_path: Path):
    """Not even on a terminal, where the training shows its figures; the error says how to get in."""
    ours, theirs = os.openpty()
    environment = {name: value for name, value in os.environ.items() if not name.startswith("WANDB_")} | {
        "HOME": str(tmp_path),
        "NETRC": str(tmp_path / "netrc"),
        "PYTHONPATH": str(Path(__file__).parent),
        "WANDB_BASE_URL": "http://127.0.0.1:9",
    }
    done = subprocess.run(
        [sys.executable, "-c", WITHOUT_KEY, str(tmp_path)],
        env=environment,
        stdin=theirs,
        capture_output=True,
        text=True,
        timeout=100,
    )
    os.close(ours)
    os.close(theirs)
    assert (done.stdout, done.stderr, done.returncode) == (
        "there is no key; set WANDB_API_KEY, or run `wandb login` once\n",
        "",
        0,
    )


def test_without_the_library_nothing_begins(monkeypatch: pytest.MonkeyPatch):
    """And the way to get it is named."""
    monkeypatch.setitem(sys.modules, "wandb", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'hotlap\[wandb\]'"):
        Monitor(Monitoring(wandb_project="racing"), print)

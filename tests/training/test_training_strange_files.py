"""Files of a training that others have filled: a resumed training neither reads them nor trips over them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from tiny_model import write_model

from hotlap.records import log_file
from hotlap.records.episode_log import EPISODES, EpisodeLog
from hotlap.records.events import PROGRESS, IterationRecord, ProgressLog
from hotlap.records.folder import Folder
from hotlap.records.log_lines import TRAINER_LOG, worker_log
from hotlap.records.tallies import TALLIES
from hotlap.training.trainer import Trainer

GROWING = (PROGRESS, EPISODES, TALLIES, TRAINER_LOG, worker_log(0))
TERABYTE = 1 << 40  # as a hole in a file, which takes no room


@pytest.mark.skipif(sys.platform == "win32", reason="files with holes are not made so there")
def test_a_training_goes_on_behind_a_terabyte_of_others(tmp_path: Path):
    """No memory could hold it: what came after the checkpoint is cut off unread, and the files go on as they should."""
    whole = write_model(tmp_path / "whole", training={"max_iterations": 2})
    Trainer(whole).run()
    model = write_model(tmp_path / "model", training={"max_iterations": 1})
    Trainer(model).run()
    for name in GROWING:
        os.truncate(model.path / name, TERABYTE)
    result = Trainer(model, job=model.job.updated(training={"max_iterations": 2}), resume=True).run()
    assert result.iterations == 2
    for name in (EPISODES, TALLIES, TRAINER_LOG, worker_log(0)):
        assert (model.path / name).read_bytes() == (whole.path / name).read_bytes()
    assert [record.iteration for record in ProgressLog(Folder(model.path)).read()] == [0, 1]


def test_a_resumed_training_reads_no_line_of_what_it_continues(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """However many there are: their bytes were counted when the checkpoint was written."""
    model = write_model(tmp_path, training={"max_iterations": 1})
    Trainer(model).run()
    for name in (PROGRESS, EPISODES, TALLIES):
        with (tmp_path / name).open("ab") as file:
            file.write(b"{}\n" * 100_000)
    num_read = 0
    read_lines = log_file.lines_of

    def counted(*arguments):
        nonlocal num_read
        for line in read_lines(*arguments):
            num_read += 1
            yield line

    monkeypatch.setattr(log_file, "lines_of", counted)
    Trainer(model, resume=True).open().close()
    assert num_read == 0
    monkeypatch.undo()
    assert EpisodeLog(Folder(tmp_path)).read()


def test_a_state_without_counted_bytes_is_resumed_too(tmp_path: Path):
    """As earlier versions wrote it; then the lines are read, and those after the checkpoint dropped."""
    log = ProgressLog(Folder(tmp_path), num_iterations=0)
    records = [
        IterationRecord(number, f"{number + 1}_Step-9.ckpt", 1, 9, 0.0, 1, 9, 0.0, 0.0, 0) for number in range(3)
    ]
    for record in records:
        log.append(record)
    assert ProgressLog(Folder(tmp_path), num_iterations=2).read() == records[:2]


READ_IN_LITTLE_MEMORY = """
import os, resource, sys
from hotlap.errors import RecordError
from hotlap.jobs.registry import progress_of
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.episode_log import EpisodeLog
from hotlap.records.events import ProgressLog
from hotlap.records.folder import Folder
from hotlap.records.log_lines import TRAINER_LOG
from hotlap.records.log_file import LogFile
from hotlap.records.tallies import TallyLog
import warnings

warnings.simplefilter("ignore")
store = Folder(sys.argv[1], sync=False)
with open("/proc/self/statm") as file:
    present = int(file.read().split()[0]) * os.sysconf("SC_PAGE_SIZE")
resource.setrlimit(resource.RLIMIT_AS, (present + (int(sys.argv[2]) << 20),) * 2)
readers = ProgressLog(store).read, EpisodeLog(store).read, TallyLog(store).read, CheckpointStore(store).best
for read in (*readers, lambda: progress_of(sys.argv[1])):
    try:
        read()
    except RecordError as error:
        assert "\\n" not in str(error)
ProgressLog(store, num_iterations=1, kept=10)
EpisodeLog(store, num_trained=1, kept=10)
TallyLog(store, num_iterations=1, kept=10)
LogFile(store, TRAINER_LOG, ["head"], kept=10)
print("done")
"""

SHORT = (
    b'{"iteration":0,"checkpoint":"","total_episodes":0,"total_steps":0,"elapsed_s":0,"num_episodes":0,"num_steps":0,'
    b'"reward_mean":0,"completion_mean":0,"laps_completed":0}\n'
)


@pytest.mark.skipif(sys.platform != "linux", reason="needs /proc and limits of memory")
@pytest.mark.parametrize(
    ("content", "mebibytes"),
    [
        pytest.param(b"9" * (64 << 20), 200, id="one line"),
        pytest.param("\N{RACING CAR}".encode() * (16 << 20), 200, id="one line of wide letters"),
        pytest.param(b"\n" * (64 << 20), 200, id="empty lines"),
        pytest.param(b"{}\n" * (20 << 20), 200, id="short lines"),
        pytest.param(SHORT * (64 << 20 >> 8), 200, id="countless records"),
        pytest.param(SHORT * 200_000, 450, id="as many records as there may be"),
        pytest.param(b'{"a":[' + b"[]," * ((4 << 20) // 3 - 4) + b"[]]}", 250, id="lists"),
    ],
)
def test_readers_need_little_memory(tmp_path: Path, content: bytes, mebibytes: int):
    """The files of a run, whatever is in them, are read, cut or refused within a few hundred MiB."""
    for name in (PROGRESS, EPISODES, TALLIES, TRAINER_LOG, "model/deepracer_checkpoints.json"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(content)
    done = subprocess.run(
        [sys.executable, "-c", READ_IN_LITTLE_MEMORY, str(tmp_path), str(mebibytes)], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout) == (0, "done\n"), done.stderr[-2000:]

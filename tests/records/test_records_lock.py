"""One training at a time in a folder, and never one too few: a lock lives exactly as long as its holder."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from hotlap.errors import RecordError
from hotlap.records.lock import FolderLock

HOLD = "import sys, time; from hotlap.records.lock import FolderLock; lock = FolderLock(sys.argv[1]); " + (
    "print('held', flush=True); time.sleep(600)"
)


def test_a_second_lock_of_the_folder_is_refused_until_the_first_is_released(tmp_path):
    """Also within one process; the refusal says who holds it and what to do. Another folder does not mind."""
    (tmp_path / "other").mkdir()
    refused = pytest.raises(RecordError, match=rf"trained already, by process {os.getpid()} .*hotlap stop")
    with FolderLock(tmp_path), FolderLock(tmp_path / "other"), refused:
        FolderLock(tmp_path)
    lock = FolderLock(tmp_path)
    lock.release()
    lock.release()


def test_a_killed_process_holds_nothing(tmp_path):
    """The system frees the lock with the process, whatever lies on the disk."""
    with subprocess.Popen([sys.executable, "-c", HOLD, str(tmp_path)], stdout=subprocess.PIPE) as holder:
        try:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(RecordError, match=f"by process {holder.pid} "):
                FolderLock(tmp_path)
        finally:
            holder.kill()
    FolderLock(tmp_path).release()


def test_a_refusal_does_not_need_to_know_the_holder(tmp_path):
    """A torn note beside the lock makes the message poorer, not the lock weaker."""
    with FolderLock(tmp_path):
        (tmp_path / ".training.json").write_text('{"pid": 1')
        with pytest.raises(RecordError, match=r"trained already\. "):
            FolderLock(tmp_path)


def test_a_folder_that_cannot_be_locked_is_named(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(RecordError, match=r"file.*could not be locked"):
        FolderLock(tmp_path / "file")

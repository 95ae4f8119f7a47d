"""The folder: whole objects or none, and errors that help. What it shares with other stores: test_records_store."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from hotlap.errors import RecordError
from hotlap.records.folder import Folder
from hotlap.records.patience import Patience


def test_nothing_is_left_beside_the_files(tmp_path):
    folder = Folder(tmp_path / "run")
    folder.put("model/a", b"1")
    folder.put("model/a", b"2")
    folder.append("model/a", b"3")
    folder.put("model/b", b"4")
    folder.delete("model/b")
    assert sorted(path.name for path in (tmp_path / "run/model").iterdir()) == ["a"]


def test_files_are_readable_by_others_as_any_new_file_is(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    Folder(tmp_path).put("put", b"")
    assert (tmp_path / "put").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_full_disk_says_what_to_do():
    """/dev/full answers a write as a full disk does."""
    with pytest.raises(RecordError, match=r"No space left.*Free some space.*resume"):
        Folder("/dev", sync=False).append("full", b"x")


def test_a_file_in_the_place_of_a_folder(tmp_path):
    (tmp_path / "model").write_text("in the way")
    with pytest.raises(RecordError, match="A file stands where the folder"):
        Folder(tmp_path).put("model/x", b"")
    assert (tmp_path / "model").read_text() == "in the way"


def test_failed_put_leaves_no_litter(tmp_path):
    (tmp_path / "target").mkdir()
    with pytest.raises(RecordError):
        Folder(tmp_path).put("target", b"cannot replace a folder")
    assert [path.name for path in tmp_path.iterdir()] == ["target"]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_waited_for(tmp_path):
    """Told once; when somebody makes room, the write is done, once and whole."""
    (tmp_path / "log").symlink_to("/dev/full")
    told = []

    def make_room(message: str) -> None:
        told.append(message)
        if (tmp_path / "log").is_symlink():
            (tmp_path / "log").unlink()

    folder = Folder(tmp_path, sync=False, patience=Patience(60, make_room))
    folder.append("log", b"whole")
    assert folder.get("log") == b"whole"
    assert ["No space left" in message for message in told] == [True, False]
    assert "room again" in told[1]


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
def test_a_full_disk_is_not_waited_for_without_end(tmp_path):
    (tmp_path / "log").symlink_to("/dev/full")
    with pytest.raises(RecordError, match=r"No space left.*Free some space.*resume"):
        Folder(tmp_path, sync=False, patience=Patience(0.05)).append("log", b"x")


APPEND_BEYOND_THE_LIMIT = """
import resource, signal, sys
from hotlap.errors import RecordError
from hotlap.records.folder import Folder
folder = Folder(sys.argv[1], sync=False)
folder.append("log", b"first\\n")
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (10, resource.RLIM_INFINITY))
try:
    folder.append("log", b"second\\n")
except RecordError as error:
    print(error)
"""


@pytest.mark.skipif(sys.platform == "win32", reason="no limits there")
def test_an_append_that_fails_in_the_middle_leaves_no_part(tmp_path):
    """Four bytes would have fitted; the next line must not stand behind them."""
    done = subprocess.run(
        [sys.executable, "-c", APPEND_BEYOND_THE_LIMIT, str(tmp_path)], capture_output=True, text=True, check=True
    )
    assert "could not be written" in done.stdout
    assert (tmp_path / "log").read_bytes() == b"first\n"

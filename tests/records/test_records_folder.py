"""The folder: whole objects or none, keys that cannot leave it, and errors that help."""

from __future__ import annotations

from pathlib import Path

import pytest

from hotlap.errors import RecordError
from hotlap.records.folder import Folder


def test_put_get_list_append_delete(tmp_path):
    folder = Folder(tmp_path / "run")
    assert folder.list("model") == []
    folder.put("model/b", b"1")
    folder.put("model/a", b"2")
    folder.put("model/deep/c", b"3")
    folder.put("model/b", b"4")
    folder.append("model/b", b"5")
    assert folder.get("model/b") == b"45"
    assert folder.list("model") == ["model/a", "model/b"]
    folder.delete("model/b")
    folder.delete("model/b")
    assert not folder.exists("model/b")
    assert sorted(path.name for path in (tmp_path / "run/model").iterdir()) == ["a", "deep"]


def test_files_are_readable_by_others_as_any_new_file_is(tmp_path):
    (tmp_path / "plain").write_bytes(b"")
    Folder(tmp_path).put("put", b"")
    assert (tmp_path / "put").stat().st_mode == (tmp_path / "plain").stat().st_mode


@pytest.mark.parametrize("key", ["", "/etc/x", "../x", "a/../../x", "a//b", "."])
def test_keys_cannot_leave_the_folder(tmp_path, key):
    with pytest.raises(RecordError):
        Folder(tmp_path).put(key, b"")


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

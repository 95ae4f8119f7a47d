"""Unfinished files and scratch folders: what a killed process leaves is removed, what a living one writes is not."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from hotlap import unfinished
from hotlap.records.output import evaluation_output, open_output
from hotlap.unfinished import copy_whole, is_unfinished, scratch_folder, sweep, whole_file, write_whole

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="locks are not held so there")

WRITE_AND_WAIT = """
import sys
from hotlap.unfinished import scratch_folder, whole_file
with scratch_folder() as folder, whole_file(sys.argv[1]) as file:
    file.write(b"half")
    file.flush()
    (folder / "something").touch()
    print(folder, flush=True)
    sys.stdin.read()
"""


class Writer:
    """A process in the middle of writing a file, and with a scratch folder."""

    def __init__(self, path: Path) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", WRITE_AND_WAIT, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.scratch = Path(self.process.stdout.readline().strip())

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()

    def finish(self) -> None:
        self.process.communicate("")


def parts(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if is_unfinished(path.name)]


@pytest.fixture(autouse=True)
def _own_temporary_files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "tmp"))
    monkeypatch.setattr(tempfile, "tempdir", None)
    monkeypatch.setattr(unfinished, "_swept", set())


def test_what_is_written_by_a_living_process_stays(tmp_path: Path):
    """It is not swept, and takes its place when it is done; after a kill it goes with the next write."""
    place = tmp_path / "model" / "file"
    writer = Writer(place)
    sweep(place.parent)
    write_whole(place.parent / "other", b"")
    with scratch_folder():
        assert (writer.scratch / "something").exists()
    assert len(parts(tmp_path)) == 1
    writer.finish()
    assert place.read_bytes() == b"half"
    assert parts(tmp_path) == []
    assert not writer.scratch.exists()

    writer = Writer(place)
    writer.kill()
    assert len(parts(tmp_path)) == 1
    unfinished._swept.clear()  # as another process
    write_whole(place.parent / "other", b"")
    assert parts(tmp_path) == []
    assert (writer.scratch / "something").exists()
    with scratch_folder() as own:
        assert [path.name for path in own.parent.iterdir()] == [own.name]
    assert list(own.parent.iterdir()) == []


@pytest.mark.parametrize("place", ["file", "model/file", "evaluation-20260101120000/file", "3/training-simtrace/file"])
@pytest.mark.parametrize("how", ["training", "evaluation"])
def test_who_opens_a_model_sweeps_it(tmp_path: Path, place: str, how: str):
    """The whole of it, wherever nothing may ever be written again; but not in folders that are the user's."""
    model = tmp_path / "model"
    for name in (place, "own/file"):
        Writer(model / name).kill()
    assert len(parts(model)) == 2
    if how == "training":
        with open_output(model, print, resume=True, wipe=False):
            pass
    else:
        with evaluation_output(model, "20260102120000", print):
            pass
    assert [path.parent.name for path in parts(model)] == ["own"]


def test_names_that_only_look_alike_stay(tmp_path: Path):
    """Downloads of others, and what is no file."""
    for name in ("movie.part", ".movie.part", ".movie.ABCDEFGH.part", "a.abcdefgh.part"):
        (tmp_path / name).touch()
    (tmp_path / ".folder.abcdefgh.part").mkdir()
    (tmp_path / ".link.abcdefgh.part").symlink_to(tmp_path / "movie.part")
    before = sorted(tmp_path.iterdir())
    sweep(tmp_path)
    assert sorted(tmp_path.iterdir()) == before


def test_a_file_is_whole_or_as_before(tmp_path: Path):
    """An error while it is written leaves the old one and nothing beside it."""
    write_whole(tmp_path / "file", b"old")
    with pytest.raises(TypeError), whole_file(tmp_path / "file") as file:
        file.writelines([b"new", "no bytes"])  # type: ignore[list-item]
    assert (tmp_path / "file").read_bytes() == b"old"
    copy_whole(tmp_path / "file", tmp_path / "folder" / "copy")
    assert (tmp_path / "folder" / "copy").read_bytes() == b"old"
    assert parts(tmp_path) == []
    (tmp_path / "ordinary").touch()
    assert os.stat(tmp_path / "file").st_mode == os.stat(tmp_path / "ordinary").st_mode

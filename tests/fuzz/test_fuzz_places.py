"""What may lie in the place of a file: a pipe, a folder, a device, nothing, or far too much."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from fuzz_readers import READERS

OPENING = [name for name, reader in READERS.items() if reader.opens]


def empty(place: Path) -> None:
    place.touch()


def folder(place: Path) -> None:
    place.mkdir()


def pipe(place: Path) -> None:
    os.mkfifo(place)


def endless(place: Path) -> None:
    place.symlink_to("/dev/zero")


def circle(place: Path) -> None:
    place.symlink_to(place)


def nowhere(place: Path) -> None:
    place.symlink_to(place.parent / "gone")


def enormous(place: Path) -> None:
    """A file with a hole that takes no room on the disk."""
    place.touch()
    os.truncate(place, 1 << 40)


@pytest.mark.skipif(sys.platform == "win32", reason="such things are not there")
@pytest.mark.parametrize("put", [empty, folder, pipe, endless, circle, nowhere, enormous])
@pytest.mark.parametrize("name", OPENING)
def test_what_is_no_file_is_not_waited_for(name: str, put: Callable[[Path], None], tmp_path: Path):
    """Nor is it read to its end: it is as if the file were absent, or it is refused by its name."""
    reader = READERS[name]
    reader.prepare(tmp_path)
    put(tmp_path / reader.file)
    reader.meet_what_is_there(tmp_path)

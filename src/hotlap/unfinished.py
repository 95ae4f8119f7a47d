"""Files that appear whole or not at all, scratch folders, and what killed processes leave of both.

What is unfinished has a name of its own, and its writer holds a lock on it that the operating system frees when that
process ends in any way. So whoever comes next knows what belongs to nobody any more, and removes it: beside the files
of a folder at the first write there, and of scratch folders when the next one is made.
"""

from __future__ import annotations

import contextlib
import os
import re
import secrets
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

SCRATCH = "hotlap-scratch-"
_FILE = re.compile(r"\..+\.[a-z0-9_]{8}\.part", re.DOTALL)
_FOLDER = re.compile(rf"{SCRATCH}[a-z0-9_]{{8}}")
_swept: set[Path] = set()


def is_unfinished(name: str) -> bool:
    """Whether a file's name is one that it has while it is written."""
    return _FILE.fullmatch(name) is not None


@contextmanager
def whole_file(path: str | Path, *, sync: bool = True, parents: bool = True) -> Iterator[BinaryIO]:
    """A file to write, which takes its place when the block ends and is gone if the block raises.

    Args:
        path: Its place; what is there is replaced.
        sync: Wait until the disk itself has the bytes, so that they also survive a power cut.
        parents: Make its folder.

    Raises:
        OSError: If it cannot be written; what was there before is untouched.
    """
    path = Path(path)
    if parents:
        path.parent.mkdir(parents=True, exist_ok=True)
    if path.parent not in _swept:
        sweep(path.parent)
        _swept.add(path.parent)
    handle, temporary, lock = _begin(path)
    try:
        with os.fdopen(handle, "wb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        os.replace(temporary, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        raise
    finally:
        _let_go(lock)
    if sync:
        _sync_directory(path.parent)


def write_whole(path: str | Path, data: bytes, *, sync: bool = True) -> None:
    """Write a file at once; arguments and errors as of `whole_file`."""
    with whole_file(path, sync=sync) as file:
        file.write(data)


def copy_whole(source: str | Path, path: str | Path) -> None:
    """Copy the bytes of a file, not its rights; errors as of `whole_file`."""
    with open(source, "rb") as original, whole_file(path) as file:
        shutil.copyfileobj(original, file)


def sweep(folder: Path) -> None:
    """Remove the files directly in a folder that killed processes had not finished; those of living ones stay."""
    with contextlib.suppress(OSError), os.scandir(folder) as entries:
        for entry in entries:
            if is_unfinished(entry.name) and entry.is_file(follow_symlinks=False):
                _remove_abandoned(Path(entry.path))


@contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder for what is needed only within the block, among the system's temporary files."""
    place = Path(tempfile.gettempdir())
    with contextlib.suppress(OSError), os.scandir(place) as entries:
        for entry in entries:
            if _FOLDER.fullmatch(entry.name) and entry.is_dir(follow_symlinks=False):
                _remove_abandoned(Path(entry.path))
    while True:
        folder = tempfile.mkdtemp(prefix=SCRATCH)
        with contextlib.suppress(FileNotFoundError, BlockingIOError):
            lock = _held(folder)
            break
    try:
        yield Path(folder)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        _let_go(lock)


def _begin(path: Path) -> tuple[int, str, int | None]:
    """An open file with a name of its own, and the lock on it."""
    while True:
        temporary = str(path.parent / f".{path.name}.{secrets.token_hex(4)}.part")
        # Not tempfile's, which makes files private: records are meant to be shared as the user's other files are.
        handle = os.open(temporary, os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0), 0o666)
        try:
            return handle, temporary, _held(temporary)
        except (FileNotFoundError, BlockingIOError):  # swept between the two calls
            os.close(handle)


def _held(path: str | Path) -> int | None:
    """A lock on a file or folder; None where the file system has no locks, and then nothing is swept there.

    Raises:
        FileNotFoundError: If it is gone.
        BlockingIOError: If another process holds it.
    """
    if sys.platform == "win32":  # nobody can remove what is open there
        return None
    import fcntl

    descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOFOLLOW)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if not os.path.lexists(path):
            raise FileNotFoundError(path)
    except OSError as error:
        os.close(descriptor)
        if isinstance(error, FileNotFoundError | BlockingIOError):
            raise
        return None
    return descriptor


def _let_go(lock: int | None) -> None:
    if lock is not None:
        os.close(lock)


def _remove_abandoned(path: Path) -> None:
    with contextlib.suppress(OSError):
        lock = _held(path)
        if lock is None and sys.platform != "win32":
            return
        try:
            if path.is_dir():
                _clear_scratch(path)
            else:
                path.unlink()
        finally:
            _let_go(lock)


def _clear_scratch(path: Path) -> None:
    """Another user's are not ours to remove; on Windows nothing says whether a folder is in use."""
    if sys.platform != "win32" and path.stat().st_uid == os.getuid():
        shutil.rmtree(path, ignore_errors=True)


def _sync_directory(folder: Path) -> None:
    # The new name is part of the folder's data. Windows cannot open folders, and does not need it.
    if os.name == "nt":
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)

"""The local `Store`: a folder on a disk."""

from __future__ import annotations

import contextlib
import errno
import os
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

from hotlap.bounded import open_regular, read_bounded
from hotlap.errors import RecordError
from hotlap.records.patience import Patience, lacks_room
from hotlap.records.store import checked_parts, largest
from hotlap.unfinished import is_unfinished, write_whole

_BLOCK = 1 << 16  # bytes read at once


class Folder:
    """A `Store` on the local disk.

    Args:
        root: Folder that holds the objects; made at the first `put`.
        sync: Wait until the disk itself has the bytes, so that they also survive a power cut. Without it they still
            survive the end of the process.
        patience: With a full disk.
    """

    def __init__(self, root: str | Path, *, sync: bool = True, patience: Patience | None = None) -> None:
        self.root = Path(root)
        self.sync = sync
        self.patience = patience or Patience()

    def __repr__(self) -> str:
        return f"Folder({str(self.root)!r})"

    def __str__(self) -> str:
        return str(self.root)

    def path(self, key: str) -> Path:
        """Where the object lies on this disk.

        Raises:
            RecordError: If the key would leave the folder.
        """
        return self.root.joinpath(*checked_parts(key, self.root))

    def put(self, key: str, data: bytes) -> None:
        path = self.path(key)
        with _explained(path, "The file as it was before is untouched"):
            self.patience.wait_for_room(path, lambda: write_whole(path, data, sync=self.sync))

    def append(self, key: str, data: bytes) -> None:
        path = self.path(key)
        with _explained(path, "What it held before is untouched"):
            self.patience.wait_for_room(path, lambda: self._append(path, data))

    def _append(self, path: Path, data: bytes) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        # Without a buffer: one that could not be written would be tried again when the file is closed.
        with path.open("ab", buffering=0) as file:
            size = file.tell()
            rest = memoryview(data)
            try:
                while rest:
                    rest = rest[file.write(rest) :]
                if self.sync:
                    os.fsync(file.fileno())
            except OSError:
                with contextlib.suppress(OSError):  # a part that fitted would stand before the next attempt's whole
                    os.truncate(path, size)
                raise

    def cut(self, key: str, num_bytes: int) -> int:
        path = self.path(key)
        with _explained(path, "It is as it was before"):
            try:
                with open_regular(path, "r+b") as file:
                    kept = _end_of_lines(file, num_bytes)
                    file.truncate(kept)
                    if self.sync:
                        os.fsync(file.fileno())
            except (FileNotFoundError, NotADirectoryError):
                return 0
        return kept

    def get(self, key: str) -> bytes:
        path = self.path(key)
        try:
            return read_bounded(path, largest(key))
        except FileNotFoundError:
            raise RecordError(
                f"{path} does not exist. Check the model folder, or make the file by training there first."
            ) from None
        except OSError as error:
            raise RecordError(
                f"{path} could not be read ({error.strerror}). It must be a readable file; check its permissions, or "
                "move it away."
            ) from error

    def exists(self, key: str) -> bool:
        return os.path.isfile(self.path(key))

    def list(self, prefix: str) -> list[str]:
        folder = self.path(prefix)
        try:
            entries = sorted(entry.name for entry in os.scandir(folder) if os.path.isfile(entry))
        except (FileNotFoundError, NotADirectoryError, ValueError):  # no folder has a null character in its name
            return []
        except OSError as error:
            raise RecordError(
                f"{folder} could not be listed ({error.strerror}). It must be a readable folder; check its permissions."
            ) from error
        return [f"{prefix}/{name}" for name in entries if not is_unfinished(name)]

    def delete(self, key: str) -> None:
        path = self.path(key)
        try:
            path.unlink(missing_ok=True)
        except NotADirectoryError:
            return  # a file stands where its folder would be
        except OSError as error:
            raise RecordError(
                f"{path} could not be removed ({error.strerror}). The run needs to delete old checkpoints; "
                f"make {path.parent} writable."
            ) from error


def _end_of_lines(file: BinaryIO, num_bytes: int) -> int:
    """Where the last whole line in the first bytes of a file ends; it is looked for from there backwards."""
    end = min(num_bytes, os.fstat(file.fileno()).st_size)
    while end > 0:
        begin = max(0, end - _BLOCK)
        file.seek(begin)
        if found := file.read(end - begin).rfind(b"\n") + 1:
            return begin + found
        end = begin
    return 0


@contextlib.contextmanager
def _explained(path: Path, safe: str) -> Iterator[None]:
    """Turn an error of the operating system while writing ``path`` into one that says what is safe and what to do."""
    try:
        yield
    except OSError as error:
        raise RecordError(f"{path} could not be written: {_cause(error)}. {safe}. {_way_out(error, path)}") from error


def _cause(error: OSError) -> str:
    return error.strerror or str(error)


def _way_out(error: OSError, path: Path) -> str:
    again = "run the command again (a training with --resume)"
    if lacks_room(error):
        return f"Free some space on that disk (old videos and traces are the largest files), then {again}."
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"Make {path.parent} writable for this user, or choose another model folder, then {again}."
    if error.errno in (errno.ENOTDIR, errno.EEXIST):
        return f"A file stands where the folder {path.parent} is needed; move it away, then {again}."
    return f"Check the disk, then {again}."

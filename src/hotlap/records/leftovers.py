"""Files that wait on this machine because a bucket did not answer when their run ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hotlap.errors import ConfigError
from hotlap.records.address import S3Prefix
from hotlap.records.lock import FolderLock
from hotlap.records.output import AWAY_S, open_output
from hotlap.records.s3 import Bucket
from hotlap.records.spool import Spool
from hotlap.records.spool_folder import TRAINING, SpoolFolder, spools


@dataclass(frozen=True)
class Leftover:
    """What waits for one place, of its training or of one evaluation."""

    place: str
    endpoint: str | None
    """Of the server; None: Amazon's."""
    folder: Path
    num_files: int
    num_bytes: int

    def upload(self, tell: Callable[[str], None]) -> int:
        """Bring everything there; how many files are left because the server does not answer.

        Raises:
            ConfigError: If the bucket cannot be used, or the present settings name another server.
            RecordError: If the place is being trained, or was trained from elsewhere since.
        """
        bucket = Bucket(S3Prefix.parse(self.place))
        if bucket.settings.endpoint != self.endpoint:
            raise ConfigError(
                f"The files for {self.place} in {self.folder} wait for the server {self.endpoint or 'Amazon S3'}, but "
                f"the present settings name {bucket.settings.server}. Set AWS_PROFILE or AWS_ENDPOINT_URL as they were "
                "when the files were written."
            )
        if self.folder.name == TRAINING:
            with open_output(self.place, tell, resume=True, wipe=False):
                pass  # leaving it uploads
        else:
            with FolderLock(self.folder, name=self.place), Spool(bucket, self.folder, tell=tell) as spool:
                spool.flush(patience_s=AWAY_S)
        return _waiting(self.folder)[0]

    def discard(self) -> None:
        """Drop everything."""
        lock = self.folder.parent if self.folder.name == TRAINING else self.folder
        with FolderLock(lock, name=self.place):
            folder = SpoolFolder(self.folder)
            for entry in folder.entries():
                folder.remove(entry)


def leftovers(place: str | None = None) -> Sequence[Leftover]:
    """Everything that waits, or all that waits for one place."""
    found = []
    for folder, note in spools():
        for part in sorted(folder.glob("*/")):
            num_files, num_bytes = _waiting(part)
            if num_files and place in (None, note.place):
                found.append(Leftover(note.place, note.endpoint, part, num_files, num_bytes))
    return found


def _waiting(folder: Path) -> tuple[int, int]:
    entries = [entry for entry in SpoolFolder(folder).entries() if entry.deed != "kept"]
    return len(entries), sum(entry.num_bytes for entry in entries)

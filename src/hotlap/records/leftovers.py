"""Files that wait on this machine because a bucket did not answer when their run ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from hotlap.errors import ConfigError
from hotlap.records.address import S3Prefix
from hotlap.records.lock import FolderLock
from hotlap.records.mirror import Mirror
from hotlap.records.mirrored import EVALUATION, TRAINING, all_mirrored, remove
from hotlap.records.output import AWAY_S, open_output
from hotlap.records.s3 import Bucket
from hotlap.records.uploaded import Uploaded


@dataclass(frozen=True)
class Leftover:
    """What waits for one model, of its training or of one evaluation."""

    model: str
    """Its address, ``s3://bucket/prefix``."""
    endpoint: str | None
    """Of the server; None: Amazon's."""
    folder: Path
    num_files: int
    num_bytes: int

    def upload(self, tell: Callable[[str], None]) -> int:
        """Bring everything there; how many files are left because the server does not answer.

        Raises:
            ConfigError: If the bucket cannot be used, or the present settings name another server.
            RecordError: If the model is being trained, or was trained from elsewhere since.
        """
        bucket = Bucket(S3Prefix.parse(self.model))
        if bucket.settings.endpoint != self.endpoint:
            raise ConfigError(
                f"The files for {self.model} in {self.folder} wait for the server {self.endpoint or 'Amazon S3'}, but "
                f"the present settings name {bucket.settings.server}. Set AWS_PROFILE or AWS_ENDPOINT_URL as they were "
                "when the files were written."
            )
        if self.folder.name == TRAINING:
            with open_output(self.model, tell, resume=True, wipe=False):
                pass  # leaving it uploads
        else:
            with FolderLock(self.folder, name=self.model):
                mirror = Mirror(self.folder, bucket, tell=tell)
                try:
                    done = mirror.flush(patience_s=AWAY_S)
                finally:
                    mirror.close()
            if done:
                remove(self.folder)
        return len(Uploaded(self.folder).differences())

    def discard(self) -> None:
        """Drop everything."""
        if self.folder.name == TRAINING:
            with FolderLock(self.folder.parent, name=self.model):
                remove(self.folder)
        else:
            FolderLock(self.folder, name=self.model).release()  # Windows does not remove what is locked
            remove(self.folder)


def leftovers(model: str | None = None) -> Sequence[Leftover]:
    """Everything that waits, or all that waits for one model."""
    found = []
    for home, note in all_mirrored():
        for folder in (home / TRAINING, *sorted(home.glob(f"{EVALUATION}*/"))):
            missing = Uploaded(folder).differences()
            if missing and model in (None, note.model):
                found.append(Leftover(note.model, note.endpoint, folder, len(missing), missing.num_bytes))
    return found

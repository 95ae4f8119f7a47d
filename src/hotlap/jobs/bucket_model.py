"""The files of a model beside what it was trained to: into a bucket, and back."""

from __future__ import annotations

import os
from pathlib import Path

from hotlap.config.job import Job
from hotlap.config.model_folder import ModelFolder
from hotlap.errors import RecordError
from hotlap.jobs.model_copy import TRACKS, copy_model
from hotlap.records.address import S3Prefix
from hotlap.records.folder import Folder
from hotlap.records.layout import is_record
from hotlap.records.s3 import Bucket
from hotlap.records.store import Store
from hotlap.unfinished import scratch_folder

MAX_FILES = 500
MAX_BYTES = 200 << 20

# Where the original keeps what we keep in the root.
_ELSEWHERE = {
    "model_metadata.json": "model/model_metadata.json",
    "hyperparameters.json": "ip/hyperparameters.json",
}
_NOT_NEEDED = (".png", ".mp4", ".tar.gz", ".yaml")


def put_model(model: ModelFolder, job: Job, store: Store) -> None:
    """Put what a training or an evaluation of the model needs: its files, those beside its reward function, its tracks.

    Raises:
        TrackError: If a track cannot be loaded.
        RecordError: If something could not be written.
    """
    with scratch_folder() as folder:
        copy_model(model, job, folder, portable=True)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                store.put(path.relative_to(folder).as_posix(), path.read_bytes())


def get_model(prefix: S3Prefix, folder: Path, *, needs_reward: bool = True) -> tuple[ModelFolder, Job]:
    """Get a model's files, but for checkpoints and records, into a folder.

    Args:
        prefix: Where it lies, trained by this or by the original.
        folder: Is made.
        needs_reward: Whether a reward function must be among them.

    Returns:
        The model, and its settings, whose output is ``prefix``.

    Raises:
        ConfigError: If the bucket cannot be used, or the files are not those of a model.
        RecordError: If the bucket does not answer, or there is too much in it.
    """
    bucket = Bucket(prefix)
    keys = [key for key in bucket.check() if _belongs_to_model(key)]
    if len(keys) > MAX_FILES:
        raise RecordError(
            f"{prefix} holds {len(keys)} files that belong to no training, a model has up to {MAX_FILES}. Check the "
            "prefix: it must be that of one model."
        )
    here = Folder(folder, sync=False)
    num_bytes = 0
    for key in keys:
        data = bucket.get(key)
        num_bytes += len(data)
        if num_bytes > MAX_BYTES:
            raise RecordError(
                f"The files of the model at {prefix} exceed {MAX_BYTES >> 20} MB, {key} among them. Move away what the "
                "model does not need."
            )
        here.put(key, data)
    for name, key in _ELSEWHERE.items():
        if name not in keys and bucket.exists(key):
            here.put(name, bucket.get(key))
    if not folder.is_dir():
        raise RecordError(f"There is no model at {prefix}. Check the address; `hotlap train DIR --output` makes one.")
    model = ModelFolder(folder, needs_reward=needs_reward)
    job = model.job.updated(race={"track": _found(model.job.race.track, folder)}, training={"output": str(prefix)})
    workers = tuple(
        each | {"track": _found(each["track"], folder)} if "track" in each else each for each in job.workers
    )
    return model, job.model_copy(update={"workers": workers})


def _belongs_to_model(key: str) -> bool:
    return not (is_record(key) or key.startswith(".") or key.endswith(_NOT_NEEDED))


def _found(tracks: str, folder: Path) -> str:
    """Tracks that came along by their paths here, any others by their names."""

    def found(track: str) -> str:
        own = folder / TRACKS / Path(track).name
        return str(own) if Path(track).parent == Path(TRACKS) and os.path.isfile(own) else track

    return ", ".join(found(track.strip()) for track in tracks.split(","))

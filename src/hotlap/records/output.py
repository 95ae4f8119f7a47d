"""Where a training or an evaluation leaves its files, held for it alone while it runs: a folder, or a bucket."""

from __future__ import annotations

import itertools
import os
import secrets
import shutil
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

from hotlap.errors import RecordError
from hotlap.records.address import S3Prefix, is_s3
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.events import PROGRESS
from hotlap.records.folder import Folder
from hotlap.records.layout import MODEL_FOLDER, foreign_checkpoint, is_record, is_weights
from hotlap.records.lock import FolderLock
from hotlap.records.patience import Patience
from hotlap.records.spool_folder import TRAINING, SpoolNote, spool_of
from hotlap.records.store import Store
from hotlap.shell import quoted
from hotlap.unfinished import sweep
from hotlap.wording import counted

FULL_DISK_S = 120.0  # so long a training waits for room before it ends
AWAY_S = 60.0  # at the end, when the server does not answer
HURRY_S = 3.0  # at an end that nobody planned

Tell = Callable[[str], None]


class Output(Protocol):
    """A place that nobody else trains in; leaving it without an exception waits until everything is there."""

    @property
    def store(self) -> Store:
        """For all that is written."""

    def wipe(self) -> None:
        """Delete what an earlier training left."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


def open_output(place: str | Path, tell: Tell, *, resume: bool, wipe: bool, clone: bool = False) -> Output:
    """Take a place for a training: a model folder, or ``s3://bucket/prefix``.

    Args:
        place: Where checkpoints and records go.
        tell: Is told what the user should know, perhaps from another thread.
        resume: The training may go on with an earlier one there.
        wipe: `Output.wipe` will be called.
        clone: Training begins with another model's weights: a prefix of a bucket need not be empty, but no run may
            have left anything there.

    Raises:
        ConfigError: If a bucket cannot be used.
        RecordError: If there is an earlier training and neither ``resume`` nor ``wipe`` is set, if it is another
            program's and ``wipe`` is not set, if it is being trained at this moment, or if a bucket does not answer.
    """
    if is_s3(place):
        return BucketOutput(S3Prefix.parse(str(place)), tell, resume=resume, wipe=wipe, clone=clone)
    return FolderOutput(Path(place), tell, resume=resume, wipe=wipe)


class FolderOutput:
    """A model folder."""

    def __init__(self, folder: Path, tell: Tell, *, resume: bool, wipe: bool) -> None:
        with ExitStack() as held:
            held.enter_context(FolderLock(folder))
            self.store = Folder(folder, patience=Patience(FULL_DISK_S, tell))
            _sweep_records(folder)
            earlier = CheckpointStore(self.store).worth_keeping()
            if earlier and not (resume or wipe):
                raise RecordError(
                    f"{folder} already holds a trained model (checkpoint {earlier}). Continue it with "
                    "--resume, or delete it and begin anew with --wipe."
                )
            if not (earlier or wipe):
                _refuse_foreign(self.store.list(MODEL_FOLDER), folder)
            self._held = held.pop_all()

    def wipe(self) -> None:
        of_workers = (f"{worker}/training-simtrace" for worker in itertools.count())
        traces = itertools.takewhile(self.store.list, of_workers)
        events = ("logs/tensorboard/episodes", "logs/tensorboard/iterations")
        for prefix in ("model", "metrics", "logs/training", *events, "training-simtrace", *traces):
            for key in self.store.list(prefix):
                self.store.delete(key)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._held.close()


class BucketOutput:
    """A prefix of a bucket, behind a spool on this machine."""

    def __init__(self, place: S3Prefix, tell: Tell, *, resume: bool, wipe: bool, clone: bool) -> None:
        from hotlap.records.ownership import FOLDER, Ownership, owner_token
        from hotlap.records.s3 import Bucket
        from hotlap.records.spool import Spool

        self.place = place
        self._tell = tell
        self.bucket = bucket = Bucket(place)
        folder = spool_of(place, bucket.settings)
        with ExitStack() as held:
            held.enter_context(FolderLock(folder, name=str(place)))
            keys = bucket.check()
            note = SpoolNote.read(folder) or SpoolNote(str(place), bucket.settings.endpoint)
            self.store = Spool(
                bucket,
                folder / TRAINING,
                tell=tell,
                confirm=lambda: self.ownership.confirm(),
                patience=Patience(FULL_DISK_S, tell),
            )
            present = [key for key in keys if (is_record(key) if clone else not key.startswith(f"{FOLDER}/"))]
            waiting, _ = self.store.left
            begun = any(key.startswith(f"{FOLDER}/") for key in keys) or any(is_weights(key) for key in keys)
            lost = not begun or _holds_iterations(self.store, keys)
            if not (resume or wipe) and lost and (present or waiting):
                held_there = f"it holds {counted(len(present), 'file')} such as {present[0]}"
                what = held_there if present else "files wait for an upload"
                raise RecordError(
                    f"{place} is not empty: {what}. Continue a training there with --resume, delete it and begin anew "
                    "with --wipe, or train under another prefix."
                )
            if not (wipe or any(is_weights(key) for key in keys)):
                _refuse_foreign(keys, place)
            if waiting and not wipe and owner_token(bucket, keys) not in note.owners:
                raise RecordError(
                    f"{place} was trained from elsewhere since the files that wait in {folder} were written; they "
                    "belong to a state that is past, and uploading them would mix two trainings. Drop them with "
                    f"`hotlap upload {quoted(place)} --discard`."
                )
            token = secrets.token_hex(8)
            # Before and after: killed in between, the next training still knows the owner as one of this machine.
            SpoolNote(note.place, note.endpoint, (*note.owners[-1:], token)).write(folder)
            self.ownership = Ownership(bucket, token, keys, former=note.owners)
            SpoolNote(note.place, note.endpoint, (token,)).write(folder)
            self._held = held.pop_all()

    def wipe(self) -> None:
        # Not through the spool, which deletes last: what is written from now on must not be mixed with what was there.
        self.ownership.confirm()
        self.store.discard()
        self.bucket.delete_all([key for key in self.bucket.all_keys() if is_record(key)])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                done = self.store.flush(patience_s=AWAY_S)
            else:
                done = self.store.flush(patience_s=0.0, limit_s=HURRY_S)
            if not done:
                self._tell(_left_behind(self.place, self.store.left[0], self.store.folder.path))
        finally:
            self.store.close(then=self._let_go)

    def _let_go(self) -> None:
        if self.store.left[0]:
            self.ownership.leave()  # so that nobody's training in between goes unnoticed
        else:
            self.ownership.release()
        self._held.close()


def _holds_iterations(store: Store, keys: Sequence[str]) -> bool:
    """Whether a training that began under these keys finished an iteration, or got its weights from elsewhere."""
    if foreign_checkpoint(keys):
        return True
    if CheckpointStore(store).worth_keeping() is not None:
        return True
    return PROGRESS in keys and bool(store.get(PROGRESS).strip())


@contextmanager
def evaluation_output(place: str | Path, stamp: str, tell: Tell) -> Iterator[Store]:
    """The store for the files of an evaluation, which disturbs no training of the same model.

    Args:
        place: Of the model.
        stamp: Of the evaluation, which nobody else has.
        tell: Is told what the user should know.
    """
    if not is_s3(place):
        _sweep_records(Path(place))
        yield Folder(place)
        return
    from hotlap.records.s3 import Bucket
    from hotlap.records.spool import Spool

    parsed = S3Prefix.parse(str(place))
    bucket = Bucket(parsed)
    folder = spool_of(parsed, bucket.settings)
    if SpoolNote.read(folder) is None:
        SpoolNote(str(parsed), bucket.settings.endpoint).write(folder)
    own = folder / f"evaluation-{stamp}"
    with FolderLock(own, name=str(parsed)), Spool(bucket, own, tell=tell) as spool:
        yield spool
        done = spool.flush(patience_s=AWAY_S)
    if done:
        shutil.rmtree(own, ignore_errors=True)
    else:
        tell(_left_behind(parsed, spool.left[0], own))


def _sweep_records(root: Path) -> None:
    """Remove what killed processes had not finished in a model's folder and in the folders that hotlap makes there."""
    for folder, below, _ in os.walk(root):
        sweep(Path(folder))
        if folder == str(root):
            below[:] = [name for name in below if name == "tracks" or name.isdecimal() or is_record(f"{name}/")]


def _refuse_foreign(keys: Sequence[str], place: object) -> None:
    """Let no training mix its files with those of another program.

    Raises:
        RecordError: If DeepRacer left a checkpoint among ``keys``.
    """
    if problem := foreign_model(place, keys):
        raise RecordError(problem)


def foreign_model(place: object, keys: Iterable[str], way_out: str | None = None) -> str | None:
    """What keeps a training out of a place where DeepRacer left a model; None: nothing does.

    Args:
        place: What to call it.
        keys: Its files.
        way_out: How to begin with that model's weights, if not with ``--clone``.
    """
    found = foreign_checkpoint(keys)
    if found is None:
        return None
    way_out = way_out or f"Begin with its weights in another place with --clone {quoted(place)}"
    what = f"{place} holds a model that DeepRacer trained ({found})"
    return f"{what}. {way_out}, or delete it and begin anew with --wipe."


def _left_behind(place: S3Prefix, num_files: int, folder: Path) -> str:
    return (
        f"{counted(num_files, 'file')} could not be uploaded to {place} and will wait in {folder}. `hotlap upload` "
        "brings what waits there when the server answers."
    )

"""The folder that a training or an evaluation writes, held for it alone while it runs, and the way to a bucket."""

from __future__ import annotations

import itertools
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self

from hotlap.errors import RecordError
from hotlap.records.address import S3Prefix, is_s3
from hotlap.records.checkpoints import CheckpointStore
from hotlap.records.claim import CLAIM, Claim, holder_token
from hotlap.records.download import download
from hotlap.records.events import PROGRESS
from hotlap.records.folder import Folder
from hotlap.records.layout import MODEL_FOLDER, foreign_checkpoint, is_record, is_weights
from hotlap.records.lock import FolderLock
from hotlap.records.mirror import Mirror
from hotlap.records.mirrored import EVALUATION, TRAINING, UPLOADED, mirrored, put_away, remove
from hotlap.records.patience import Patience
from hotlap.records.s3 import Bucket
from hotlap.records.store import Store
from hotlap.shell import quoted
from hotlap.unfinished import sweep
from hotlap.wording import counted

FULL_DISK_S = 120.0  # so long a training waits for room before it ends
AWAY_S = 60.0  # at the end, when the server does not answer
HURRY_S = 3.0  # at an end that nobody planned

Tell = Callable[[str], None]


def open_output(model: str | Path, tell: Tell, *, resume: bool, wipe: bool, clone: bool = False) -> Output:
    """Take a model for a training: its folder, or ``s3://bucket/prefix``.

    Args:
        model: Where checkpoints and records go.
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
    if is_s3(model):
        return BucketOutput(S3Prefix.parse(str(model)), tell, resume=resume, wipe=wipe, clone=clone)
    return Output(Path(model), tell, resume=resume, wipe=wipe)


class Output:
    """A model's folder that no other training writes."""

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
                _refuse_foreign(foreign_checkpoint(self.store.list(MODEL_FOLDER)), folder)
            self._held = held.pop_all()

    def wipe(self) -> None:
        """Delete what an earlier training left; to be called before `start`."""
        of_workers = (f"{worker}/training-simtrace" for worker in itertools.count())
        traces = itertools.takewhile(self.store.list, of_workers)
        events = ("logs/tensorboard/episodes", "logs/tensorboard/iterations")
        for prefix in ("model", "metrics", "logs/training", *events, "training-simtrace", *traces):
            for key in self.store.list(prefix):
                self.store.delete(key)

    def start(self) -> None:
        """Begin to bring what is written to a bucket, if it is to be there."""

    def confirm(self) -> None:
        """Raise a `SucceededError` if another training has taken the bucket's prefix."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Let others in; without an exception, when everything is where it is to be."""
        self._held.close()


class BucketOutput(Output):
    """A folder of this machine's whose files go to a prefix of a bucket."""

    def __init__(self, prefix: S3Prefix, tell: Tell, *, resume: bool, wipe: bool, clone: bool) -> None:
        self.prefix = prefix
        self._tell = tell
        self.bucket = bucket = Bucket(prefix)
        self.home, note = mirrored(prefix, bucket.settings)
        folder = self.home / TRAINING
        with ExitStack() as held:
            held.enter_context(FolderLock(self.home, name=str(prefix)))
            keys = bucket.check()
            self.store = Folder(folder, patience=Patience(FULL_DISK_S, tell))
            self.mirror = Mirror(folder, bucket, tell=tell, confirm=lambda: self.claim.confirm())
            ours = CLAIM in keys and holder_token(bucket) == note.token
            waiting = bool(self.mirror.missing())
            goes_on_here = folder.is_dir() and (ours or waiting)
            present = [key for key in keys if (is_record(key) if clone else not key.startswith("."))]
            foreign = foreign_checkpoint(key for key in keys if key.startswith(f"{MODEL_FOLDER}/"))
            begun = CLAIM in keys or any(map(is_weights, keys))
            lost = not begun or bool(foreign) or _holds_iterations(self.store if goes_on_here else bucket)
            if not (resume or wipe) and lost and (present or waiting):
                held_there = f"it holds {counted(len(present), 'file')} such as {present[0]}" if present else ""
                raise RecordError(
                    f"{prefix} is not empty: {held_there or 'files wait for an upload'}. Continue a training there "
                    "with --resume, delete it and begin anew with --wipe, or train under another prefix."
                )
            if not (wipe or any(map(is_weights, keys))):
                _refuse_foreign(foreign, prefix)
            if waiting and not (wipe or ours):
                raise RecordError(
                    f"{prefix} was trained from elsewhere since the files that wait in {folder} were written; they "
                    "belong to a state that is past, and uploading them would mix two trainings. Drop them with "
                    f"`hotlap upload {quoted(prefix)} --discard`."
                )
            self.claim = Claim(bucket, note.token)
            if not goes_on_here:
                self._begin(wipe=wipe)
            _sweep_records(folder)
            self._held = held.pop_all()

    def _begin(self, *, wipe: bool) -> None:
        """Make the folder anew, with what there is to go on with; it is there whole or not at all."""
        begun = self.home / "begun"
        remove(begun)
        begun.mkdir()
        try:
            if not wipe:
                download(self.bucket, begun)
        except BaseException:
            self.claim.release()
            raise
        remove(self.mirror.folder)
        remove(self.home / UPLOADED)
        os.rename(begun, self.mirror.folder)
        self.mirror.take_up()

    def wipe(self) -> None:
        # Not by the mirror, which removes last: what is written from now on must not be mixed with what was there.
        self.claim.confirm()
        remove(self.mirror.folder)
        self.bucket.delete_all([key for key in self.bucket.all_keys() if is_record(key)])
        self._begin(wipe=True)

    def start(self) -> None:
        self.mirror.start()

    def confirm(self) -> None:
        self.mirror.check()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is None:
                done = self.mirror.flush(patience_s=AWAY_S)
            else:
                done = self.mirror.flush(patience_s=0.0, limit_s=HURRY_S)
            if not done:
                self._tell(_left_behind(self.prefix, self.mirror))
        finally:
            self.mirror.close(then=self._let_go)

    def _let_go(self) -> None:
        with self._held:
            if not self.mirror.missing():  # else the claim stays, so that nobody's training in between goes unnoticed
                self.store.root = put_away(self.home)  # whoever asks what the training brought can still read it
                self.claim.release()


def _holds_iterations(store: Store) -> bool:
    """Whether a training that began there finished an iteration."""
    if CheckpointStore(store).worth_keeping() is not None:
        return True
    return store.exists(PROGRESS) and bool(store.get(PROGRESS).strip())


@contextmanager
def evaluation_output(model: str | Path, stamp: str, tell: Tell) -> Iterator[Folder]:
    """The folder for the files of an evaluation, which disturbs no training of the same model.

    Args:
        model: Whose evaluation it is.
        stamp: Of the evaluation, which nobody else has.
        tell: Is told what the user should know.
    """
    if not is_s3(model):
        _sweep_records(Path(model))
        yield Folder(model)
        return
    prefix = S3Prefix.parse(str(model))
    bucket = Bucket(prefix)
    own = mirrored(prefix, bucket.settings)[0] / f"{EVALUATION}{stamp}"
    with FolderLock(own, name=str(prefix)):
        done = False
        mirror = Mirror(own, bucket, tell=tell)
        mirror.start()
        try:
            yield Folder(own)
            done = mirror.flush(patience_s=AWAY_S)
        finally:
            mirror.close()
    if done:
        remove(own)
    else:
        tell(_left_behind(prefix, mirror))


def _sweep_records(root: Path) -> None:
    """Remove what killed processes had not finished in a model's folder and in the folders that hotlap makes there."""
    for folder, below, _ in os.walk(root):
        sweep(Path(folder))
        if folder == str(root):
            below[:] = [name for name in below if name == "tracks" or name.isdecimal() or is_record(f"{name}/")]


def _refuse_foreign(found: str | None, model: object) -> None:
    """Let no training mix its files with those of another program.

    Raises:
        RecordError: If DeepRacer left a checkpoint, ``found``.
    """
    if found is not None:
        raise RecordError(foreign_model(found, model))


def foreign_model(found: str, model: object, way_out: str | None = None) -> str:
    """What keeps a training out of where DeepRacer left a model.

    Args:
        found: One of its files; see `foreign_checkpoint`.
        model: What to call it.
        way_out: How to begin with that model's weights, if not with ``--clone``.
    """
    way_out = way_out or f"Begin with its weights elsewhere with --clone {quoted(model)}"
    what = f"{model} holds a model that DeepRacer trained ({found})"
    return f"{what}. {way_out}, or delete it and begin anew with --wipe."


def _left_behind(prefix: S3Prefix, mirror: Mirror) -> str:
    return (
        f"{counted(len(mirror.missing()), 'file')} could not be uploaded to {prefix} and will wait in {mirror.folder}. "
        "`hotlap upload` brings what waits there when the server answers."
    )

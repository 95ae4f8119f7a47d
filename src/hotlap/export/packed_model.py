"""A model folder of ours that somebody packed into an archive, to hand it on."""

from __future__ import annotations

from pathlib import Path, PurePosixPath
from typing import Final

from hotlap.archives.archive import is_archive, unpack
from hotlap.bounded import MalformedError
from hotlap.errors import RecordError
from hotlap.export.source import HYPERPARAMETERS, METADATA, REWARD
from hotlap.records.folder import Folder
from hotlap.records.layout import POINTER, is_weights, upload_rank
from hotlap.records.store import largest
from hotlap.unfinished import scratch_folder

_LEFT_OUT: Final = (".mp4", ".png")  # a model drives without them, and they are the largest
_FOREIGN: Final = (".pb", ".ckpt.index")  # a model that DeepRacer trained: the importer's concern


def packed_root(archive: Path) -> str | None:
    """Beginning of the names of all files of the model folder in an archive; None if it holds none of ours."""
    if not is_archive(archive):
        return None
    listed: list[str] = []
    with scratch_folder() as scratch:
        try:
            unpack(archive, scratch, listed.append)
        except MalformedError:  # whoever reads it says why
            return None
    names = set(listed)
    foreign = any(name.endswith(_FOREIGN) for name in names)
    roots = [name.removesuffix(METADATA) for name in names if PurePosixPath(name).name == METADATA]
    for root in sorted(roots, key=len):
        trained = any(is_weights(name.removeprefix(root)) for name in names if name.startswith(root))
        whole = f"{root}{HYPERPARAMETERS}" in names and (trained or f"{root}{REWARD}" in names)
        if whole and (trained or not foreign):
            return root
    return None


def unpack_model(archive: Path, root: str, folder: Path) -> list[str]:
    """Make a model folder of an archive of one, without its films and figures.

    Args:
        archive: The archive.
        root: Of the model in it; see `packed_root`.
        folder: A new or empty folder.

    Returns:
        Names of the files that were written.

    Raises:
        RecordError: If the archive is damaged or made to harm, or the folder holds something already.
    """

    def wanted(name: str) -> int | None:
        base = PurePosixPath(name).name
        hidden = base.startswith(".") and base != POINTER
        return None if hidden or base.endswith(_LEFT_OUT) or not name.startswith(root) else largest(name)

    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise RecordError(f"{folder}: it is not empty. Name a new folder for the model in {archive}.")
    target = Folder(folder)
    with scratch_folder() as scratch:
        try:
            files = {name.removeprefix(root): path for name, path in unpack(archive, scratch, wanted).items()}
        except MalformedError as error:
            raise RecordError(f"{archive}: this archive cannot be used: {error}. Download or copy it again.") from None
        for name in sorted(files, key=lambda name: (upload_rank(name), name)):
            target.put(name, files[name].read_bytes())
    return sorted(files)

"""What a folder holds from an earlier training, by the rules of `hotlap train`."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotlap.config.drfc import DrfcFolder


@dataclass(frozen=True)
class EarlierModel:
    """At most one of these is there; neither, where a training simply begins."""

    trained: str | None
    """What there is to go on with, and how."""
    foreign: str | None
    """What DeepRacer left, which keeps a training from beginning, and the way out."""


def earlier_model(folder: Path, drfc: DrfcFolder | None = None) -> EarlierModel:
    """Look into the folder where a model is to be trained.

    Args:
        folder: That folder.
        drfc: The folder of DeepRacer-for-Cloud whose variables chose it, if they did.

    Raises:
        RecordError: If the folder cannot be read.
    """
    from hotlap.records.checkpoints import CheckpointStore
    from hotlap.records.layout import MODEL_FOLDER, foreign_checkpoint
    from hotlap.records.output import foreign_model

    checkpoints = CheckpointStore(folder)
    last = checkpoints.worth_keeping()
    if last is not None:
        words = f"holds a trained model (checkpoint {last.number}): go on with --resume, or begin anew with --wipe"
        return EarlierModel(words, None)
    found = foreign_checkpoint(checkpoints.store.list(MODEL_FOLDER))
    way_out = drfc.next_model() if drfc else None
    return EarlierModel(None, foreign_model(found, folder, way_out) if found else None)

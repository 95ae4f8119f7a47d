"""What a folder holds from an earlier training, by the rules of `hotlap train`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from hotlap.config.drfc import DrfcFolder


def earlier_model(folder: Path, drfc: DrfcFolder | None = None) -> tuple[str | None, str | None]:
    """Look into the folder where a model is to be trained.

    Args:
        folder: That folder.
        drfc: The folder of DeepRacer-for-Cloud whose variables chose it, if they did.

    Returns:
        What there is to go on with, and how; and what DeepRacer left, which keeps a training from beginning, with the
        way out. At most one of them is there; neither, where a training simply begins.

    Raises:
        RecordError: If the folder cannot be read.
    """
    from hotlap.records.checkpoints import CheckpointStore
    from hotlap.records.layout import MODEL_FOLDER, foreign_checkpoint
    from hotlap.records.output import foreign_model

    checkpoints = CheckpointStore(folder)
    last = checkpoints.worth_keeping()
    if last is not None:
        number = last.number
        return f"holds a trained model (checkpoint {number}): go on with --resume, or begin anew with --wipe", None
    found = foreign_checkpoint(checkpoints.store.list(MODEL_FOLDER))
    way_out = drfc.next_model() if drfc else None
    return None, foreign_model(found, folder, way_out) if found else None

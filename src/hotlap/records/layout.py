"""Which files below a model's root a run leaves behind, and in which order they may appear elsewhere."""

from __future__ import annotations

import re
from collections.abc import Iterable

MODEL_FOLDER = "model"

INDEX = f"{MODEL_FOLDER}/deepracer_checkpoints.json"
"""The best and the last checkpoint."""

POINTER = ".coach_checkpoint"
"""File in it that names the newest checkpoint."""

BUSY = f"{MODEL_FOLDER}/.lock"
"""Empty; exists while a checkpoint is being uploaded."""

READY = f"{MODEL_FOLDER}/.ready"
"""Empty; the trainer is about to play."""

FINISHED = f"{MODEL_FOLDER}/.finished"
"""Empty; the training has ended."""

NAMES_OF_WEIGHTS = (f"{MODEL_FOLDER}/{POINTER}", INDEX, READY, FINISHED)
"""Files that tell others which checkpoints there are."""

_RECORD = re.compile(
    r"(model|metrics|ip|mp4|logs|(\d+/)?training-simtrace|evaluation-simtrace|evaluation-\d{14})/.*", re.DOTALL
)
_WEIGHTS = re.compile(rf"{MODEL_FOLDER}/\d+_Step-\d+\.safetensors")
_FOREIGN = re.compile(r"(.*/)?(\d+_Step-\d+\.ckpt\..+|[^/]+\.pb)", re.DOTALL)


def is_record(key: str) -> bool:
    """Whether a run made the file, rather than the user who gave the model."""
    return _RECORD.fullmatch(key) is not None


def is_weights(key: str) -> bool:
    """Whether the file is a checkpoint's weights."""
    return _WEIGHTS.fullmatch(key) is not None


def is_foreign_checkpoint(key: str) -> bool:
    """Whether the file, in whatever folder, is a frozen graph or a part of a checkpoint that DeepRacer trained."""
    return _FOREIGN.fullmatch(key) is not None


def foreign_checkpoint(keys: Iterable[str]) -> str | None:
    """The last of the files by which a model is one that DeepRacer trained; None: it is not."""
    return max(filter(is_foreign_checkpoint, keys), default=None)


def is_checkpoint(key: str) -> bool:
    """Whether the file belongs to checkpoints."""
    return upload_rank(key) > 0


def upload_rank(key: str) -> int:
    """Of files that are uploaded together, those of a lower rank go first.

    Whoever reads the bucket meanwhile, or takes it over in the middle, finds metrics that reach as far as every
    checkpoint, every checkpoint's state beside its weights, and no name of a checkpoint without its weights.
    """
    if key in NAMES_OF_WEIGHTS:
        return 3
    if is_weights(key):
        return 2
    return 1 if key.startswith(f"{MODEL_FOLDER}/") else 0


def video_keys(stamp: str, trial: int) -> dict[str, str]:
    """Keys of the films of one trial of an evaluation by their names; the first three are those of the original.

    Args:
        stamp: Of the evaluation, 14 digits.
        trial: 0-based number of the trial. The original's files are of whole evaluations, and numbered 0.
    """
    return {
        "pip": f"mp4/camera-pip/{trial}-video.mp4",
        "chase": f"mp4/camera-45degree/{trial}-video.mp4",
        "top": f"mp4/camera-topview/{trial}-video.mp4",
        "car": f"evaluation-{stamp}/{trial}-video.mp4",
    }

"""Frames of a video that the package has written."""

from pathlib import Path

import av
import numpy as np


def read_frames(path: Path) -> np.ndarray:
    """All frames: uint8, shape (num_frames, height, width, 3). A torn end is left out."""
    frames = []
    with av.open(str(path)) as container:
        try:
            for frame in container.decode(video=0):
                frames.append(frame.to_ndarray(format="rgb24"))
        except (EOFError, av.error.InvalidDataError):
            pass  # torn by a kill
    return np.stack(frames)

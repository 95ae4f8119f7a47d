"""From the camera's 640×480 picture to the 160×120 grey image that a policy sees: as the car does it, as the original
simulator did.

Our own simulator does neither: it renders 160×120 at once, averaging over the area that the original simulator's
reduction weighs, and its grey is not truncated. `docs/car.md` says how much the three differ.

Source: aws-deepracer-camera-pkg, `camera_node.cpp`; aws-deepracer-inference-pkg, `image_process.cpp`; OpenCV,
`imgproc/src/{resize,color_rgb}.cpp`; DeepRacer simapp, `markov/sensors/sensors_rollout.py`.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from typing import Final, Literal

import numpy as np
from PIL import Image

REDUCTION: Final = 4  # 640×480 to 160×120

Preprocessing = Literal["car", "simapp"]


def preprocess(frames: np.ndarray, kind: Preprocessing = "car", *, jpeg_quality: int | None = None) -> np.ndarray:
    """Images that a policy sees of what a camera takes.

    Args:
        frames: RGB, uint8, shape (num_images, 4 * height, 4 * width, 3).
        kind: ``car``: OpenCV's bilinear reduction, which at this ratio is the mean of the middle 2×2 pixels of every
            4×4, and its grey, rounded. ``simapp``: Pillow's bilinear reduction, which weighs 8×8 pixels, and its grey,
            truncated: white becomes 254.
        jpeg_quality: Of the JPEG that newer car software makes of the reduced picture; None: none is made.

    Returns:
        Grey, uint8, shape (num_images, height, width).
    """
    reduce, to_grey = _STEPS[kind]
    reduced = [reduce(frame) for frame in frames]
    if jpeg_quality is not None:
        reduced = [_through_jpeg(each, jpeg_quality) for each in reduced]
    return to_grey(np.stack(reduced))


def _reduce_opencv(frame: np.ndarray) -> np.ndarray:
    middle = frame.astype(np.uint16)
    middle = middle[1::REDUCTION] + middle[2::REDUCTION]
    middle = middle[:, 1::REDUCTION] + middle[:, 2::REDUCTION]
    return ((middle + 2) >> 2).astype(np.uint8)


def _reduce_pillow(frame: np.ndarray) -> np.ndarray:
    height, width = frame.shape[:2]
    return np.asarray(
        Image.fromarray(frame).resize((width // REDUCTION, height // REDUCTION), Image.Resampling.BILINEAR)
    )


def _grey_opencv(frames: np.ndarray) -> np.ndarray:
    return ((frames.astype(np.int32) @ np.array([4899, 9617, 1868], np.int32) + 8192) >> 14).astype(np.uint8)


def _grey_simapp(frames: np.ndarray) -> np.ndarray:
    return (frames.astype(np.float64) @ np.array([0.2989, 0.587, 0.114])).astype(np.uint8)


def _through_jpeg(frame: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(frame).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


Step = Callable[[np.ndarray], np.ndarray]
_STEPS: Final[dict[str, tuple[Step, Step]]] = {
    "car": (_reduce_opencv, _grey_opencv),
    "simapp": (_reduce_pillow, _grey_simapp),
}

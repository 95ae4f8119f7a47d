"""What the car makes of an output and of its camera's picture."""

from __future__ import annotations

import io
import json
from pathlib import Path

import numpy as np
import pytest
from car_reference import drive
from PIL import Image

from hotlap.config.metadata import ModelMetadata
from hotlap.export.car_archive import car_metadata
from hotlap.export.car_commands import car_commands, car_doubts
from hotlap.export.preprocessing import preprocess
from hotlap.export.sample_frames import track_frames


def discrete(*actions: tuple[float, float]) -> ModelMetadata:
    return ModelMetadata.from_dict(
        {
            "action_space": [{"steering_angle": angle, "speed": speed} for angle, speed in actions],
            "sensor": ["FRONT_FACING_CAMERA"],
        }
    )


def continuous(steering: tuple[float, float], speed: tuple[float, float]) -> ModelMetadata:
    ranges = (("steering_angle", steering), ("speed", speed))
    space = {key: {"low": low, "high": high} for key, (low, high) in ranges}
    return ModelMetadata.from_dict(
        {"action_space": space, "action_space_type": "continuous", "sensor": ["FRONT_FACING_CAMERA"]}
    )


CASES = [
    (discrete((-30, 1), (0, 2), (30, 4)), np.eye(3)),
    (discrete((-15, 0.5), (20, 1.0)), np.array([[0.6, 0.4], [0.5, 0.5], [0.1, 0.9]])),
    (continuous((-30, 30), (0.5, 3)), np.array([[-1, -1], [0, 0], [1, 1], [-7, 9], [0.3, -0.2]])),
    (continuous((-30, 10), (1, 2)), np.array([[-1, 0], [1, 0], [0, 0.5]])),
]


@pytest.mark.parametrize(("metadata", "outputs"), CASES)
def test_commands_are_those_of_the_car(metadata: ModelMetadata, outputs: np.ndarray):
    """At the corners and beyond, against the rule stated a second time over the written metadata."""
    written = json.loads(car_metadata(metadata))
    for output in outputs:
        assert car_commands(metadata, output) == pytest.approx(drive(written, list(output)))


def test_largest_values_become_full_lock_and_full_throttle():
    """Whatever their units say: half the largest speed is four fifths of the throttle."""
    slow = discrete((-10, 0.3), (10, 0.6), (5, 0.6))
    assert car_commands(slow, np.array([1, 0, 0])) == pytest.approx((-1.0, 0.8))
    assert car_commands(slow, np.array([0, 1, 0])) == pytest.approx((1.0, 1.0))
    assert car_commands(slow, np.array([0, 0, 1])) == pytest.approx((0.5, 1.0))


def test_doubts_name_what_drives_otherwise():
    assert car_doubts(discrete((-30, 1), (30, 1))) == []
    assert car_doubts(continuous((-20, 20), (1, 2))) == []
    assert "steer differently" in car_doubts(continuous((-30, 10), (1, 2)))[0]
    assert "will not drive" in car_doubts(discrete((0, 1), (0, 2)))[0]


def pattern(height: int, width: int) -> np.ndarray:
    """Smooth and rough parts, made of whole numbers only: uint8 (height, width, 3)."""
    y, x, c = np.meshgrid(np.arange(height), np.arange(width), np.arange(3), indexing="ij")
    rough = (y * 37 + x * 101 + c * 57 + (x * y) % 29 * 11) % 256
    smooth = (3 * x + 2 * y + 40 * c) % 256
    return np.where(x < width // 2, rough, smooth).astype(np.uint8)


# cv2.cvtColor(cv2.resize(pattern(24, 48)[:, :, ::-1], (12, 6)), cv2.COLOR_BGR2GRAY) of OpenCV 5.0.0
OPENCV = """
136 158 123 108 128 150 113 125 137 149 161 173
128 143 136 140 118 121 121 133 145 157 169 181
86 136 104 104 99 74 129 141 153 165 177 189
63 128 104 153 111 177 137 149 161 173 185 197
185 156 118 111 119 92 145 157 169 181 193 205
157 84 130 177 72 159 153 165 177 189 201 183
"""


def test_car_preprocessing_equals_opencv():
    """Within one grey level, against stored results of OpenCV itself."""
    expected = np.array([[int(number) for number in row.split()] for row in OPENCV.strip().splitlines()])
    ours = preprocess(pattern(24, 48)[None])[0].astype(int)
    assert ours.shape == expected.shape == (6, 12)
    assert np.abs(ours - expected).max() <= 1


def test_car_preprocessing_is_the_default_and_ignores_all_but_the_middle_pixels():
    """Of every 4x4 only the inner 2x2 count."""
    frame = np.zeros((1, 480, 640, 3), np.uint8)
    frame[:, 0::4] = frame[:, 3::4] = 255
    assert preprocess(frame).shape == (1, 120, 160)
    assert preprocess(frame).max() == 0
    assert preprocess(frame, "simapp").min() > 0


def test_white_is_one_level_darker_in_the_original_simulator():
    white = np.full((1, 480, 640, 3), 255, np.uint8)
    assert set(preprocess(white).flat) == {255}
    assert set(preprocess(white, "simapp").flat) == {254}


def test_simapp_preprocessing_is_pillow_and_a_truncated_grey():
    frame = pattern(480, 640)
    small = np.asarray(Image.fromarray(frame).resize((160, 120), resample=2), dtype=np.float64)
    grey = 0.2989 * small[..., 0] + 0.587 * small[..., 1] + 0.114 * small[..., 2]
    ours = preprocess(frame[None], "simapp")[0]
    assert np.abs(ours - np.floor(grey)).max() <= 1  # the order of summation may tip a whole number
    assert np.mean(ours == np.floor(grey)) > 0.999


def test_difference_on_rendered_frames():
    """The two reductions differ by a few levels where there is texture and by much at edges; ours lies between.

    The bounds are those of `docs/car.md`, with room for other grain.
    """
    frames, ours = track_frames(12)
    car, simapp = preprocess(frames), preprocess(frames, "simapp")

    def difference(one: np.ndarray, other: np.ndarray) -> np.ndarray:
        return np.abs(one.astype(int) - other.astype(int))

    assert 1 < difference(car, simapp).mean() < 4
    assert difference(car, simapp).max() > 40
    assert difference(ours, simapp).mean() < 3
    assert difference(ours, car).mean() < 4
    assert 0.3 < difference(preprocess(frames, jpeg_quality=95), car).mean() < 2


@pytest.mark.data
def test_grey_of_real_frames(reference_data: Path):
    """Real frames are reduced already: only the grey differs, by the truncation and the shorter weights."""
    paths = sorted((reference_data / "frames").glob("*.png"))[::20]
    # Enlarged by repeating pixels they survive the car's reduction unchanged.
    frames = (
        np.stack([np.asarray(Image.open(path).convert("RGB")) for path in paths]).repeat(4, axis=1).repeat(4, axis=2)
    )
    car = preprocess(frames).astype(int)
    weights = np.array([0.2989, 0.587, 0.114])
    simapp = np.floor(frames[:, ::4, ::4] @ weights).astype(int)
    assert len(paths) > 10
    assert np.abs(car - simapp).max() <= 1
    assert 0.2 < (car - simapp).mean() < 0.8


def test_jpeg_is_that_of_the_reduced_picture():
    frame = pattern(480, 640)[None]
    middle = frame[0, 1::4, 1::4].astype(int) + frame[0, 2::4, 1::4] + frame[0, 1::4, 2::4] + frame[0, 2::4, 2::4]
    file = io.BytesIO()
    Image.fromarray(((middle + 2) // 4).astype(np.uint8)).save(file, "JPEG", quality=90)
    through = np.asarray(Image.open(file)).repeat(4, axis=0).repeat(4, axis=1)
    np.testing.assert_array_equal(preprocess(frame, jpeg_quality=90), preprocess(through[None]))

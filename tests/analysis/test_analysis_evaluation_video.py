"""The evaluation video: every pixel that is drawn step by step is as if it had been drawn at once."""

from __future__ import annotations

import numpy as np
import pytest

from hotlap.analysis.driven_lines import speed_range
from hotlap.analysis.drives import Drive
from hotlap.analysis.evaluation_video import (
    BAR_HEIGHT,
    CAMERA_HEIGHT,
    CAMERA_WIDTH,
    TopView,
    evaluation_frames,
    write_evaluation_video,
)
from hotlap.records.video import read_frames
from hotlap.tracks.track import Track


@pytest.fixture(scope="module")
def ring() -> Track:
    angle = np.linspace(0, 2 * np.pi, 61)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    circle[-1] = circle[0]
    return Track("ring", 3.0 * circle, 2.5 * circle, 3.5 * circle, closed=True)


@pytest.fixture
def view(ring) -> TopView:
    return TopView(ring, speed_range(np.array([1.0, 2.0])))


def drive(num_steps: int = 20, camera: np.ndarray | None = None, **changes: object) -> Drive:
    angle = np.linspace(0, 1.2, num_steps)
    values: dict = {
        "x": 3 * np.cos(angle),
        "y": 3 * np.sin(angle),
        "yaw": angle + np.pi / 2,
        "speed": np.linspace(1, 2, num_steps),
        "steer": np.linspace(-30, 30, num_steps),
        "progress": np.linspace(0, 20, num_steps),
        "time": np.arange(num_steps) / 15,
        "status": "off_track",
        "camera": camera,
    }
    return Drive(**{**values, **changes})


def is_red(pixels: np.ndarray) -> np.ndarray:
    """Where the car's body is."""
    return (pixels[..., 0] > 200) & (pixels[..., 1] < 100) & (pixels[..., 2] < 90)


def test_line_grown_piece_by_piece_equals_the_large_picture_shrunk_at_once(view):
    d = drive()
    for x, y, speed in zip(d.x, d.y, d.speed, strict=True):
        view.drive_to(x, y, speed)
    shrunk = view._large.reduce(3)
    np.testing.assert_array_equal(np.asarray(view._small), np.asarray(shrunk))
    assert (np.asarray(view._small) != np.asarray(view._empty_small)).any()
    view.clear()
    np.testing.assert_array_equal(np.asarray(view._small), np.asarray(view._empty_small))


def test_car_stands_where_it_is_and_looks_where_it_heads(view):
    """On the ring's right, heading up: red pixels around that place, longer upward than sideways."""
    view.drive_to(3.0, 0.0, 1.0)
    rows, columns = np.nonzero(is_red(view.picture(np.pi / 2, 0.0, None)))
    scale = view._scale / 3
    assert columns.mean() == pytest.approx((3.0 - view._left) * scale, abs=2)
    assert rows.mean() == pytest.approx(view._top * scale, abs=2)
    assert np.ptp(rows) > 1.3 * np.ptp(columns)


def test_a_jump_leaves_no_line_and_a_car_outside_no_trace(view):
    view.drive_to(3.0, 0.0, 1.0)
    view.drive_to(-3.0, 0.0, 1.0)
    np.testing.assert_array_equal(np.asarray(view._small), np.asarray(view._empty_small))
    view.drive_to(500.0, 0.0, 1.0)
    np.testing.assert_array_equal(view.picture(0.0, 0.0, None), np.asarray(view._empty_small))


@pytest.mark.parametrize("shape", [(120, 160, 3), (120, 160), (480, 640, 3), (96, 128, 3), None])
def test_frames_hold_the_camera_pixel_by_pixel(view, shape):
    rng = np.random.default_rng(0)
    camera = None if shape is None else rng.integers(0, 255, (3, *shape)).astype(np.uint8)
    frames = [frame.copy() for frame in evaluation_frames(view, [drive(3, camera)])]
    assert len(frames) == 3 + 15
    assert {frame.shape for frame in frames} == {(CAMERA_HEIGHT + BAR_HEIGHT, CAMERA_WIDTH + view.width, 3)}
    if camera is not None and CAMERA_HEIGHT % shape[0] == 0:
        step = CAMERA_HEIGHT // shape[0]
        seen = frames[1][:CAMERA_HEIGHT:step, :CAMERA_WIDTH:step]
        expected = camera[1] if camera.ndim == 4 else camera[1][..., None]
        np.testing.assert_array_equal(seen, np.broadcast_to(expected, seen.shape))
    np.testing.assert_array_equal(frames[2], frames[-1])


def test_a_new_lap_begins_a_new_line(view):
    laps = np.repeat([1, 2], 10)
    frames = [frame.copy() for frame in evaluation_frames(view, [drive(20, lap=laps, status="")])]
    top = frames[10][:CAMERA_HEIGHT, CAMERA_WIDTH:]
    changed = (top != np.asarray(view._empty_small)).any(axis=2)
    rows, _ = np.nonzero(changed)
    # Only the car: at most its own diagonal high.
    assert np.ptp(rows) < 40


def test_long_and_tall_tracks_keep_the_picture_within_bounds(ring):
    stretched = [
        Track("s", ring.center * s, ring.inner * s, ring.outer * s, closed=True)
        for s in (np.array([6, 1]), np.array([1, 6]))
    ]
    widths = [TopView(track, speed_range(np.ones(1))).width for track in stretched]
    assert widths == [960, 336]


def test_video_has_every_frame(tmp_path, ring):
    path = write_evaluation_video(tmp_path / "evaluation.mp4", ring, [drive(5), drive(4, status="lap_complete")])
    frames = read_frames(path)
    assert len(frames) == 5 + 15 + 4 + 15
    assert is_red(frames[3]).any()


def is_object(pixels: np.ndarray) -> np.ndarray:
    """Where a box on the track is."""
    return (np.abs(pixels.astype(int) - (226, 176, 108)) < 12).all(axis=-1)


def test_objects_stand_where_they_are_and_the_car_over_them(view):
    """As large as they are; a car in the middle of one is drawn whole, on what is left of it."""
    view.drive_to(3.0, 0.0, 1.0)
    away = np.array([(-0.25, -0.4), (0.25, -0.4), (0.25, 0.4), (-0.25, 0.4)])
    objects = np.array([(0.0, 3.0), (3.0, 0.0)])[:, None] + away
    picture = view.picture(0.0, 0.0, None, objects)
    scale = view._scale / 3
    column, row = (0.0 - view._left) * scale, (view._top - 3.0) * scale
    shown = is_object(picture)
    assert shown[round(row), round(column)]
    upper = shown[: round(row + 0.6 * scale)]
    assert upper.sum() == pytest.approx(0.5 * 0.8 * scale**2, rel=0.2)
    bare = view.picture(0.0, 0.0, None)
    np.testing.assert_array_equal(is_red(picture), is_red(bare))
    assert not is_object(bare).any()


def test_moving_objects_are_drawn_step_by_step(view):
    square = np.array([(-0.2, -0.2), (0.2, -0.2), (0.2, 0.2), (-0.2, 0.2)])
    places = np.linspace((-3.0, -0.5), (-3.0, 0.5), 6)
    d = drive(6, objects=(places[:, None] + square)[:, None])
    frames = [frame.copy() for frame in evaluation_frames(view, [d])]
    rows = [np.nonzero(is_object(frame[:CAMERA_HEIGHT, CAMERA_WIDTH:]))[0].mean() for frame in frames[:6]]
    assert (np.diff(rows) < 0).all()  # upward

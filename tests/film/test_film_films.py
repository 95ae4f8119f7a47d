"""Films of trials: every pixel that is drawn step by step is as if it had been drawn at once."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from video_frames import read_frames

from hotlap.errors import RecordError
from hotlap.film.films import HELD_FRAMES, film_trial, pictures
from hotlap.film.pictures import (
    BAR_HEIGHT,
    HEIGHT,
    OVERLAY_HEIGHT,
    WIDTH,
    CarAndMap,
    ChaseAndMap,
    FromAbove,
    Picture,
    Shot,
    overlay,
)
from hotlap.film.readings import badges
from hotlap.film.top_view import TopView
from hotlap.records.drives import Drive
from hotlap.tracks.track import Track
from hotlap.wording import lap_time


@pytest.fixture(scope="module")
def ring() -> Track:
    angle = np.linspace(0, 2 * np.pi, 61)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    circle[-1] = circle[0]
    return Track("ring", 3.0 * circle, 2.5 * circle, 3.5 * circle, closed=True)


def color_of(speed: float) -> tuple[int, int, int]:
    """Of a line: the faster, the greener."""
    return 40, round(60 * speed), 200


@pytest.fixture
def view(ring) -> TopView:
    return TopView(ring, color_of, HEIGHT)


def drive(num_steps: int = 20, **changes: object) -> Drive:
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
    }
    return Drive(**{**values, **changes})


def shots(num_steps: int, camera: np.ndarray | None = None, objects: np.ndarray | None = None) -> list[Shot]:
    """What a replay might see: noise through the car's camera, a color that changes from behind."""
    camera = np.zeros((num_steps, 120, 160, 3), np.uint8) if camera is None else camera
    objects = np.zeros((num_steps, 0, 4, 2)) if objects is None else objects
    return [Shot(camera[i], np.full((HEIGHT, WIDTH, 3), 100 + i, np.uint8), objects[i]) for i in range(num_steps)]


def frames_of(picture: Picture, drive: Drive, shots: list[Shot]) -> list[np.ndarray]:
    picture.begin(drive)
    return [picture.frame(i, shot).copy() for i, shot in enumerate(shots)]


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


@pytest.mark.parametrize("shape", [(120, 160, 3), (120, 160), (480, 640, 3), (96, 128, 3)])
def test_frames_hold_the_camera_pixel_by_pixel(view, shape):
    rng = np.random.default_rng(0)
    camera = rng.integers(0, 255, (3, *shape)).astype(np.uint8)
    picture = CarAndMap(view)
    frames = frames_of(picture, drive(3), shots(3, camera))
    assert {frame.shape for frame in frames} == {(HEIGHT + BAR_HEIGHT, WIDTH + view.width, 3)}
    if HEIGHT % shape[0] == 0:
        step = HEIGHT // shape[0]
        seen = frames[1][:HEIGHT:step, :WIDTH:step]
        expected = camera[1] if camera.ndim == 4 else camera[1][..., None]
        np.testing.assert_array_equal(seen, np.broadcast_to(expected, seen.shape))


def test_a_new_trial_begins_a_new_line(view):
    picture = CarAndMap(view)
    first = frames_of(picture, drive(10), shots(10))
    again = frames_of(picture, drive(10), shots(10))
    for one, other in zip(first, again, strict=True):
        np.testing.assert_array_equal(one, other)


def test_long_and_tall_tracks_keep_the_picture_within_bounds(ring):
    stretched = [
        Track("s", ring.center * s, ring.inner * s, ring.outer * s, closed=True)
        for s in (np.array([6, 1]), np.array([1, 6]))
    ]
    widths = [TopView(track, color_of, HEIGHT).width for track in stretched]
    assert widths == [960, 336]


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
    objects = (places[:, None] + square)[:, None]
    frames = frames_of(CarAndMap(view), drive(6), shots(6, objects=objects))
    rows = [np.nonzero(is_object(frame[:HEIGHT, WIDTH:]))[0].mean() for frame in frames]
    assert (np.diff(rows) < 0).all()  # upward


def test_a_map_of_a_size_keeps_its_head_free(ring):
    """640 × 480, and no road in the rows that the readings cover."""
    map = TopView(ring, color_of, HEIGHT, width=WIDTH, head=OVERLAY_HEIGHT)
    empty = np.asarray(map._empty_small).astype(int)
    assert empty.shape == (HEIGHT, WIDTH, 3)
    drawn = np.abs(empty - empty[0, 0]).max(axis=2) > 12
    rows, columns = np.nonzero(drawn)
    assert rows.min() >= OVERLAY_HEIGHT
    assert HEIGHT - rows.max() == pytest.approx(rows.min() - OVERLAY_HEIGHT, abs=3)
    assert columns.min() == pytest.approx(WIDTH - columns.max(), abs=3)


@pytest.mark.parametrize(
    ("column", "values"),
    [
        ("lap", np.array([1, 2])),
        ("time", np.array([1.0, 1.2])),
        ("speed", np.array([1.0, 1.5])),
        ("progress", np.array([3.0, 4.0])),
        ("reward", np.array([5.0, 6.5])),
        ("resets", np.array([0, 1])),
    ],
)
def test_the_overlay_tells_each_reading(column, values):
    """Each changes the strip when it changes alone, and nothing below it."""
    d = drive(2, **{"lap": 1, "time": np.ones(2), "speed": np.ones(2), "progress": np.zeros(2), column: values})
    seen = [np.full((HEIGHT, WIDTH, 3), 90, np.uint8) for _ in range(2)]
    for i in range(2):
        overlay(seen[i], d, i)
    assert (seen[0][:OVERLAY_HEIGHT] != seen[1][:OVERLAY_HEIGHT]).any()
    assert (seen[0][OVERLAY_HEIGHT:] == 90).all()
    assert (seen[0][:OVERLAY_HEIGHT] != 90).any()


def test_the_chase_view_holds_a_small_map(ring):
    """In the upper right corner; the rest is what was seen from behind, and the last frame says how it ended."""
    map = TopView(ring, color_of, 132)
    frames = frames_of(ChaseAndMap(map), drive(4), shots(4))
    for i, frame in enumerate(frames):
        below = frame[OVERLAY_HEIGHT:]
        seen = (below == 100 + i).all(axis=2)
        assert seen[:, : WIDTH // 2].all() == (i < 3)
        changed = ~seen[: HEIGHT // 2]
        assert changed.sum() == (map.width + 4) * (map.height + 4)
        assert changed[:, WIDTH // 2 :].sum() == changed.sum()


def test_badges_last_as_long_as_the_penalty():
    """From the mistake to the end of the pause; the last one says how the trial ended."""
    statuses = np.array(["prepare", "in_progress", "crashed", "pause", "pause", "in_progress", "off_track"])
    shown = badges(drive(7, statuses=statuses, status="off_track"))
    assert [badge and badge.text for badge in shown] == [None, None, "Crashed", "Crashed", "Crashed", None, "Off track"]
    assert [badge and badge.text for badge in badges(drive(2, status="lap_complete"))] == [None, "Lap complete"]


def test_clocks_count_minutes():
    assert [lap_time(0), lap_time(61066.6), lap_time(59999.9)] == ["00:00.000", "01:01.067", "01:00.000"]


def test_a_trial_is_filmed_in_four_ways(tmp_path: Path, ring):
    """Every step and a second of the last one, 15 per second, as the original writes them; twice the same bytes."""
    import av

    d = drive(5)
    rng = np.random.default_rng(1)
    camera = rng.integers(0, 255, (5, 120, 160, 3)).astype(np.uint8)
    ticks: list[int] = []
    written = []
    for name in ("one", "two"):
        ways = pictures(ring, color_of)
        files = film_trial(tmp_path / name, ways, d, shots(5, camera), on_frame=lambda: ticks.append(1))
        written.append({way: file.read_bytes() for way, file in files.items()})
    assert written[0] == written[1]
    assert len(ticks) == 10
    assert set(files) == {"car", "chase", "top", "pip"}
    for name, file in files.items():
        with av.open(str(file)) as container:
            stream = container.streams.video[0]
            assert (stream.average_rate, stream.codec_context.codec_tag) == (15, "avc1")
            if name != "car":
                assert (stream.width, stream.height) == (640, 480)
        frames = read_frames(file)
        assert len(frames) == 5 + HELD_FRAMES
    assert is_red(read_frames(files["top"])[3]).any()


def test_a_film_that_cannot_be_written_says_so(tmp_path: Path, ring):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="could not be written"):
        film_trial(tmp_path / "file", pictures(ring, color_of), drive(2), shots(2))


def test_the_top_view_tells_where_the_car_is(ring):
    """Its line grows, and the car is where the last step is."""
    map = TopView(ring, color_of, HEIGHT, width=WIDTH, head=OVERLAY_HEIGHT)
    d = drive(6, status="")
    frames = frames_of(FromAbove(map), d, shots(6))
    scale = map._scale / 3
    for i, frame in enumerate(frames):
        rows, columns = np.nonzero(is_red(frame[OVERLAY_HEIGHT:]))
        assert columns.mean() == pytest.approx((d.x[i] - map._left) * scale, abs=4)
        assert rows.mean() + OVERLAY_HEIGHT == pytest.approx((map._top - d.y[i]) * scale, abs=4)

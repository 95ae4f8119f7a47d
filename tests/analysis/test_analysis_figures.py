"""Figures show the numbers they are given; drawn twice they are equal."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.patches import Rectangle

from hotlap.analysis.figures.evaluation_figure import evaluation_figure
from hotlap.analysis.figures.learning_curve import learning_curve
from hotlap.analysis.figures.line_figures import speed_range
from hotlap.analysis.figures.style import save_figure, smoothed
from hotlap.errors import RecordError
from hotlap.records.drives import Drive
from hotlap.records.events import EvaluationSummary, IterationRecord
from hotlap.records.tallies import Tally
from hotlap.tracks.track import Track


@pytest.fixture(scope="module")
def ring() -> Track:
    angle = np.linspace(0, 2 * np.pi, 61)
    circle = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    circle[-1] = circle[0]
    return Track("ring", 3.0 * circle, 2.5 * circle, 3.5 * circle, closed=True)


def records(num_iterations: int, *, evaluated: bool = True) -> list[IterationRecord]:
    return [
        IterationRecord(
            iteration=i,
            checkpoint=f"{i + 1}_Step-{1000 * i + 1000}.ckpt",
            total_episodes=20 * (i + 1),
            total_steps=1000 * (i + 1),
            elapsed_s=30.0 * (i + 1),
            num_episodes=20,
            num_steps=1000,
            reward_mean=2.0 * i,
            completion_mean=min(100.0, 5.0 * i),
            laps_completed=int(i > 3),
            evaluation=EvaluationSummary(64, 50.0, i / 64, 3.0 * i, 12.0, 11.0) if evaluated else None,
            is_best=i == 4,
        )
        for i in range(num_iterations)
    ]


def drives() -> list[Drive]:
    angle = np.linspace(0, 3, 50)
    speed = np.linspace(1, 3, 50)
    x, y, yaw = 3 * np.cos(angle), 3 * np.sin(angle), angle + np.pi / 2
    rest = np.zeros(50), np.linspace(0, 48, 50), np.arange(50) / 15
    return [Drive(x, y, yaw, speed, *rest, status=status) for status in ("lap_complete", "off_track")]


@given(st.integers(1, 12), st.integers(1, 40), st.floats(-5, 5), st.floats(-50, 50))
def test_smoothing_keeps_straight_lines(window, num, slope, offset):
    line = slope * np.arange(num) + offset
    np.testing.assert_allclose(smoothed(line, window), line, atol=1e-9)


def test_smoothing_leaves_out_what_is_missing():
    np.testing.assert_allclose(smoothed([1.0, np.nan, 3.0], 1), [1.0, 2.0, 3.0])
    assert np.isnan(smoothed([np.nan, np.nan], 1)).all()


def test_learning_curve_shows_the_records():
    figure = learning_curve(records(6))
    reward, completion, clean, _ = figure.axes[:4]
    lines = [np.asarray(line.get_xydata()).tolist() for line in reward.get_lines()]
    assert [[1000.0 * (i + 1), 2.0 * i] for i in range(6)] in lines
    assert [[1000.0 * (i + 1), 3.0 * i] for i in range(6)] in lines
    assert any(np.asarray(line.get_ydata())[-1] == 100 * 5 / 64 for line in clean.get_lines())
    assert any("after 5,000 steps" in text.get_text() for text in completion.texts)


def test_learning_curve_tells_all_laps_of_the_best_checkpoint():
    """Where they are known; else those of the evaluation that followed its iteration."""
    for tally, laps in ((None, "4 of 64"), (Tally("5_Step-5000.ckpt", 3, num_laps=192, clean_laps=190), "190 of 192")):
        figure = learning_curve(records(6), tally=tally)
        assert figure.get_supxlabel().endswith(f"; best checkpoint: 5, {laps} evaluation laps clean")


@pytest.mark.parametrize(("num_iterations", "evaluated"), [(0, True), (1, True), (2, False)])
def test_learning_curve_of_a_young_training_is_drawn(tmp_path, num_iterations, evaluated):
    path = save_figure(learning_curve(records(num_iterations, evaluated=evaluated)), tmp_path / "new" / "curve.png")
    assert path.read_bytes()[:4] == b"\x89PNG"


def test_equal_records_give_equal_pictures(tmp_path):
    one = save_figure(learning_curve(records(60)), tmp_path / "one.png")
    two = save_figure(learning_curve(records(60)), tmp_path / "two.png")
    assert one.read_bytes() == two.read_bytes()


def test_evaluation_figure_shows_lines_ends_and_times(ring):
    figure = evaluation_figure(ring, drives(), [11.0, 12.0, 12.0])
    road, times = figure.axes[:2]
    (lines,) = [each for each in road.collections if len(each.get_paths()) == 98]
    assert len(np.asarray(lines.get_array(), dtype=float)) == 98
    (ends,) = [each for each in road.collections if str(each.get_label()).startswith("ended")]
    np.testing.assert_allclose(np.asarray(ends.get_offsets(), dtype=float), [[3 * np.cos(3), 3 * np.sin(3)]])
    counts = [bar.get_height() for bar in times.patches if isinstance(bar, Rectangle)]
    assert sorted(count for count in counts if count) == [1, 2]


@pytest.mark.parametrize("driven", [[], drives()[1:]])
def test_evaluation_without_laps_is_drawn(tmp_path, ring, driven):
    assert save_figure(evaluation_figure(ring, driven, []), tmp_path / "a.png").stat().st_size > 10_000


def test_unwritable_figure_is_explained(tmp_path, ring):
    (tmp_path / "file").write_text("")
    with pytest.raises(RecordError, match="could not be written"):
        save_figure(evaluation_figure(ring, [], []), tmp_path / "file" / "a.png")


@pytest.mark.parametrize("speeds", [[], [1.0], [0.0, 0.0], list(np.linspace(0, 4, 50))])
def test_speed_scale_is_never_empty(speeds):
    scale = speed_range(np.array(speeds))
    low, high = scale.inverse(0.0), scale.inverse(1.0)
    assert 0 <= low < high

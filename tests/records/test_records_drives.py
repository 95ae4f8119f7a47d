"""Recorded drives: the driven line is what was driven, and nothing else."""

from __future__ import annotations

import numpy as np
import pytest

from hotlap.records.drives import Drive


def drive(x: np.ndarray, y: np.ndarray) -> Drive:
    zeros = np.zeros(len(x))
    return Drive(x, y, zeros, np.linspace(1, 2, len(x)), zeros, zeros, zeros)


def test_pieces_add_up_to_the_path():
    angle = np.linspace(0, 2 * np.pi, 101)
    pieces, speeds = drive(np.cos(angle), np.sin(angle)).segments()
    lengths = np.hypot(*(pieces[:, 1] - pieces[:, 0]).T)
    assert lengths.sum() == pytest.approx(200 * np.sin(np.pi / 100))
    assert speeds[0] == pytest.approx(1.005)


def test_a_reset_leaves_no_line():
    x = np.array([0.0, 0.1, 0.2, 5.0, 5.1])
    pieces, speeds = drive(x, np.zeros(5)).segments()
    np.testing.assert_allclose(pieces[:, :, 0], [[0.0, 0.1], [0.1, 0.2], [5.0, 5.1]])
    assert len(speeds) == 3


def test_columns_of_different_lengths_are_refused():
    zeros = np.zeros(3)
    with pytest.raises(ValueError, match="yaw has 2 steps, x has 3"):
        Drive(zeros, zeros, np.zeros(2), zeros, zeros, zeros, zeros)

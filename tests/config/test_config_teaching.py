"""The stages of a training with a teacher."""

from __future__ import annotations

import pytest

from hotlap.config.teaching import Student, Teacher, with_iterations


@pytest.mark.parametrize(
    ("minutes", "expected"), [(0.0, (150, 8)), (1.0, (150, 8)), (3.0, (150, 8)), (6.0, (300, 16)), (60.0, (600, 32))]
)
def test_more_time_gives_more_iterations(minutes: float, expected: tuple[int, int]):
    teacher, student = with_iterations(Teacher(), Student(), minutes)
    assert (teacher.iterations, student.iterations) == expected


def test_numbers_that_are_given_stay():
    teacher, student = with_iterations(Teacher(iterations=3), Student(iterations=2, samples=7), 60.0)
    assert (teacher.iterations, student.iterations, student.samples) == (3, 2, 7)
